"""A real Triton server has no HTTP, loads no model, writes no file, takes no shared memory; services are answered."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
import tritonclient.grpc.aio as grpc
import yaml
from tritonclient.utils import InferenceServerException

from cli.container import healthcheck
from cli.errors import CommandError
from cli.stack import triton
from cli.stack.ports import free_port
from shared.inference.embeddings import TritonEmbedder
from shared.inference.triton import INTERACTIVE_PRIORITY

ROOT = Path(__file__).parents[2]
TRAPS = ("dis", "json", "numpy", "os", "triton_python_backend_utils", "sitecustomize", "tokenizers", "inspect", "site")
MODELS = ("drafter-scripted", "embedder")


@dataclass
class Started:
    """A server as `countersign up` starts it, in a folder that somebody else has put modules into."""

    ports: triton.TritonPorts
    pid: int
    ran: Path
    data_dir: Path


@pytest.fixture
async def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Started]:
    here, data_dir, ran = tmp_path / "here", tmp_path / "data", tmp_path / "ran"
    for folder in (here, data_dir):
        folder.mkdir()
    for name in TRAPS:
        (here / f"{name}.py").write_text(f"open({str(ran)!r}, 'a').write({name!r})\n")
    monkeypatch.chdir(here)
    monkeypatch.setenv("COUNTERSIGN_EHR_TOKEN", "secret")
    monkeypatch.setenv("PYTHONSTARTUP", str(here / "dis.py"))
    monkeypatch.setenv("AIP_MODE", "PREDICTION")  # Vertex AI's: it opens a port unless it is told not to
    ports = triton.TritonPorts(free_port(), free_port())
    child = triton.make_process(data_dir, ports, MODELS, tmp_path)
    await child.start()
    assert child.pid is not None
    yield Started(ports, child.pid, ran, data_dir)
    await child.stop()


CHUNKS = 1_200_000  # of one byte each: half as many end this version where its HTTP is open


def test_a_server_that_is_not_there_is_not_healthy() -> None:
    assert healthcheck.main(f"grpc://127.0.0.1:{free_port()}") == 1


@pytest.mark.triton
@pytest.mark.timeout(180)
async def test_an_embedded_server_is_closed_and_answers_what_the_services_ask(server: Started) -> None:
    address = f"127.0.0.1:{server.ports.grpc}"
    await refused_by_grpc(address)
    embedder = TritonEmbedder(address, "embedder")
    assert (await embedder.embed("embedder", ["gout"], priority=INTERACTIVE_PRIORITY, deadline=30)).shape == (1, 384)
    assert await embedder.ready()
    await embedder.close()
    assert healthcheck.main(f"grpc://{address}") == 0  # what containers are asked by
    imports_nothing_of_where_it_was_started(server)
    listens_where_it_should(server)
    keeps_its_memory_to_itself(server)
    await stays_when_its_metrics_are_attacked(server)
    assert models_alive(server)


def listens_where_it_should(server: Started) -> None:
    """Nowhere else: no HTTP, none of SageMaker's or Vertex AI's, although the environment asks for that."""
    opened = {
        item.laddr
        for process in processes_of(server)
        for item in process.net_connections(kind="inet")
        if item.status == psutil.CONN_LISTEN
    }
    assert {address.port for address in opened} == {server.ports.grpc, server.ports.metrics}
    assert {address.ip.removeprefix("::ffff:") for address in opened} == {"127.0.0.1"}


def keeps_its_memory_to_itself(server: Started) -> None:
    """Texts pass between the server and its models in files of /dev/shm."""
    made = list(triton.SHARED_MEMORY.glob(f"{triton.shared_memory_prefix(server.data_dir)}*"))
    assert len(made) >= len(MODELS)
    assert {file.stat().st_mode & 0o077 for file in made} == {0}


async def stays_when_its_metrics_are_attacked(server: Started) -> None:
    """CVE-2025-23310 and -23311: its /metrics is a server of the same library, but it reads no body."""
    for method, path in (("GET", "/metrics"), ("POST", "/metrics"), ("POST", "/v2/repository/index")):
        reader, writer = await asyncio.open_connection("127.0.0.1", server.ports.metrics)
        head = f"{method} {path} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        writer.write(head.encode() + b"1\r\nA\r\n" * CHUNKS + b"0\r\n\r\n")
        await writer.drain()
        answer = await asyncio.wait_for(reader.readline(), 30)
        assert answer.split()[1] == (b"200" if method == "GET" else b"405"), (method, path, answer)
        writer.close()


def models_alive(server: Started) -> bool:
    return psutil.pid_exists(server.pid) and len(processes_of(server)) > len(MODELS)


def processes_of(server: Started) -> list[psutil.Process]:
    return [psutil.Process(server.pid), *psutil.Process(server.pid).children(recursive=True)]


async def refused_by_grpc(address: str) -> None:
    client = grpc.InferenceServerClient(address)
    calls = (
        lambda: client.load_model("embedder"),
        lambda: client.unload_model("embedder"),
        lambda: client.get_model_repository_index(),
        lambda: client.register_system_shared_memory("x", "/x", 64),
        lambda: client.get_system_shared_memory_status(),
        lambda: client.register_cuda_shared_memory("x", b"eHh4", 0, 1),
        lambda: client.update_trace_settings(settings={"trace_file": "/evil/trace"}),
        lambda: client.update_log_settings({"log_file": "/evil/log"}),
    )
    for call in calls:
        with pytest.raises(InferenceServerException, match="restricted"):
            await call()
    await client.close()


def imports_nothing_of_where_it_was_started(server: Started) -> None:
    processes = processes_of(server)
    assert len(processes) > len(MODELS)  # the Python backend has one a model instance
    for process in processes:
        assert Path(process.cwd()) == server.data_dir / "triton" / "run", process.cmdline()
        assert not {name for name in process.environ() if name.startswith("COUNTERSIGN_")} - {"COUNTERSIGN_EMBEDDER"}
        assert "PYTHONSTARTUP" not in process.environ()
    assert not server.ran.exists(), server.ran.read_text()


def test_a_model_that_there_is_not_is_named(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="There is no model nothing"):
        triton.link_models(tmp_path / "models", ("nothing",))


def test_what_is_linked_is_what_is_asked_for(tmp_path: Path) -> None:
    triton.link_models(tmp_path / "models", ("drafter", "embedder-fp32"))
    triton.link_models(tmp_path / "models", ("drafter", "embedder"))
    assert sorted(item.name for item in (tmp_path / "models").iterdir()) == ["drafter", "embedder"]


def test_every_server_of_an_installation_is_closed(tmp_path: Path) -> None:
    (tmp_path / "backends").mkdir()
    own = triton.command(tmp_path, tmp_path / "backends", triton.TritonPorts(1, 2), ("embedder",), "region")
    found = [own, yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]["triton-gpu"]["command"]]
    for overlay in (ROOT / "deploy" / "k8s" / "overlays").glob("*/triton.yaml"):
        for part in yaml.safe_load_all(overlay.read_text()):
            if part["kind"] == "Deployment":
                found += [item["args"] for item in part["spec"]["template"]["spec"]["containers"] if "args" in item]
    assert len(found) == 3
    for arguments in found:
        assert set(triton.HARDENING_OPTIONS) <= set(arguments)
        assert not [item for item in arguments if item.startswith("--load-model")]

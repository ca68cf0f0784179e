"""Nobody can make a real Triton server load a model, write files or take shared memory; what the services ask works."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
import tritonclient.grpc.aio as grpc
import yaml
from tritonclient.utils import InferenceServerException

from cli.errors import CommandError
from cli.stack import triton
from cli.stack.ports import free_port
from shared.inference.embed import TritonEmbedder
from shared.inference.generate import INTERACTIVE
from tests.support.triton import triton_server

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
    ports = triton.TritonPorts(free_port(), free_port(), free_port())
    child = triton.make_child(data_dir, ports, MODELS, tmp_path)
    await child.start()
    assert child.pid is not None
    yield Started(ports, child.pid, ran, data_dir)
    await child.stop()


EVIL = {
    "config": json.dumps({"backend": "python", "max_batch_size": 0}),
    "file:1/model.py": "aW1wb3J0IG9zCm9wZW4oJy90bXAvZXZpbCcsICd3Jyk=",
}
REFUSED: list[tuple[str, str, Any]] = [
    ("POST", "/v2/repository/models/evil/load", {"parameters": EVIL}),
    ("POST", "/v2/repository/models/embedder/load", {"parameters": {"config": "{}"}}),
    ("POST", "/v2/repository/models/embedder/unload", {}),
    ("POST", "/v2/repository/index", {}),
    ("POST", "/v2/systemsharedmemory/region/x/register", {"key": "/x", "offset": 0, "byte_size": 64}),
    ("POST", "/v2/systemsharedmemory/unregister", {}),
    ("GET", "/v2/systemsharedmemory/status", None),
    ("POST", "/v2/cudasharedmemory/region/x/register", {"raw_handle": {"b64": "eA=="}, "device_id": 0, "byte_size": 1}),
    ("POST", "/v2/trace/setting", {"trace_file": "/evil/trace", "trace_level": ["TIMESTAMPS"]}),
    ("POST", "/v2/models/embedder/trace/setting", {"trace_file": "/evil/trace"}),
    ("POST", "/v2/logging", {"log_file": "/evil/log"}),
]
HEADERS = ({}, {"closed": ""}, {"closed": "\\n"}, {"Content-Type": "text/plain", "Origin": "https://evil.test"})


@pytest.mark.triton
@pytest.mark.timeout(180)
async def test_an_embedded_server_is_closed_and_answers_what_the_services_ask(server: Started) -> None:
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", server.ports.http)
    address = f"127.0.0.1:{server.ports.grpc}"
    await refused_by_grpc(address)
    embedder = TritonEmbedder(address, "embedder")
    assert (await embedder.embed("embedder", ["gout"], priority=INTERACTIVE, deadline=30)).shape == (1, 384)
    assert await embedder.ready()
    await embedder.close()
    imports_nothing_of_where_it_was_started(server)


@pytest.mark.triton
@pytest.mark.timeout(180)
async def test_a_containers_server_is_closed_by_http_too(tmp_path: Path) -> None:
    with triton_server(tmp_path, ("drafter-scripted",)) as found:
        await refused_by_http(found.http)
        await refused_by_grpc(found.grpc)


async def refused_by_http(base: str) -> None:
    async with httpx.AsyncClient(base_url=base) as http:
        for method, path, body in REFUSED:
            for headers in HEADERS:
                answer = await http.request(method, path, content=json.dumps(body), headers=headers)
                assert answer.status_code == 403, (method, path, headers, answer.text)
    folded = b"POST /v2/repository/index HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nclosed:\r\n \r\n\r\n{}"
    for request in (folded, folded.replace(b"closed:\r\n ", b"closed: \n")):
        reader, writer = await asyncio.open_connection(*base.removeprefix("http://").split(":"))
        writer.write(request)
        assert b" 200 " not in await asyncio.wait_for(reader.readline(), 10)
        writer.close()


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
    processes = [psutil.Process(server.pid), *psutil.Process(server.pid).children(recursive=True)]
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
    own = triton.command(tmp_path, tmp_path / "backends", triton.TritonPorts(1, 2, 3), ("embedder",), "region")
    found = [own, yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]["triton-gpu"]["command"]]
    for overlay in (ROOT / "deploy" / "k8s" / "overlays").glob("*/triton.yaml"):
        for part in yaml.safe_load_all(overlay.read_text()):
            if part["kind"] == "Deployment":
                found += [item["args"] for item in part["spec"]["template"]["spec"]["containers"] if "args" in item]
    assert len(found) == 3
    for arguments in found:
        assert set(triton.CLOSED) <= set(arguments)
        assert not [item for item in arguments if item.startswith("--load-model")]

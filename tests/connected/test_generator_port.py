"""What drafts rely on of a generator, asked of a real Triton server and of the scripted one of the unit tests."""

import os
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from cli.stack import triton
from cli.stack.nats import free_port
from shared.contracts.failures import Failure, PermanentError, TransientError
from shared.inference.generate import Generator, Sampling, TritonGenerator
from tests.support.generator import ScriptedGenerator

pytestmark = [pytest.mark.triton, pytest.mark.timeout(180)]

MODELS = ("drafter", "drafter-scripted")
PROMPT = "<|im_start|>user\nName three colours.<|im_end|>\n<|im_start|>assistant\n"
SAMPLING = Sampling(max_tokens=24, stop=("<|im_end|>",))


@dataclass(frozen=True)
class Server:
    grpc: str
    process: subprocess.Popen[bytes]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    directory: Path = tmp_path_factory.mktemp("triton")
    home = triton.server_home(triton.ENVIRONMENT)
    ports = triton.TritonPorts(free_port(), free_port(), free_port())
    region = f"countersign_port_{os.getpid()}_"
    command = triton.command(home, triton.link_backends(home, directory), ports, MODELS, region)
    with (directory / "triton.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env=triton.environment_of(triton.ENVIRONMENT))
    deadline = time.monotonic() + 90
    while not all(_ready(f"http://127.0.0.1:{ports.http}/v2/models/{name}/ready") for name in MODELS):
        assert time.monotonic() < deadline, (directory / "triton.log").read_text()[-2000:]
        assert process.poll() is None, (directory / "triton.log").read_text()[-2000:]
        time.sleep(0.1)
    yield Server(f"127.0.0.1:{ports.grpc}", process)
    process.kill()
    process.wait()
    triton.clear_shared_memory(region)


def _ready(url: str) -> bool:
    try:
        return httpx.get(url, timeout=1).is_success
    except httpx.HTTPError:
        return False


@pytest.fixture(params=["scripted", *MODELS])
async def generator(request: pytest.FixtureRequest) -> AsyncIterator[Generator]:
    if request.param == "scripted":
        yield ScriptedGenerator()
        return
    found = TritonGenerator(request.getfixturevalue("server").grpc, request.param)
    yield found
    await found.close()


async def test_text_and_the_models_name_come_back(generator: Generator) -> None:
    assert await generator.ready()
    found = await generator.generate(PROMPT, SAMPLING, deadline=60)
    assert found.text.strip()
    assert PROMPT not in found.text
    assert "<|im_end|>" not in found.text
    assert len(found.model.split()) == 2, "name and version"


async def test_the_same_prompt_gives_the_same_text(generator: Generator) -> None:
    one, other = [await generator.generate(PROMPT, SAMPLING, deadline=60) for _ in range(2)]
    assert one == other


async def test_text_is_streamed_as_it_is_written(generator: Generator) -> None:
    parts: list[str] = []
    found = await generator.generate(PROMPT, SAMPLING, deadline=60, on_text=parts.append)
    assert "".join(parts) == found.text


async def test_a_deadline_that_passes_is_transient_and_the_server_goes_on(server: Server) -> None:
    generator = TritonGenerator(server.grpc, "drafter")
    with pytest.raises(TransientError):
        await generator.generate(PROMPT * 40, Sampling(max_tokens=400), deadline=0.3)
    assert (await generator.generate(PROMPT, SAMPLING, deadline=60)).text
    await generator.close()


async def test_a_model_that_fails_is_permanent_and_its_words_stay_out(server: Server) -> None:
    class Failing(Sampling):
        def as_json(self) -> str:
            return '{"scripted": "fail"}'

    generator = TritonGenerator(server.grpc, "drafter-scripted")
    with pytest.raises(PermanentError) as failed:
        await generator.generate("Jane Doe", Failing(max_tokens=1), deadline=10)
    assert "Jane" not in failed.value.reason
    await generator.close()


async def test_a_model_that_is_not_there_and_a_server_that_is_away(server: Server) -> None:
    for url, model in ((server.grpc, "nothing"), (f"127.0.0.1:{free_port()}", "drafter")):
        generator = TritonGenerator(url, model)
        assert not await generator.ready()
        with pytest.raises(Failure) as failed:
            await generator.generate(PROMPT, SAMPLING, deadline=5)
        assert model in failed.value.reason
        await generator.close()


async def test_no_more_tokens_than_asked_for(server: Server) -> None:
    generator = TritonGenerator(server.grpc, "drafter")
    short: Any = await generator.generate(PROMPT, Sampling(max_tokens=4), deadline=60)
    assert 0 < len(short.text.split()) <= 8
    await generator.close()

"""What drafts rely on of a generator, asked of Triton, of llama.cpp's OpenAI-compatible server, of one with the shapes
of the Anthropic API, and of the scripted one of the unit tests.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import numpy as np
import psutil
import pytest
import tritonclient.grpc.aio
from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2
from tritonclient.utils import InferenceServerException

from cli.stack import triton
from cli.stack.ports import free_port
from shared.contracts.errors import CountersignError, PermanentError, TransientError
from shared.inference.generation import Generator, Sampling
from shared.inference.triton import BATCH_PRIORITY, to_error
from shared.inference.triton_generation import TritonGenerator
from tests.support import http
from tests.support.generator import ScriptedGenerator
from tests.support.llama import LLAMA_MODEL, LlamaServer, llama_server
from tests.support.model_api import MODELS as MODEL_NAMES
from tests.support.model_api import ModelServer, model_server
from tests.support.stack import until
from tests.support.triton import TritonServer, triton_server

pytestmark = [pytest.mark.triton, pytest.mark.timeout(180), pytest.mark.xdist_group("triton-drafter")]

MODELS = ("drafter", "drafter-scripted")
PROMPT = "<|im_start|>user\nName three colours.<|im_end|>\n<|im_start|>assistant\n"
SAMPLING = Sampling(max_tokens=24, stop=("<|im_end|>",))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TritonServer]:
    with triton_server(tmp_path_factory.mktemp("triton"), MODELS) as found:
        yield found


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LlamaServer]:
    with llama_server(tmp_path_factory.mktemp("llama")) as found:
        yield found


@pytest.fixture(scope="module")
def anthropic() -> Iterator[ModelServer]:
    with model_server("anthropic") as found:
        yield found


@pytest.fixture(params=["scripted", *MODELS, "llama", "anthropic"])
async def generator(request: pytest.FixtureRequest) -> AsyncIterator[Generator]:
    if request.param == "scripted":
        yield ScriptedGenerator()
        return
    found: Generator
    if request.param in MODELS:
        found = TritonGenerator(request.getfixturevalue("server").grpc, request.param)
    else:
        found = request.getfixturevalue(request.param).generator()
    yield found
    await found.close()


async def test_text_and_the_models_name_come_back(generator: Generator) -> None:
    assert await generator.ready()
    found = await generator.generate(PROMPT, SAMPLING, deadline=60)
    assert found.text.strip()
    assert PROMPT not in found.text
    assert "<|im_end|>" not in found.text
    words = 1 if found.model == MODEL_NAMES["anthropic"] else 2  # Anthropic's name of a snapshot has its version in it
    assert len(found.model.split()) == words, "name and version"


async def test_a_model_says_that_it_is_too_small_for_sentences_of_its_own(server: TritonServer) -> None:
    for model, strict in (("drafter", True), ("drafter-scripted", False)):
        generator = TritonGenerator(server.grpc, model)
        assert (await generator.generate(PROMPT, SAMPLING, deadline=60)).strict is strict
        await generator.close()


async def test_the_same_prompt_gives_the_same_text(generator: Generator) -> None:
    one, other = [await generator.generate(PROMPT, SAMPLING, deadline=60) for _ in range(2)]
    assert one == other


async def test_text_is_streamed_as_it_is_written(generator: Generator) -> None:
    parts: list[str] = []
    found = await generator.generate(PROMPT, SAMPLING, deadline=60, on_text=parts.append)
    assert "".join(parts) == found.text


async def test_a_draft_goes_before_one_that_is_prepared(server: TritonServer) -> None:
    preparing = TritonGenerator(server.grpc, "drafter", BATCH_PRIORITY)
    drafting = TritonGenerator(server.grpc, "drafter")
    done: list[str] = []
    begun = asyncio.Event()

    async def write(generator: TritonGenerator, name: str) -> None:
        await generator.generate(PROMPT, SAMPLING, deadline=120, on_text=lambda _: begun.set())
        done.append(name)

    running = asyncio.create_task(write(preparing, "at work"))
    await begun.wait()
    waiting = [asyncio.create_task(write(preparing, f"prepared {number}")) for number in range(3)]

    async def queue_is_full() -> bool:
        return await queued(server, "drafter") >= len(waiting)

    await until(queue_is_full, "the requests to be queued")
    await asyncio.gather(running, *waiting, write(drafting, "draft"))
    assert done.index("draft") <= 1
    for generator in (preparing, drafting):
        await generator.close()


async def queued(server: TritonServer, model: str) -> float:
    """Return the requests that wait in the server's queue."""
    async with httpx.AsyncClient() as http:
        lines = (await http.get(server.metrics)).text.splitlines()
    name = f'nv_inference_pending_request_count{{model="{model}"'
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(name))


async def test_tokens_are_counted_as_vllm_counts_them(server: TritonServer) -> None:
    def counted(name: str) -> float:
        lines = httpx.get(server.metrics).text.splitlines()
        return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(f"vllm:{name}_tokens_total{{"))

    generator = TritonGenerator(server.grpc, "drafter")
    read, written = counted("prompt"), counted("generation")
    await generator.generate(PROMPT, SAMPLING, deadline=60)
    await generator.close()
    assert counted("prompt") > read
    assert 0 < counted("generation") - written <= SAMPLING.max_tokens


async def test_a_deadline_that_passes_is_transient_and_the_server_goes_on(server: TritonServer) -> None:
    generator = TritonGenerator(server.grpc, "drafter")
    with pytest.raises(TransientError):
        await generator.generate(PROMPT * 40, Sampling(max_tokens=400), deadline=0.3)
    assert (await generator.generate(PROMPT, SAMPLING, deadline=60)).text
    await generator.close()


async def test_a_model_that_fails_is_permanent_and_its_words_stay_out(server: TritonServer) -> None:
    class Failing(Sampling):
        def as_json(self) -> str:
            return '{"scripted": "fail"}'

    generator = TritonGenerator(server.grpc, "drafter-scripted")
    with pytest.raises(PermanentError) as failed:
        await generator.generate("Jane Doe", Failing(max_tokens=1), deadline=10)
    assert "Jane" not in failed.value.reason
    await generator.close()


async def test_what_the_queue_lets_go_or_does_not_take_may_be_tried_again(server: TritonServer) -> None:
    """Behind one long prompt: more requests than the queue holds, whose time is up before their turn."""
    model = text_format.Parse((triton.MODELS / "drafter" / "config.pbtxt").read_text(), model_config_pb2.ModelConfig())
    more = model.dynamic_batching.default_queue_policy.max_queue_size + 8
    refused: list[InferenceServerException] = []
    client = tritonclient.grpc.aio.InferenceServerClient(server.grpc)

    async def requests() -> AsyncIterator[dict[str, Any]]:
        for number in range(1 + more):
            text = tritonclient.grpc.InferInput("text_input", [1], "BYTES")
            text.set_data_from_numpy(np.array([(PROMPT * (1 if number else 60)).encode()], dtype=np.object_))
            yield {"model_name": "drafter", "inputs": [text], "timeout": 500_000 if number else 60_000_000}

    async for _, error in client.stream_infer(requests()):
        if error is not None:
            refused.append(error)
            if len(refused) == more:
                break
    await client.close()
    told = "\n".join(error.message() for error in refused)
    assert "timeout expired" in told, told
    assert "maximum queue size" in told, told
    assert {type(to_error("drafter", error)) for error in refused} == {TransientError}


async def test_a_model_that_is_not_there_and_a_server_that_is_away(server: TritonServer) -> None:
    for url, model in ((server.grpc, "nothing"), (f"127.0.0.1:{free_port()}", "drafter")):
        generator = TritonGenerator(url, model)
        assert not await generator.ready()
        with pytest.raises(CountersignError) as failed:
            await generator.generate(PROMPT, SAMPLING, deadline=5)
        assert model in failed.value.reason
        await generator.close()


async def test_llamas_server_counts_tokens_and_names_its_model(llama: LlamaServer) -> None:
    generator = llama.generator(revision="135m")
    found = await generator.generate(PROMPT, Sampling(max_tokens=4), deadline=120)
    assert found.model == f"{LLAMA_MODEL} 135m"
    assert found.usage is not None
    assert found.usage.input_tokens > 0
    assert found.usage.output_tokens == 4
    assert await generator.served_models() == (LLAMA_MODEL,)
    await generator.close()


async def test_a_deadline_ends_the_generation_at_llamas_server(llama: LlamaServer) -> None:
    """It has one slot: the next request is answered only if the one that was given up has ended there."""
    endless, generator = llama.generator(endless=True), llama.generator()
    with pytest.raises(TransientError):
        await endless.generate(PROMPT, Sampling(max_tokens=1500), deadline=1)
    assert (await generator.generate(PROMPT, Sampling(max_tokens=4), deadline=120)).text
    for client in (endless, generator):
        await client.close()


async def test_llamas_server_refuses_a_wrong_key_and_a_prompt_that_is_too_long(llama: LlamaServer) -> None:
    for wrong, prompt in (("wrong", "Jane Doe"), (None, "Jane Doe " * 4000)):
        generator = llama.generator(key=wrong)
        with pytest.raises(PermanentError) as failed:
            await generator.generate(prompt, SAMPLING, deadline=120)
        assert "Jane" not in failed.value.reason
        await generator.close()


def test_the_models_own_http_server_answers_nobody(server: TritonServer) -> None:
    """xllamacpp opens one on loopback: it must not complete prompts, or show them, to any process of the machine."""
    stubs = psutil.Process(server.process.pid).children(recursive=True)
    ports = {item.laddr.port for stub in stubs for item in stub.net_connections() if item.status == "LISTEN"}
    assert ports, "it is there: if a later version opens none, this test can go"
    for port in ports:
        for path in ("/slots", "/props", "/metrics"):
            assert http.get(f"http://127.0.0.1:{port}{path}", timeout=10).status_code in (401, 404, 501)
        for path in ("/completion", "/v1/completions", "/v1/chat/completions"):
            answer = http.post(f"http://127.0.0.1:{port}{path}", json={"prompt": "x", "max_tokens": 1}, timeout=10)
            assert answer.status_code == 401


async def test_no_more_tokens_than_asked_for(server: TritonServer) -> None:
    generator = TritonGenerator(server.grpc, "drafter")
    short: Any = await generator.generate(PROMPT, Sampling(max_tokens=4), deadline=60)
    assert 0 < len(short.text.split()) <= 8
    await generator.close()

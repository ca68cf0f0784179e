"""Text generation over HTTP: what is sent, what is read, and what each failure is. The servers have recorded shapes."""

import logging
from collections.abc import AsyncIterator, Iterator

import pytest

from cli.stack.ports import free_port
from shared.contracts.errors import CountersignError, PermanentError, RateLimitedError, TransientError
from shared.inference import event_stream, http_generation
from shared.inference.generation import (
    BusyError,
    GenerationRefusedError,
    NotGeneratedError,
    Sampling,
    UnreadyError,
    Usage,
)
from shared.inference.http_generation import HttpGenerator
from tests.support.generator import TEXT
from tests.support.model_api import (
    APIS,
    INPUT_TOKENS,
    KEY,
    MODELS,
    OUTPUT_TOKENS,
    Kind,
    ModelServer,
    Reply,
    anthropic_events,
    event,
    events_of,
    model_server,
    openai_events,
    refusal,
)

PATIENT = "Jane Doe"
PROMPT = (
    "<|im_start|>system\nWrite plainly.<|im_end|>\n<|im_start|>user\nFacts: an example<|im_end|>\n"
    f"<|im_start|>assistant\nAn answer.<|im_end|>\n<|im_start|>user\nFacts: {PATIENT}<|im_end|>\n"
    "<|im_start|>assistant\n"
)
SAMPLING = Sampling(max_tokens=24, stop=("<|im_end|>", "<|im_start|>", "Instructions:"), seed=7)
KINDS: tuple[Kind, ...] = ("openai", "anthropic")


@pytest.fixture(params=KINDS, scope="module")
def running(request: pytest.FixtureRequest) -> Iterator[ModelServer]:
    with model_server(request.param) as found:
        yield found


@pytest.fixture
def server(running: ModelServer) -> ModelServer:
    running.replies, running.bodies, running.paths, running.text = [], [], [], TEXT
    running.left.clear()
    return running


@pytest.fixture
async def generator(server: ModelServer) -> AsyncIterator[HttpGenerator]:
    found = server.generator()
    yield found
    await found.close()


async def failure(generator: HttpGenerator, deadline: float = 30) -> CountersignError:
    """The error of one generation. It names the endpoint, and nothing of the patient."""
    with pytest.raises(CountersignError) as failed:
        await generator.generate(PROMPT, SAMPLING, deadline=deadline)
    assert failed.value.reason.startswith("cloud: ")
    assert PATIENT not in failed.value.reason
    assert failed.value.__suppress_context__
    return failed.value


async def test_what_is_sent_and_what_is_read(server: ModelServer, generator: HttpGenerator) -> None:
    parts: list[str] = []
    found = await generator.generate(PROMPT, SAMPLING, deadline=30, on_text=parts.append)
    assert found.text == "".join(parts) == TEXT
    assert len(parts) > 1
    assert found.usage == Usage(INPUT_TOKENS, OUTPUT_TOKENS)
    assert not found.strict
    turns = [
        {"role": "user", "content": "Facts: an example"},
        {"role": "assistant", "content": "An answer."},
        {"role": "user", "content": f"Facts: {PATIENT}"},
    ]
    common = {"model": MODELS[server.kind], "max_tokens": 24, "temperature": 0.0, "stream": True}
    if server.kind == "openai":
        assert found.model == f"{MODELS['openai']} fp_44709d6fcb"
        assert server.paths == ["/v1/chat/completions"]
        system = {"role": "system", "content": "Write plainly."}
        sent = {"messages": [system, *turns], "stop": ["Instructions:"], "seed": 7}
        sent |= {"stream_options": {"include_usage": True}}
    else:
        assert found.model == MODELS["anthropic"]
        assert server.paths == ["/v1/messages"]
        sent = {"system": "Write plainly.", "messages": turns, "stop_sequences": ["Instructions:"]}
    assert server.bodies == [common | sent]


async def test_declared_parameters_revision_and_policy(server: ModelServer) -> None:
    generator = server.generator(parameters={"temperature": None, "top_p": 0.9}, revision="sha256:ab", strict=True)
    found = await generator.generate(PROMPT, SAMPLING, deadline=30)
    assert found.model == f"{MODELS[server.kind]} sha256:ab"
    assert found.strict
    (sent,) = server.bodies
    assert "temperature" not in sent
    assert sent["top_p"] == 0.9
    await generator.close()


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, GenerationRefusedError),
        (401, GenerationRefusedError),
        (404, GenerationRefusedError),
        (307, GenerationRefusedError),
        (408, UnreadyError),
        (502, UnreadyError),
        (503, UnreadyError),
        (504, TransientError),
        (429, BusyError),
        (529, BusyError),
    ],
)
async def test_each_status_is_one_kind_of_failure(
    server: ModelServer,
    generator: HttpGenerator,
    status: int,
    error: type[CountersignError],
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    server.replies = [refusal(server.kind, status, PROMPT)]
    found = await failure(generator)
    assert type(found) is error
    assert f"HTTP {status}" in found.reason
    assert PATIENT not in caplog.text
    assert KEY not in caplog.text
    assert len(server.bodies) == 1, "the step repeats it, not the adapter"


async def test_a_model_that_fails_is_not_asked_again_and_a_server_of_anthropic_is(
    server: ModelServer, generator: HttpGenerator
) -> None:
    server.replies = [refusal(server.kind, 500, PROMPT)]
    assert type(await failure(generator)) is (GenerationRefusedError if server.kind == "openai" else TransientError)


@pytest.mark.parametrize("status", [429, 503, 529])
async def test_nothing_is_sent_before_the_time_that_the_server_named(
    server: ModelServer, generator: HttpGenerator, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.replies = [refusal(server.kind, status, retry_after="30")]
    found = await failure(generator)
    assert isinstance(found, BusyError)
    assert found.retry_after == 30
    waiting = await failure(generator)
    assert isinstance(waiting, BusyError)
    assert 0 < waiting.retry_after <= 30
    assert len(server.bodies) == 1
    monkeypatch.setattr(generator, "_busy_until", generator._busy_until - 30)
    assert (await generator.generate(PROMPT, SAMPLING, deadline=30)).text == TEXT


async def test_a_server_may_ask_for_an_hour_at_most(server: ModelServer, generator: HttpGenerator) -> None:
    server.replies = [refusal(server.kind, 429, retry_after="1e9")]
    found = await failure(generator)
    assert isinstance(found, RateLimitedError)
    assert found.retry_after == 3600


async def test_an_answer_that_is_cut_off_is_no_answer(server: ModelServer, generator: HttpGenerator) -> None:
    whole = events_of(server.kind, TEXT)
    for length in range(len(whole) - 4):
        server.replies = [Reply(chunks=tuple(whole[:length]))]
        found = await failure(generator)
        assert type(found) is TransientError
        assert not isinstance(found, NotGeneratedError), "it may have cost something"


async def test_an_error_amid_the_answer(server: ModelServer, generator: HttpGenerator) -> None:
    begun = events_of(server.kind, TEXT)[:3]
    kinds: list[tuple[object, type[CountersignError]]] = [("overloaded_error", RateLimitedError)]
    kinds += [("rate_limit_error", RateLimitedError), ("api_error", TransientError), ("other", PermanentError)]
    if server.kind == "openai":
        kinds = [(429, RateLimitedError), (503, TransientError), (500, PermanentError), ("x", PermanentError)]
    for code, error in kinds:
        said = {"message": PROMPT, "type": code, "code": code}
        sent = {"error": said} if server.kind == "openai" else {"type": "error", "error": said}
        server.replies = [Reply(chunks=(*begun, event(sent)))]
        assert type(await failure(generator)) is error


@pytest.mark.parametrize(
    "chunk",
    [b"data: {\n\n", b'data: "Jane Doe"\n\n', b'data: {"type": 7, "choices": "Jane Doe"}\n\n', b"data: [1]\n\n"],
)
async def test_an_answer_of_another_shape_is_permanent(
    server: ModelServer, generator: HttpGenerator, chunk: bytes
) -> None:
    server.replies = [Reply(chunks=(chunk,))]
    assert type(await failure(generator)) is PermanentError


async def test_a_withheld_answer_is_permanent(server: ModelServer, generator: HttpGenerator) -> None:
    withheld = anthropic_events(TEXT, stop_reason="refusal")
    if server.kind == "openai":
        withheld = [item.replace(b'"stop"', b'"content_filter"') for item in openai_events(TEXT)]
    server.replies = [Reply(chunks=tuple(withheld))]
    assert type(await failure(generator)) is PermanentError


async def test_a_deadline_that_passes_is_transient_and_ends_the_request(
    server: ModelServer, generator: HttpGenerator
) -> None:
    server.replies = [Reply(chunks=tuple(events_of(server.kind, TEXT)[:3]), hangs=True)]
    found = await failure(generator, deadline=0.5)
    assert type(found) is TransientError
    assert "0.5 s" in found.reason
    assert server.left.wait(30), "the server is told to stop"
    assert (await generator.generate(PROMPT, SAMPLING, deadline=30)).text == TEXT


async def test_an_answer_without_end_is_given_up(
    server: ModelServer, generator: HttpGenerator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_stream, "MAX_EVENT_BYTES", 1000)
    server.replies = [Reply(chunks=(b"data: " + b"x" * 1001,), hangs=True)]
    assert type(await failure(generator)) is PermanentError
    monkeypatch.setattr(event_stream, "MAX_EVENT_BYTES", 10_000)
    monkeypatch.setattr(http_generation, "MAX_TEXT_CHARACTERS", len(TEXT) - 1)
    assert type(await failure(generator)) is PermanentError


async def test_a_server_that_is_away_is_not_ready(server: ModelServer) -> None:
    away = HttpGenerator(APIS[server.kind](), f"http://127.0.0.1:{free_port()}", "m", name="cloud")
    assert not await away.ready()
    assert type(await failure(away)) is UnreadyError
    await away.close()


async def test_ready_needs_the_key_and_is_not_asked_at_every_probe(server: ModelServer) -> None:
    keys = ["wrong", KEY]
    generator = server.generator(key=lambda: keys[0])
    assert not await generator.ready()
    assert type(await failure(generator)) is GenerationRefusedError
    keys.pop(0)  # a new key needs no restart
    assert await generator.served_models() == (MODELS[server.kind],)
    server.paths.clear()
    assert [await generator.ready() for _ in range(3)] == [True] * 3
    assert len(server.paths) == 1
    await generator.close()

"""What the services rely on of an embedder, asked of a real Triton server and of the one of the other tests."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import numpy as np
import pytest
import tritonclient.grpc.aio as triton
from tritonclient.utils import InferenceServerException

from shared.contracts.errors import CountersignError, TransientError
from shared.inference.embeddings import Embedder, TritonEmbedder
from shared.inference.triton import BATCH_PRIORITY, INTERACTIVE_PRIORITY, to_error
from tests.support.embedder import HashEmbedder
from tests.support.stack import until
from tests.support.triton import triton_server

pytestmark = [pytest.mark.triton, pytest.mark.timeout(180), pytest.mark.xdist_group("triton-embedder")]

TEXTS = ["The care of gout is rest.", "Rest is how gout is cared for.", "A volcano is a mountain."]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with triton_server(tmp_path_factory.mktemp("triton"), ("embedder", "embedder-fp32")) as found:
        yield found.grpc


@pytest.fixture(params=["triton", "hash"])
async def embedder(request: pytest.FixtureRequest) -> AsyncIterator[Embedder]:
    if request.param == "triton":
        found: Embedder = TritonEmbedder(request.getfixturevalue("server"), "embedder")
    else:
        found = HashEmbedder()
    yield found
    await found.close()


async def test_vectors_are_of_unit_length_and_like_texts_are_near(embedder: Embedder) -> None:
    vectors = await embedder.embed("embedder", TEXTS, priority=INTERACTIVE_PRIORITY, deadline=30)
    assert vectors.dtype == np.float32
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-3)
    near, far = vectors[0] @ vectors[1], vectors[0] @ vectors[2]
    assert near > far


async def test_a_text_has_its_vector_whatever_it_is_embedded_with(embedder: Embedder) -> None:
    long = "word " * 600
    alone = await embedder.embed("embedder", [TEXTS[0]], priority=INTERACTIVE_PRIORITY, deadline=30)
    mixed = await embedder.embed("embedder", [long, "", TEXTS[0], "x"], priority=BATCH_PRIORITY, deadline=30)
    assert np.allclose(mixed[2], alone[0], atol=1e-4)
    assert np.isfinite(mixed).all()


async def test_it_is_ready(embedder: Embedder) -> None:
    assert await embedder.ready()


async def test_several_models_are_served_at_the_same_time(server: str) -> None:
    embedder = TritonEmbedder(server, "embedder")
    small = await embedder.embed("embedder", TEXTS, priority=INTERACTIVE_PRIORITY, deadline=30)
    true = await embedder.embed("embedder-fp32", TEXTS, priority=INTERACTIVE_PRIORITY, deadline=60)
    assert (small * true).sum(axis=1).min() > 0.97  # int8 against fp32
    await embedder.close()


async def test_a_model_that_is_not_there_and_a_server_that_is_not_there_are_failures(server: str) -> None:
    for embedder, model in ((TritonEmbedder(server, "embedder"), "nothing"), (TritonEmbedder("127.0.0.1:9", "e"), "e")):
        with pytest.raises(CountersignError) as failure:
            await embedder.embed(model, ["secret words"], priority=INTERACTIVE_PRIORITY, deadline=10)
        assert "secret" not in failure.value.reason
        await embedder.close()


async def test_the_query_of_a_draft_goes_before_the_batches_of_the_night(server: str) -> None:
    """Twelve batches wait; a query that comes last is answered after the one that runs, before all that wait."""
    embedder = TritonEmbedder(server, "embedder")
    batch = ["The patient is treated with a medicine and looked at every day. " * 8] * 20
    order: list[str] = []

    async def embed(name: str, texts: list[str], priority: int) -> None:
        await embedder.embed("embedder", texts, priority=priority, deadline=120)
        order.append(name)

    batches = [asyncio.create_task(embed(f"batch{number}", batch, BATCH_PRIORITY)) for number in range(12)]
    await asyncio.wait(batches, return_when=asyncio.FIRST_COMPLETED)  # the queue is there, and moving
    await embed("query", ["care of gout"], INTERACTIVE_PRIORITY)
    before = order.index("query")
    await asyncio.gather(*batches)
    assert len(order) == 13
    assert before <= 4, order
    await embedder.close()


async def test_what_nobody_waits_for_any_more_leaves_the_queue(server: str) -> None:
    """Behind a batch, a request whose time is up is refused by the server and may be tried again."""
    embedder = TritonEmbedder(server, "embedder")
    client = triton.InferenceServerClient(server)
    tensor = triton.InferInput("TEXT", [1, 1], "BYTES")
    tensor.set_data_from_numpy(np.array([[b"late"]], dtype=np.object_))

    async def answered() -> int:
        (found,) = (await client.get_inference_statistics("embedder", as_json=True))["model_stats"]
        return int(found.get("inference_count", 0))

    before = await answered()
    texts = ["The patient is treated and looked at. " * 20] * 200
    batch = asyncio.create_task(embedder.embed("embedder", texts, priority=BATCH_PRIORITY))

    async def moving() -> bool:
        return await answered() > before

    await until(moving, "the batch to be worked on")
    with pytest.raises(InferenceServerException) as refused:
        await client.infer("embedder", [tensor], priority=BATCH_PRIORITY, timeout=1)
    assert type(to_error("embedder", refused.value)) is TransientError
    await batch
    await client.close()
    await embedder.close()


async def test_a_model_that_was_not_loaded_at_the_start_is_named(server: str) -> None:
    embedder = TritonEmbedder(server, "embedder")
    with pytest.raises(TransientError, match="drafter-scripted: not loaded"):
        await embedder.embed("drafter-scripted", TEXTS, priority=INTERACTIVE_PRIORITY, deadline=30)
    await embedder.close()


async def test_a_server_that_came_back_with_smaller_batches_is_asked_again(server: str) -> None:
    embedder = TritonEmbedder(server, "embedder")
    small = await embedder.embed("embedder-fp32", TEXTS, priority=INTERACTIVE_PRIORITY, deadline=60)
    assert embedder._max_batch_sizes["embedder-fp32"] == 1
    embedder._max_batch_sizes["embedder-fp32"] = 4  # what it said before
    with pytest.raises(TransientError):
        await embedder.embed("embedder-fp32", TEXTS, priority=INTERACTIVE_PRIORITY, deadline=60)
    again = await embedder.embed("embedder-fp32", TEXTS, priority=INTERACTIVE_PRIORITY, deadline=60)
    assert np.allclose(small, again, atol=1e-4)
    await embedder.close()

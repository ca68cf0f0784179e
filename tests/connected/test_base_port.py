"""What the services rely on of a vector base: asked of Qdrant's engine in this process and of qdrant-client.

The client's own engine stands for the server; a real one is asked where a container engine is there.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import docker
import numpy as np
import pytest
from testcontainers.community.qdrant import QdrantContainer

from shared.contracts.errors import CountersignError, PermanentError, TransientError
from shared.contracts.knowledge import STILL_VALID, Chunk, SearchMode
from shared.knowledge.embedded_qdrant import EmbeddedQdrant
from shared.knowledge.qdrant_server import QdrantServer
from shared.knowledge.vector_store import ChunkFilter, EmbeddedChunk, StoredPoint, VectorQuery, VectorStore
from tests.support.stack import until

pytestmark = [
    pytest.mark.connected,
    pytest.mark.filterwarnings("ignore:Payload indexes have no effect"),
]

WORDS = ("gout", "stroke", "asthma", "measles", "mumps")


def vector(word: str) -> list[float]:
    found = np.full(8, 0.01)
    found[WORDS.index(word) if word in WORDS else 7] = 1
    return list(found / np.linalg.norm(found))


def point(word: str, since: int, text: str | None = None) -> EmbeddedChunk:
    chunk = Chunk(id=f"c-{word}-{text}", source="s", document=f"{word}.md", title=word, text=text or f"all of {word}")
    return EmbeddedChunk(chunk, vector(word), since)


def question(word: str) -> VectorQuery:
    return VectorQuery(word, vector(word))


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """A real Qdrant in a container; skipped aloud where there is no engine to run one."""
    try:
        docker.from_env(timeout=5).ping()
    except docker.errors.DockerException:
        pytest.skip("no container engine here: the suite runs on qdrant-client's own engine instead of a server")
    with QdrantContainer("qdrant/qdrant:v1.16.0") as container:
        yield f"http://{container.rest_host_address}"


@pytest.fixture(params=["edge", "client", "server"])
async def base(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[VectorStore]:
    if request.param == "edge":
        found: VectorStore = EmbeddedQdrant(tmp_path)
    else:
        found = QdrantServer(":memory:" if request.param == "client" else request.getfixturevalue("server"))
    await found.ensure_collection("c", 8)
    yield found
    await found.close()


async def documents(base: VectorStore, word: str, version: int, mode: SearchMode = "hybrid", k: int = 10) -> list[str]:
    return [hit.chunk.document for hit in await base.search("c", question(word), version, k, mode)]


@pytest.mark.parametrize("mode", ["dense", "sparse", "hybrid"])
async def test_the_nearest_comes_first(base: VectorStore, mode: SearchMode) -> None:
    await base.upsert("c", [point(word, 1) for word in WORDS])
    assert (await documents(base, "gout", 1, mode))[0] == "gout.md"


async def test_a_hit_is_the_chunk_that_was_put_in(base: VectorStore) -> None:
    wanted = Chunk(id="x", source="s", document="d", title="t", path=("a", "b"), text="gout", url="http://x")
    await base.upsert("c", [EmbeddedChunk(wanted, vector("gout"), 4)])
    (hit,) = await base.search("c", question("gout"), 4, 3, "hybrid")
    assert (hit.chunk, hit.since) == (wanted, 4)


@pytest.mark.parametrize("mode", ["dense", "sparse", "hybrid"])
async def test_a_hit_says_how_similar_it_is_in_every_way_of_searching(base: VectorStore, mode: SearchMode) -> None:
    """A fused rank says nothing of how near a hit is: the cosine is that of the two vectors, whatever the score."""
    await base.upsert("c", [point(word, 1) for word in WORDS])
    found = await base.search("c", question("gout"), 1, 10, mode)
    wanted = {f"{word}.md": float(np.dot(vector("gout"), vector(word))) for word in WORDS}
    assert {hit.chunk.document: hit.similarity for hit in found} == pytest.approx(
        {hit.chunk.document: wanted[hit.chunk.document] for hit in found}, abs=1e-5
    )
    assert found[0].similarity == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("mode", ["dense", "sparse", "hybrid"])
async def test_similarity_may_be_measured_to_something_else_than_what_is_ranked_by(
    base: VectorStore, mode: SearchMode
) -> None:
    await base.upsert("c", [point(word, 1) for word in WORDS])
    ranked = await base.search("c", question("gout"), 1, 10, mode)
    found = await base.search("c", VectorQuery("gout", vector("gout"), about=vector("asthma")), 1, 10, mode)
    assert [hit.chunk.id for hit in found][:1] == [hit.chunk.id for hit in ranked][:1]
    assert found[0].chunk.document == "gout.md"
    by_document = {hit.chunk.document: hit.similarity for hit in found}
    assert by_document["gout.md"] == pytest.approx(float(np.dot(vector("gout"), vector("asthma"))), abs=1e-5)
    if "asthma.md" in by_document:
        assert by_document["asthma.md"] == pytest.approx(1, abs=1e-5)


async def test_a_question_about_nothing_that_is_there_has_no_similar_hit(base: VectorStore) -> None:
    await base.upsert("c", [point(word, 1) for word in WORDS])
    for mode in ("dense", "hybrid"):
        found = await base.search("c", question("zzz qqq xxx"), 1, 10, mode)
        assert found
        assert max(hit.similarity for hit in found) < 0.1


@pytest.mark.parametrize("text", [True, False])
async def test_chunks_of_a_version_and_of_one_document_page_by_page(base: VectorStore, text: bool) -> None:
    await base.upsert("c", [point(word, 1) for word in WORDS])
    await base.upsert("c", [point("gout", 2, "new words")])
    await base.set_valid_until("c", [point("gout", 1).id], 2)
    found, after = [], None
    while True:
        page, after = await base.chunks("c", ChunkFilter(2), after, 2, text=text)
        assert len(page) <= 2
        found += page
        if after is None:
            break
    assert sorted(chunk.document for chunk in found) == sorted(f"{word}.md" for word in WORDS)
    for version, wanted in ((1, "all of gout"), (2, "new words")):
        (chunk,), after = await base.chunks("c", ChunkFilter(version, "s", "gout.md"), None, 10, text=text)
        assert (chunk.id, after) == (f"c-gout-{'None' if version == 1 else wanted}", None)
        assert chunk.text == (wanted if text else "")
    assert await base.chunks("c", ChunkFilter(2, "other", "gout.md"), None, 10, text=text) == ([], None)


async def test_a_version_shows_what_came_by_then_and_has_not_left(base: VectorStore) -> None:
    await base.upsert("c", [point("gout", 1), point("stroke", 2), point("asthma", 1)])
    await base.set_valid_until("c", [point("asthma", 1).id], 2)
    shown = {version: set(await documents(base, "gout", version, "dense")) for version in (1, 2, 3)}
    assert shown == {
        1: {"gout.md", "asthma.md"},
        2: {"gout.md", "stroke.md"},
        3: {"gout.md", "stroke.md"},
    }
    assert [await base.count("c", version) for version in (0, 1, 2)] == [0, 2, 2]


async def test_putting_in_twice_is_once(base: VectorStore) -> None:
    for _ in range(2):
        await base.upsert("c", [point("gout", 1), point("stroke", 1)])
    assert await base.count("c", 1) == 2


async def test_a_chunk_that_comes_back_is_another_point(base: VectorStore) -> None:
    await base.upsert("c", [point("gout", 1)])
    await base.set_valid_until("c", [point("gout", 1).id], 2)
    await base.upsert("c", [point("gout", 3)])
    assert [await base.count("c", version) for version in (1, 2, 3)] == [1, 0, 1]


async def test_what_a_version_touched_is_found(base: VectorStore) -> None:
    await base.upsert("c", [point("gout", 1), point("stroke", 1), point("asthma", 2)])
    await base.set_valid_until("c", [point("gout", 1).id], 2)
    found = {item.id: (item.since, item.until) for item in await base.changed_in("c", 2)}
    assert found == {point("gout", 1).id: (1, 2), point("asthma", 2).id: (2, STILL_VALID)}


async def test_everything_before_a_version_can_be_retired(base: VectorStore) -> None:
    await base.upsert("c", [point("gout", 1), point("stroke", 2), point("asthma", 3)])
    await base.set_valid_until("c", [point("gout", 1).id], 2)
    for _ in range(2):
        await base.expire_before("c", 3)
    assert [await base.count("c", version) for version in (1, 2, 3)] == [1, 1, 1]


async def test_what_no_kept_version_shows_can_be_forgotten(base: VectorStore) -> None:
    await base.upsert("c", [point("gout", 1), point("stroke", 1), point("asthma", 2)])
    await base.set_valid_until("c", [point("gout", 1).id], 2)
    await base.set_valid_until("c", [point("stroke", 1).id], 3)
    await base.purge("c", 2)
    assert [await base.count("c", version) for version in (1, 2, 3)] == [1, 2, 1]


async def test_points_can_be_deleted(base: VectorStore) -> None:
    await base.upsert("c", [point("gout", 1), point("stroke", 1)])
    await base.delete("c", [point("gout", 1).id, "00000000-0000-0000-0000-000000000000"])
    await base.delete("c", [])
    await base.flush("c")
    assert await documents(base, "gout", 1, "dense") == ["stroke.md"]


async def test_collections_are_apart_and_made_once(base: VectorStore) -> None:
    await asyncio.gather(*(base.ensure_collection("other", 4) for _ in range(1)))
    await base.ensure_collection("other", 4)
    await base.upsert("c", [point("gout", 1)])
    assert (await base.count("other", 1), await base.count("missing", 1)) == (0, 0)
    await base.point_alias("c")
    assert await base.ready()


async def test_a_missing_collection_is_a_failure(base: VectorStore) -> None:
    with pytest.raises(CountersignError):
        await base.search("missing", question("gout"), 1, 1, "dense")


async def test_searches_run_beside_writes(base: VectorStore) -> None:
    await base.upsert("c", [point(word, 1) for word in WORDS])
    writes = [base.upsert("c", [point("gout", 2, f"text {number}")]) for number in range(20)]
    searches = [documents(base, "stroke", 1, k=1) for _ in range(20)]
    results = await asyncio.gather(*searches, *writes)
    assert results[:20] == [["stroke.md"]] * 20
    assert await base.count("c", 2) == 25


async def test_the_engine_in_this_process_comes_back_after_a_crash(tmp_path: Path) -> None:
    first = EmbeddedQdrant(tmp_path)
    await first.ensure_collection("c", 8)
    await first.upsert("c", [point(word, 1) for word in WORDS])
    del first  # not closed, not flushed
    (tmp_path / "half").mkdir()  # a process died while it was being made
    second = EmbeddedQdrant(tmp_path)

    async def let_go() -> bool:
        try:
            return await second.count("c", 1) == 5
        except TransientError:
            return False  # the engine's threads of the first have not let go of its files yet

    await until(let_go, "what was written")
    assert await second.count("half", 1) == 0
    await second.ensure_collection("half", 8)
    await second.upsert("half", [point("gout", 1)])
    await second.close()


async def test_a_server_that_is_not_there_is_transient() -> None:
    base = QdrantServer("http://127.0.0.1:9")
    assert not await base.ready()
    with pytest.raises(CountersignError) as failure:
        await base.count("c", 1)
    assert not isinstance(failure.value, PermanentError)
    await base.close()


async def test_a_base_page_by_page_is_the_same_base_elsewhere(base: VectorStore, tmp_path: Path) -> None:
    await base.upsert("c", [point(word, since) for word in WORDS for since in (1, 2)])
    await base.set_valid_until("c", [point("gout", 1).id], 2)
    assert await base.collections() == ["c"]
    pages: list[list[StoredPoint]] = []
    after: str | None = None
    while not pages or after is not None:
        found, after = await base.page("c", after, 3)
        pages.append(found)
    assert [len(found) for found in pages] == [3, 3, 3, 1]
    elsewhere = EmbeddedQdrant(tmp_path / "elsewhere")
    await elsewhere.ensure_collection("c", 8)
    for found in pages:
        await elsewhere.restore("c", found)
    for version in (1, 2):
        assert await elsewhere.count("c", version) == await base.count("c", version)
        assert sorted(await documents(elsewhere, "gout", version)) == sorted(await documents(base, "gout", version))
        assert (await documents(elsewhere, "gout", version))[0] == "gout.md"
    await elsewhere.drop("c")
    assert await elsewhere.collections() == []
    assert await elsewhere.count("c", 1) == 0
    await elsewhere.drop("c")
    await elsewhere.close()

"""A draft is explained long after: its configuration is retired, and the version of the knowledge base is purged."""

from collections.abc import AsyncIterator, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml

from cli.contexts import VARIABLES
from shared.contracts import drafter_states as states
from shared.contracts.envelope import sha256_hex
from shared.knowledge.embedded_qdrant import EmbeddedQdrant
from shared.messaging.drafter_registry import DrafterRegistry
from shared.runtime.generation_endpoints import EndpointSettings
from tests.support.drafters import DOCUMENT, WHO, add
from tests.support.ehr import sandbox
from tests.support.examples import T0
from tests.support.knowledge import Library
from tests.support.model_api import KEY, MODELS, model_server
from tests.support.server import NatsServer
from tests.support.serving import command_json, run_beside, served
from tests.support.stack import EvaluatorParts, Stack, running, until

pytestmark = [pytest.mark.connected, pytest.mark.timeout(120)]

HEART_FAILURE = "enc-dedb41e97421"  # a stay with that problem
TOPIC = "heart failure"
REVISION = "2f1c9a7b"


@pytest.fixture
def library(tmp_path: Path) -> Library:
    """Of few documents; every version goes live, and only the live one is kept."""
    found = Library(tmp_path / "library", (TOPIC, "gout", "mumps"))
    found.declare(promotion={"mrr": 0.0, "margin": 1.0, "keep_versions": 1}, relevance={"threshold": 0.1})
    return found


@pytest.fixture
def generation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[EndpointSettings]:
    """The endpoint `clinic`."""
    monkeypatch.setenv("MODEL_KEY", KEY)
    file = tmp_path / "endpoints.yaml"
    with model_server("openai") as server:
        clinic = {"name": "clinic", "kind": "openai", "url": server.url, "model": MODELS["openai"]}
        declared = clinic | {"key_variable": "MODEL_KEY", "revision": REVISION}
        file.write_text(yaml.safe_dump({"endpoints": [declared]}))
        yield EndpointSettings(endpoints=file)


@pytest.fixture
async def stack(
    nats: NatsServer, library: Library, generation: EndpointSettings, tmp_path: Path
) -> AsyncIterator[Stack]:
    await nats.provision()
    base = EmbeddedQdrant(tmp_path / "qdrant")
    parts = EvaluatorParts(base, file=library.file)
    async with running(nats, sandbox(), generation=generation, base=base, evaluator=parts) as found:
        yield found
    await base.close()


async def refresh(stack: Stack) -> int:
    """Refresh the knowledge base; return the version that is live then."""
    begun = await stack.call("operator", "POST", "/v1/knowledge/refreshes")
    assert begun.status_code == 202, begun.text
    path = f"/v1/knowledge/refreshes/{begun.json()['refresh']}"

    async def ended() -> dict[str, Any] | None:
        found: dict[str, Any] = (await stack.call("operator", "GET", path)).json()
        return found if found.get("ended") else None

    found = await until(ended, "the refresh to end")
    assert found["state"] == "promoted", found
    return int(found["version"])


async def version(stack: Stack, number: int) -> dict[str, Any]:
    answer = await stack.call("auditor", "GET", f"/v1/knowledge/versions/{number}")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def drafting_by_endpoint(nats: NatsServer) -> DrafterRegistry:
    """Have the endpoint draft every case."""
    registry = DrafterRegistry(await nats.connect("evaluator"), "evaluator", lambda: T0)
    before = (await registry.state(DOCUMENT)).live
    assert before is not None
    declared = await registry.configuration(before.configuration)
    served = f"openai {MODELS['openai']} {REVISION}"
    digest = await add(registry, declared.model_copy(update={"model": "clinic", "served": served}))
    await registry.move(DOCUMENT, partial(states.promote, digest=digest, by=WHO, reason="better"))
    return registry


@pytest.fixture
async def commands(stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[None]:
    """An auditor's context for the commands."""
    for name in (*VARIABLES, "COUNTERSIGN_NATS_URL", "COUNTERSIGN_DATA_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    token = tmp_path / "auditor.token"
    token.write_text(stack.server.secrets.tokens["auditor"])
    async with served(stack.app) as url:
        assert (await run_beside("context", "add", "here", "--url", url, "--token-file", str(token))).code == 0
        assert (await run_beside("context", "use", "here")).code == 0
        yield


@pytest.mark.usefixtures("commands")
async def test_a_draft_is_explained_when_what_made_it_is_gone(nats: NatsServer, stack: Stack, library: Library) -> None:
    registry = await drafting_by_endpoint(nats)
    cited = await refresh(stack)
    first = {name: file_digest(library, name) for name in (TOPIC, "gout", "mumps")}
    case = await stack.discharge(HEART_FAILURE)
    await stack.reaches(case, "awaiting-review")
    draft = (await stack.review(case))["draft"]
    digest = draft["drafter"]["configuration"]
    assert draft["knowledge"]["version"] == cited
    judged = await version(stack, cited)

    for move in (states.roll_back, states.retire):
        await registry.move(DOCUMENT, partial(move, digest=digest, by=WHO, reason="as it was"))
    library.write(TOPIC, "another cure")
    (library.documents / "mumps.md").unlink()
    await refresh(stack)
    library.write("gout", "cherries")
    now = await refresh(stack)
    gone = await stack.call("auditor", "GET", "/v1/knowledge/search", params={"q": "care", "at": cited})
    assert gone.status_code == 410, "its passages are purged"

    assert (await stack.review(case))["draft"] == draft
    await check_the_configuration(registry, draft, digest)
    explained = await version(stack, cited)
    assert explained == judged | {"searchable": False}
    assert (explained["version"], explained["decision"], explained["embedder"]) == (cited, "promoted", "embedder")
    assert explained["documents"]["new"] == len(first)
    listed = {item["document"]: item for item in explained["listed"]}
    assert {name: item["digest"] for name, item in listed.items()} == {
        f"{name}.md": item for name, item in first.items()
    }
    assert await command_json("knowledge", "version", str(cited)) == explained
    shown = (await run_beside("knowledge", "version", str(cited))).out
    assert all(word in shown for word in (*(item[:12] for item in first.values()), "no longer kept", "promoted")), shown
    (passage, *_) = draft["knowledge"]["passages"]
    assert passage["document"] in listed
    assert "rest and water" in " ".join(item["text"] for item in draft["knowledge"]["passages"])
    last = {item["document"]: item["digest"] for item in (await version(stack, now))["listed"]}
    assert last == {f"{name}.md": file_digest(library, name) for name in (TOPIC, "gout")}
    unknown = await stack.call("auditor", "GET", f"/v1/knowledge/versions/{now + 1}")
    assert unknown.status_code == 404
    await registry._bus.close()


def file_digest(library: Library, topic: str) -> str:
    return sha256_hex((library.documents / f"{topic}.md").read_bytes())


async def check_the_configuration(registry: DrafterRegistry, draft: dict[str, Any], digest: str) -> None:
    """It is retired; the prompt and the model of the draft are those that it has stored."""
    entry = (await registry.state(DOCUMENT)).entries[digest]
    assert entry.state == "retired"
    stored = await registry.configuration(digest)
    assert stored.digest == digest
    assert draft["prompt"] == stored.prompt.stamp.model_dump()
    assert draft["prompt"]["digest"] == sha256_hex(stored.prompt.text.encode())
    assert draft["model"] == f"{MODELS['openai']} {REVISION}"
    assert stored.served == f"openai {draft['model']}"
    moves = [(item.body.event, item.body.configuration) for item in await registry.history(DOCUMENT)]
    assert ("added", digest) in moves
    assert ("promoted", digest) in moves

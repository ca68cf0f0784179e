"""Limits that a hospital's folder of kinds declares decide what the gate says, in the API, on the page, by command."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from pydantic import SecretStr

from cli.contexts import VARIABLES
from cli.stack.secrets import write_tokens
from services.drafter.configurations import declare_drafters
from services.drafter.kinds import load_kinds
from services.evaluator.main import build as build_evaluator
from services.evaluator.settings import EvaluatorSettings
from shared.contracts.evaluations import DraftFigures, EvaluationRequested, ItemJudged
from shared.contracts.subjects import derived_id
from shared.knowledge.embedded_qdrant import EmbeddedQdrant
from shared.messaging.drafter_registry import DrafterRegistry
from shared.messaging.evaluations import EvaluationLog
from shared.runtime.service import create_app
from tests.support.drafters import DECLARED, DOCUMENT, LIVE, PROMPT, WHO, add
from tests.support.embedder import HashEmbedder
from tests.support.examples import T0
from tests.support.server import NatsServer
from tests.support.service_settings import make_settings
from tests.support.serving import command_json, run_beside, served

pytestmark = [pytest.mark.connected, pytest.mark.timeout(120)]

CANDIDATE = LIVE.model_copy(update={"prompt": PROMPT})
CANARY = ("--share", "0.1", "--reason", "a better prompt")
SHIPPED = DraftFigures(
    supported=8,
    contradicted=2,
    sentences=10,
    kept=10,
    rouge_l=0.9,
    similarity=0.9,
    similarity_by_part={"significant-findings": 0.7, "condition-at-discharge": 0.9},
)
REASON = "contradicted is 0.200, live 0.200: over the limit of 0.1"


@pytest.fixture
async def drafter(nats: NatsServer) -> AsyncIterator[DrafterRegistry]:
    """The registry, as a drafter with the shipped kinds has declared it."""
    await nats.provision()
    bus = await nats.connect("drafter")
    registry = DrafterRegistry(bus, "drafter", lambda: T0)
    await declare_drafters(registry, DECLARED, load_kinds(None))
    yield registry
    await bus.close()


@pytest.fixture
async def evaluator(nats: NatsServer, drafter: DrafterRegistry) -> AsyncIterator[DrafterRegistry]:
    bus = await nats.connect("evaluator")
    yield DrafterRegistry(bus, "evaluator", lambda: T0)
    await bus.close()


@pytest.fixture
async def url(
    nats: NatsServer, drafter: DrafterRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[str]:
    """An evaluator that commands reach."""
    for name in (*VARIABLES, "COUNTERSIGN_NATS_URL", "COUNTERSIGN_DATA_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    tokens, mine = tmp_path / "tokens.json", tmp_path / "operator.token"
    write_tokens(tokens, nats.secrets.tokens)
    mine.write_text(nats.secrets.tokens["operator"])
    base = EmbeddedQdrant(tmp_path / "qdrant")
    seed = SecretStr(nats.secrets.seeds["evaluator"])
    settings = make_settings(EvaluatorSettings, nats_url=nats.url, nats_seed=seed, tokens_file=tokens)
    app = create_app([build_evaluator(settings, embedder=HashEmbedder(), base=base)])
    async with app.router.lifespan_context(app), served(app) as address:
        assert (await run_beside("context", "add", "here", "--url", address, "--token-file", str(mine))).code == 0
        assert (await run_beside("context", "use", "here")).code == 0
        yield address
    await base.close()


async def evaluated(nats: NatsServer, drafter: DrafterRegistry, evaluator: DrafterRegistry) -> tuple[str, str]:
    """A candidate that was evaluated on twelve stays, as good as what is live; its digest and the evaluation."""
    digest = await add(evaluator, CANDIDATE)
    id = derived_id(digest, "shadow")
    request = EvaluationRequested(
        document=DOCUMENT, candidate=digest, live=LIVE.digest, items=(), by=WHO, reason="does it hold?"
    )
    await EvaluationLog(evaluator._bus, "evaluator", lambda: T0).append(id, request)
    log = EvaluationLog(drafter._bus, "drafter", lambda: T0)
    for number in range(1, 13):
        await log.append(id, ItemJudged(number=number, case=f"case-{number}", candidate=SHIPPED, live=SHIPPED))
    return digest, id


async def test_limits_of_a_kind_hold_a_candidate_back_until_they_are_met(
    nats: NatsServer, drafter: DrafterRegistry, evaluator: DrafterRegistry, url: str, tmp_path: Path
) -> None:
    digest, id = await evaluated(nats, drafter, evaluator)
    (found,) = await command_json("drafters", "evaluations", digest)
    assert (found["passed"], found["reasons"]) == (True, [])
    (metric,) = [item for item in found["metrics"] if item["name"] == "contradicted"]
    assert (metric["limit"], metric["margin"], metric["failed"], metric["passed"]) == (0.4, 0.01, [], True)

    own = tmp_path / "kinds" / DOCUMENT
    own.mkdir(parents=True)
    (own / "kind.toml").write_text(f'extends = "{DOCUMENT}"\n[gate.contradicted]\nlimit = 0.1\n')
    kinds = load_kinds(own.parent)
    for _ in range(2):  # another process of the drafter, or the same again
        await declare_drafters(drafter, DECLARED, kinds)
    names = [item.body.event for item in await evaluator.history(DOCUMENT)]
    assert names == ["declared", "added", "declared"]

    (held,) = await command_json("drafters", "evaluations", digest)
    assert (held["id"], held["passed"], held["reasons"]) == (id, False, [REASON])
    (metric,) = [item for item in held["metrics"] if item["name"] == "contradicted"]
    assert (metric["limit"], metric["margin"], metric["failed"], metric["passed"]) == (0.1, 0.01, ["limit"], False)
    shown = (await run_beside("drafters", "evaluations", digest)).out
    assert f"not passed: {REASON}" in shown
    assert "parts       significant-findings 0.700 (live 0.700), condition-at-discharge" in shown
    refused = await run_beside("drafters", "canary", digest, *CANARY)
    assert (refused.code, "over the limit of 0.1" in refused.err) == (1, True), refused
    headers = {"Authorization": f"Bearer {nats.secrets.tokens['operator']}"}
    async with httpx.AsyncClient(base_url=url, headers=headers) as http:
        page = (await http.get(f"/drafters/{digest}/evaluations/{id}")).text
    for words in ("Beyond the limit", "at most 0.1, margin 0.01", REASON, "Similarity by part", "Significant findings"):
        assert words in page, words

    await declare_drafters(drafter, DECLARED, load_kinds(None))  # the folder was taken away again
    assert (await command_json("drafters", "canary", digest, *CANARY))["state"] == "canary"

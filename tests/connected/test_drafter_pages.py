"""The pages about drafters: who may open them, that they show the gate that is applied, and that a form acts once."""

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from services.evaluator.canary import Comparison, OutcomeCounts
from services.evaluator.decision_sums import PartEdits, SignalSum
from services.evaluator.drift import Drift, Drifted, KnowledgeFigures, SignalState
from services.evaluator.feedback import DrafterFeedback, EditCluster, RatingCounts
from services.evaluator.signed_stays import SignedStays
from shared.contracts.evaluations import DraftFigures, EvaluationRequested, ItemJudged
from shared.knowledge.embedded_qdrant import EmbeddedQdrant
from shared.messaging.buckets import Bucket
from shared.messaging.drafter_registry import DrafterRegistry
from shared.messaging.evaluations import EvaluationLog
from tests.support.drafters import DOCUMENT, LIVE, PROMPT, WHO, add, start_canary
from tests.support.ehr import sandbox, stays
from tests.support.examples import T0
from tests.support.server import NatsServer
from tests.support.stack import EvaluatorParts, Stack, running, until

pytestmark = [pytest.mark.connected, pytest.mark.timeout(240)]

CANDIDATE = LIVE.model_copy(update={"prompt": PROMPT})
FORM = {
    "text": "Write briefly about this:\n{facts}{words}\n",
    "stop": "",
    "max_tokens": "90",
    "temperature": "0",
    "seed": "0",
    "repetition_penalty": "1.1",
    "model": LIVE.model,
    "policy": "strict",
    "reason": "briefer",
}


@dataclass
class Console:
    """The stack with the evaluator, and its registry of drafters."""

    stack: Stack
    registry: DrafterRegistry

    async def page(self, path: str, role: str = "engineer") -> str:
        answer = await self.stack.call(role, "GET", path)
        assert answer.status_code == 200, answer.text
        assert answer.headers["cache-control"] == "no-store"
        return " ".join(re.sub(r"<[^>]+>", " ", answer.text).split())

    async def press(self, path: str, role: str = "engineer", **form: Any) -> httpx.Response:
        return await self.stack.call(role, "POST", path, data=form)

    async def states(self) -> dict[str, str]:
        return {digest: item.state for digest, item in (await self.registry.state(DOCUMENT)).entries.items()}

    async def events(self) -> list[str]:
        return [item.body.event for item in await self.registry.history(DOCUMENT)]


@pytest.fixture
async def console(nats: NatsServer, tmp_path: Path) -> AsyncIterator[Console]:
    await nats.provision()
    base = EmbeddedQdrant(tmp_path / "qdrant")
    async with running(nats, sandbox(), evaluator=EvaluatorParts(base)) as stack:
        bus = await nats.connect("evaluator")
        registry = DrafterRegistry(bus, "evaluator", lambda: T0)

        async def declared() -> bool:
            return (await registry.state(DOCUMENT)).live is not None

        await until(declared, "a drafter to declare its configurations")
        yield Console(stack, registry)
        await bus.close()
    await base.close()


async def sign(stack: Stack, number: int) -> None:
    """Have `number` stays drafted and signed."""
    for encounter in stays()[1 : 1 + number]:
        case_id = await stack.discharge(encounter)
        await stack.reaches(case_id, "awaiting-review")
        assert (await stack.decide(case_id, "approve")).status_code == 200
        await stack.reaches(case_id, "filed")


async def test_engineers_and_operators_act_auditors_read_and_nobody_else_does(console: Console) -> None:
    digest = await add(console.registry, CANDIDATE)
    for path in ("/drafters", f"/drafters/{digest}", "/drafters/sets"):
        for role in ("engineer", "operator", "auditor"):
            await console.page(path, role)
        for role in ("physician", "supervisor", "editor", "ingest"):
            assert (await console.stack.call(role, "GET", path)).status_code == 403, (path, role)
    assert "Gate and moves" in await console.page(f"/drafters/{digest}")
    assert "Promote" not in await console.page(f"/drafters/{digest}", "auditor")
    forms = {
        f"/drafters/{digest}/retire": {"reason": "no use"},
        f"/drafters/{digest}/evaluations": {"reason": "no use"},
        f"/drafters/{digest}/edit": FORM,
        "/drafters/sets": {"name": "icu", "document": DOCUMENT, "reason": "no use"},
    }
    before = await console.events()
    for path, form in forms.items():
        for role in ("auditor", "physician", "supervisor", "editor", "ingest"):
            assert (await console.press(path, role, **form)).status_code == 403, (path, role)
    assert (await console.stack.call("auditor", "GET", f"/drafters/{digest}/edit")).status_code == 403
    assert await console.events() == before


async def test_the_gate_that_is_shown_is_the_gate_that_is_applied(
    console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.evaluator.draft_metrics.MIN_JUDGED", 2)
    digest = await add(console.registry, CANDIDATE)
    path = f"/drafters/{digest}"
    closed = "Evaluate it against the live configuration first."
    assert closed in await console.page(path)
    for move in ("canary", "promote"):
        answer = await console.press(f"{path}/{move}", reason="try it")
        assert answer.status_code == 409
        assert f"Nothing was done. Not evaluated: {closed}" in " ".join(answer.text.split())
        assert 'value="try it"' in answer.text  # what was typed is kept
    assert (await console.states())[digest] == "candidate"

    await sign(console.stack, 2)
    bus = console.registry._bus
    there = len(await SignedStays(bus).last(DOCUMENT, 10))
    assert there == 2
    answer = await console.press(f"{path}/evaluations", reason="a new prompt")
    assert answer.status_code == 303
    of_evaluation = answer.headers["location"]
    again = await console.press(f"{path}/evaluations", reason="a new prompt")
    assert again.headers["location"] == of_evaluation  # the same stays are one evaluation

    async def judged() -> str | None:
        found = await console.page(of_evaluation)
        return found if "Passes the gate" in found or "Held back" in found else None

    shown = await until(judged, "the evaluation")
    assert "2 of 2 stays drafted" in shown
    assert "data-refresh" not in (await console.stack.call("engineer", "GET", of_evaluation)).text
    passes = "Passes the gate" in shown
    assert ("✓ Passes the gate" in await console.page(path)) == passes
    answer = await console.press(f"{path}/promote", reason="better")
    assert (answer.status_code == 303) == passes, answer.text
    assert (await console.states())[digest] == ("live" if passes else "candidate")
    assert (await console.press("/drafters/nothing/promote", reason="better")).status_code == 404


async def test_a_form_that_is_sent_twice_acts_once(console: Console) -> None:
    digest = await add(console.registry, CANDIDATE)
    path, start = f"/drafters/{digest}", await console.events()
    moves: tuple[tuple[str, dict[str, str], str], ...] = (
        ("canary", {"percent": "25", "unevaluated": "true"}, "canary-started"),
        ("rollback", {}, "rolled-back"),
        ("shadow", {}, "shadowed"),
        ("promote", {"unevaluated": "true"}, "promoted"),
        ("rollback", {}, "rolled-back"),
        ("retire", {}, "retired"),
    )
    for name, form, event in moves:
        for _ in range(2):
            answer = await console.press(f"{path}/{name}", reason="try it", **form)
            assert (answer.status_code, answer.headers["location"]) == (303, f"{path}?done={name}"), answer.text
        start.append(event)
        assert await console.events() == start
    assert "Retired" in await console.page(path)
    answer = await console.press(f"{path}/baseline", reason="new unit")
    assert (answer.status_code, "It has not drifted" in answer.text) == (409, True)


@pytest.mark.parametrize("form", [{}, {"reason": "  "}, {"reason": "x", "percent": "100"}, {"reason": "x" * 1001}])
async def test_a_form_that_is_not_filled_in_is_refused(console: Console, form: dict[str, str]) -> None:
    digest = await add(console.registry, CANDIDATE)
    answer = await console.press(f"/drafters/{digest}/canary", **form)
    assert (answer.status_code, "<h1>" in answer.text) == (422, True)
    assert (await console.states())[digest] == "candidate"


async def test_the_workbench_saves_a_candidate_once_and_loses_nothing_that_was_typed(console: Console) -> None:
    live = (await console.registry.state(DOCUMENT)).live
    assert live is not None
    path = f"/drafters/{live.configuration}/edit"
    base = await console.registry.configuration(live.configuration)
    before = await console.events()
    broken = (({"text": "No facts.\n"}, "no placeholder {facts}"), ({"reason": ""}, "Say why"))
    for change, why in broken:
        answer = await console.press(path, **FORM | change)
        assert (answer.status_code, why in answer.text) == (422, True)
        assert (FORM | change)["text"] in answer.text
    looked = await console.press(path, **FORM | {"look": "1"})
    assert (looked.status_code, "What differs: prompt" in looked.text) == (200, True)
    assert await console.events() == before

    found = {(await console.press(path, **FORM)).headers["location"] for _ in range(2)}
    assert len(found) == 1
    assert await console.events() == [*before, "added"]
    digest = found.pop().removeprefix("/drafters/").removesuffix("?done=added")
    saved = await console.registry.configuration(digest)
    assert (saved.prompt.text, saved.prompt.version) == (FORM["text"], base.prompt.version + 1)
    assert (saved.model, saved.policy, saved.served) == (base.model, base.policy, base.served)
    assert "It is a candidate now" in await console.page(f"/drafters/{digest}?done=added")
    same = FORM | {"text": base.prompt.text, "stop": "\n".join(base.prompt.stop)}
    same |= {"max_tokens": str(base.prompt.max_tokens)}
    same |= {name: str(value) for name, value in base.sampling.model_dump().items()} | {"policy": base.policy}
    answer = await console.press(path, **same)
    assert (answer.status_code, "Nothing differs" in answer.text) == (422, True)


async def test_a_set_is_made_once_and_says_where_it_cannot_be(console: Console) -> None:
    form = {"name": "icu", "document": DOCUMENT, "reason": "long stays"}
    answer = await console.press("/drafters/sets", **form)
    assert (answer.status_code, "was signed yet" in answer.text) == (409, True)
    await sign(console.stack, 1)
    for _ in range(2):
        assert (await console.press("/drafters/sets", **form)).headers["location"] == "/drafters/sets/icu@1?done=made"
    shown = await console.page("/drafters/sets")
    assert "icu@1" in shown
    assert "icu@2" not in shown
    assert "1 stay" in await console.page("/drafters/sets/icu")


async def test_the_page_shows_the_canary_the_drift_and_what_physicians_change(console: Console) -> None:
    """Figures as the projections store them."""
    digest = await add(console.registry, CANDIDATE)
    await start_canary(console.registry, digest, 0.25)
    state = await console.registry.state(DOCUMENT)
    assert state.live is not None
    assert state.canary is not None
    live, figures = state.live.configuration, Bucket(console.registry._bus, "comparisons")
    shown_only = {
        "signals": {"contradicted": SignalSum(count=8, total=2.0), "unread": SignalSum(count=3, total=3.0)},
        "parts": {"medications-at-discharge": PartEdits(drafts=3, edits=9)},
    }
    counts = {"decisions": 9, "rejected": 2, "edited": 4, "replaced": 3.5, "distance": 210, "compared": 6}
    sides = {"of_canary": OutcomeCounts(**counts, **shown_only)}
    compared = Comparison(canary=digest, began=state.canary.began, worse=6, better=1, same=2, **sides)
    signal = SignalState(count=230, total=10.0, recent=0.4)
    found = Drifted(signal="replaced", sequence=9, time=T0, decisions=230, baseline=0.05, recent=0.4)
    knowledge = tuple(
        KnowledgeFigures(version=version, figures=OutcomeCounts(**counts, signals=shown_only["signals"]))
        for version in (3, 4)
    )
    watched = {"signals": {"replaced": signal}, "knowledge": knowledge, "drifted": found}
    drift = Drift(configuration=live, began=state.live.began, decisions=230, **watched)
    edits = tuple(EditCluster(part=f"part-{at}", kind="sentence-removed", count=3, drafts=2) for at in range(20))
    feedback = DrafterFeedback(configuration=live, signed=8, unchanged=3, edits=edits, ratings=RatingCounts(useful=5))
    for key, value in ((digest, compared), (f"drift.{live}", drift), (f"feedback.{live}", feedback)):
        await figures.put(key, value.model_dump_json().encode(), revision=0)

    shown = await console.page(f"/drafters/{digest}")
    assert "Canary 25 %" in shown
    assert f"Evidence that it is worse: {compared.evidence:.3f} of 20" in shown
    assert "Of 9 pairs of decisions it was worse in 6" in shown
    assert "record contradicts 0.250 8 – 0" in shown
    assert "can have been read 1.000 3 – 0" in shown
    assert "Medications at discharge 50 % 1.500 – –" in shown
    assert "1 drifted" in await console.page("/drafters")
    for role in ("engineer", "auditor"):
        shown = await console.page(f"/drafters/{live}", role)
        assert "0.400 of late, 0.050 at first" in shown
        assert "4 9 2 – 50 % 25 % 100 %" in shown
        assert "5 more kinds of edits are not shown" in shown
        assert "5 useful" in shown
        assert ("Reset the baseline" in shown) == (role == "engineer")
    before = await console.events()
    answers = [await console.press(f"/drafters/{live}/baseline", reason="the new unit") for _ in range(2)]
    assert [item.status_code for item in answers] == [303, 409]
    assert await console.events() == [*before, "baseline-reset"]


async def test_an_evaluation_that_fails_says_why_and_shows_every_stay(console: Console, nats: NatsServer) -> None:
    digest = await add(console.registry, CANDIDATE)
    live = (await console.registry.state(DOCUMENT)).live
    assert live is not None
    id = "00000000-0000-4000-8000-000000000001"
    pair = {"candidate": digest, "live": live.configuration}
    request = EvaluationRequested(document=DOCUMENT, items=(), by=WHO, reason="does it hold?", **pair)
    await EvaluationLog(console.registry._bus, "evaluator", lambda: T0).append(id, request)
    bus = await nats.connect("drafter")
    log = EvaluationLog(bus, "drafter", lambda: T0)
    good = DraftFigures(supported=4, sentences=4, kept=4, rouge_l=0.9, similarity=0.9, facts_signed=5, cost=0.01)
    bad = DraftFigures(contradicted=2, not_in_record=2, sentences=4, silent=True, model_silent="no answer in time")
    for number in range(1, 61):
        where = {"number": number, "case": f"case-{number}", "department": "icu" if number % 2 else "cardiology"}
        figures = {"left_out": "its texts were erased"} if number == 7 else {"candidate": bad, "live": good}
        await log.append(id, ItemJudged(**where, **figures))
    await bus.close()
    path = f"/drafters/{digest}/evaluations/{id}"
    shown = await console.page(path, "auditor")
    for words in (
        "Held back",
        "59 stays",
        "contradicted is 0.500, live 0.000",
        "1: its texts were erased",
        "By department",
        "Cardiology",
        "model silent: no answer in time",
        "case-50",
    ):
        assert words in shown, words
    assert "case-51" not in shown
    rest = await console.page(f"{path}?after=50")
    assert "case-51" in rest
    assert "case-50" not in rest
    assert "Held back" in await console.page(f"/drafters/{digest}")
    other = await add(console.registry, CANDIDATE.model_copy(update={"policy": "marked"}))
    answer = await console.stack.call("engineer", "GET", f"/drafters/{other}/evaluations/{id}")
    assert answer.status_code == 404

"""The pages about drafters: who may open them, that they show the gate that is applied, and that a form acts once."""

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from services.evaluator.signed_stays import SignedStays
from shared.knowledge.embedded_qdrant import EmbeddedQdrant
from shared.messaging.drafter_registry import DrafterRegistry
from tests.support.drafters import DOCUMENT, LIVE, PROMPT, add
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

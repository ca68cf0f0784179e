"""Which stays the nightly census prepares, and what the model may use for them."""

from datetime import timedelta
from typing import Any

from services.drafter.writing import Assignment, DraftWriter
from services.ingest.preparation.nightly_preparation import SearchBudget, stays_to_prepare
from shared.inference.generation import Sampling
from tests.support.drafters import declared_drafters
from tests.support.examples import T0
from tests.support.generator import ScriptedGenerator
from tests.unit.test_reuse import CONTEXT


def encounter(id: str, days: float | None = None, **changed: Any) -> dict[str, Any]:
    period = {"start": "2026-11-20"} | ({"end": (T0 + timedelta(days=days)).isoformat()} if days is not None else {})
    found = {"resourceType": "Encounter", "id": id, "status": "in-progress", "class": {"code": "IMP"}, "period": period}
    return found | changed


def test_stays_that_end_soon_come_first_and_the_budget_holds() -> None:
    found = stays_to_prepare(
        [
            encounter("later"),
            encounter("planned", 3),
            encounter("soon", 1),
            encounter("overdue", -1),
            encounter("gone", status="finished"),
            encounter("visit", **{"class": {"code": "AMB"}}),
            {"resourceType": "OperationOutcome", "id": "x"},
        ],
        "cardiology",
        T0,
        SearchBudget(night=250, stay=100),
        None,
    )
    assert [(item.encounter_id, item.trigger, item.tokens) for item in found] == [
        ("soon", "planned-date", 100),
        ("planned", "planned-date", 100),
        ("later", "census", 0),
        ("overdue", "census", 0),
    ]
    assert sum(item.tokens or 0 for item in found) <= 250
    assert [item.expected_at for item in found[:2]] == [T0 + timedelta(days=1), T0 + timedelta(days=3)]


def test_only_stays_that_plan_an_end_within_the_time() -> None:
    stays = [encounter("later"), encounter("planned", 3), encounter("soon", 1)]
    found = stays_to_prepare(stays, "cardiology", T0, SearchBudget(1000, 100), timedelta(days=2))
    assert [item.encounter_id for item in found] == ["soon"]


async def test_a_stay_beyond_the_budget_is_drafted_without_the_model_and_says_so() -> None:
    class Counting(ScriptedGenerator):
        used = 0

        async def generate(self, prompt: str, sampling: Sampling, **more: Any) -> Any:
            self.used += len(prompt) // 3 + sampling.max_tokens
            return await super().generate(prompt, sampling, **more)

    for tokens, asked in ((None, True), (0, False), (50, False), (20_000, True)):
        generator = Counting()
        task = Assignment(case="c1", department="x", context_digest="c" * 64, last=False, preparing=True, tokens=tokens)
        draft = await DraftWriter(declared_drafters(generator), 5.0, None).write(CONTEXT, task)
        assert bool(generator.prompts) is asked
        assert tokens is None or generator.used <= tokens
        assert asked or "budget of tokens" in (draft.model_silent or "")
        assert "Pneumonia" in draft.text

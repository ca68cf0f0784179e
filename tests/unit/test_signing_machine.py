"""No sequence of edits, redrafts, reloads and decisions, by any channel, files a sentence with an unresolved label.

The real gate, desk, pages, API, Task and filing run on a bus in memory with the sandbox EHR behind them
(tests/support/approving.py); hypothesis chooses what people do (tests/support/signing.py). Each mutant below takes one
rule away, and the machine has to find it.
"""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from services.approval import domain
from services.approval.corrections import rules as correction_rules
from services.approval.handlers import Approval
from services.approval.review import signing_rules
from shared.contracts.draft import Draft
from shared.contracts.subjects import CaseRef
from shared.grounding import EvidenceIndex, check
from tests.support.effort import THOROUGH
from tests.support.signing import CONTEXT, LABELS, POOL, AfterFiling, Signing

# The limit is for a machine under load; alone, the whole file takes two minutes.
pytestmark = [pytest.mark.timeout(300), pytest.mark.slow, pytest.mark.system]
ONCE = settings(
    max_examples=10 * THOROUGH,
    stateful_step_count=20,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
)
HUNT = settings(ONCE, max_examples=300, derandomize=True, database=None, report_multiple_bugs=False)

TestSigning = Signing.TestCase
TestSigning.settings = ONCE
TestAfterFiling = AfterFiling.TestCase
TestAfterFiling.settings = ONCE


def test_the_labels_of_the_sentences_are_those_of_the_check() -> None:
    record = EvidenceIndex(CONTEXT)
    assert {text: check(text, record).label for text in POOL} == LABELS


def without(field: str) -> Callable[..., Any]:
    """The gate, blind to what is to be resolved in one field."""
    unresolved = signing_rules.unresolved
    return lambda *given: [item for item in unresolved(*given) if item.field != field]


def of_any_draft() -> Callable[..., Any]:
    """A decision that is about whatever is under review, not about what was seen."""
    open_review = domain.open_review
    return lambda case, seen: open_review(case, case.review.draft.digest if case.review else seen)


async def the_drafts_text(approval: Approval, case: CaseRef, signature: Any) -> str:
    draft = Draft.model_validate_json(await approval._artifacts.of(case.id).get(signature.draft.digest))
    return draft.text


def by_the_letter(draft: Draft, text: str) -> tuple[int, ...]:
    """A sentence that is spaced in another way counts as gone."""
    return tuple(index for index, item in enumerate(draft.sentences) if item.text in text)


def carried_for_ever(case: Any, draft: Draft, resolved: signing_rules.ResolvedItems) -> signing_rules.ResolvedItems:
    """What was confirmed for any text before stays confirmed, also where it was taken out since."""
    bodies = [correction_rules.signature_of(entry) for entry in case.entries]
    said = {item.sentence: item.how for body in bodies for item in body.resolutions if item.how == "confirmed"}
    own = {item.digest for body in bodies for item in body.written}
    points = tuple(range(len(draft.open_points)))
    return signing_rules.ResolvedItems(said | dict(resolved.resolutions), points, resolved.written | frozenset(own))


MUTANTS: dict[str, tuple[Any, str, Callable[[], Any]]] = {
    "sentences of the draft": (signing_rules, "unresolved", lambda: without("resolutions")),
    "open points": (signing_rules, "unresolved", lambda: without("acknowledged")),
    "sentences of one's own": (signing_rules, "unconfirmed", lambda: lambda *given: []),
    "the whole document": (signing_rules, "incomplete", lambda: lambda *given: []),
    "who wrote it": (signing_rules, "misleading", lambda: lambda *given: []),
    "the draft that was seen": (domain, "open_review", of_any_draft),
    "spaces": (Draft, "sentences_in", lambda: by_the_letter),
    "what was taken out": (correction_rules, "carried", lambda: carried_for_ever),
    "what is filed": (Approval, "_signed_text", lambda: the_drafts_text),
}


@pytest.mark.parametrize("rule", MUTANTS)
def test_a_rule_that_is_left_out_is_missed(rule: str, monkeypatch: pytest.MonkeyPatch) -> None:
    where, name, make = MUTANTS[rule]
    machine = AfterFiling if where is correction_rules else Signing
    monkeypatch.setattr(where, name, make())
    with pytest.raises(AssertionError):
        run_state_machine_as_test(machine, settings=HUNT)  # type: ignore[no-untyped-call]

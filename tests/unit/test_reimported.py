"""What was taken over from the chart: which state it leads to, where it fits, and that it is no signature made now."""

import pytest

from services.approval import domain
from services.approval.corrections import rules as correction_rules
from services.approval.escalation import rules as escalation_rules
from services.approval.projections.open_reviews import follow
from shared.contracts.case import current_digest, fold, is_expected, restored_event
from shared.contracts.corrections import Retracted, RetractionFiled
from shared.contracts.envelope import ChainHead
from shared.contracts.events import Failed, Filed, Reimported, Signature
from shared.messaging.permissions import operator_permissions, permissions
from shared.messaging.topology import SERVICES
from tests.support.examples import event
from tests.unit.test_approval import REVIEW, history

FILED = (*REVIEW, "approved", "filed")
REFUSED = Failed(step="file", reason="the EHR holds something else", attempts=1)


def taken(name: str, **more: object) -> Reimported:
    """As if it was in the chart and nowhere else."""
    found = event("reimported")
    assert isinstance(found, Reimported)
    lost = event(name)
    filed = (
        RetractionFiled(provenance="p")
        if isinstance(lost, Retracted)
        else Filed(document_reference="d2", provenance="p")
    )
    return found.model_copy(update={"signature": lost, "filed": filed, "chain_head": f"{name:0>64}"} | more)


@pytest.mark.parametrize(
    "before",
    [
        (),
        ("discharged",),
        REVIEW,
        (*REVIEW, "escalated"),
        (*REVIEW, "rejected"),  # another draft was asked for, and may have been signed since
        ("discharged", "withdrawn"),
        (*REVIEW, "approved", REFUSED),
        (*FILED, "retraction-requested", "retracted", "retraction-filed"),
    ],
)
def test_a_first_signature_ends_whatever_waits_for_one(before: tuple[object, ...]) -> None:
    past = history(*before, taken("approved"))  # type: ignore[arg-type]
    case = fold(past)
    assert (case.state, case.awaits, case.failure, case.open) == ("filed", None, None, False)
    assert case.document == Filed(document_reference="d2", provenance="p")
    (entry,) = case.entries
    assert entry.signature.head == ChainHead(past[-1].head.sequence, f"{'approved':0>64}")
    assert current_digest(case) == "e" * 64
    assert len(case.earlier) == int("retracted" in before)
    assert correction_rules.number_of(case, entry.signature) == 1 + len(case.earlier)


@pytest.mark.parametrize(
    ("name", "before"),
    [
        ("approved", FILED),
        ("approved", (*REVIEW, "approved")),
        ("approved", (*FILED, "retraction-requested", "retracted")),
        ("amended", REVIEW),
        ("amended", (*FILED, "amended")),
        ("retracted", REVIEW),
        ("retracted", (*FILED, "retraction-requested", "retracted", "retraction-filed")),
        ("amended", (*FILED, "retraction-requested", "retracted", REFUSED)),
    ],
)
def test_what_the_case_cannot_have_come_to_does_not_fit(name: str, before: tuple[object, ...]) -> None:
    past = history(*before)  # type: ignore[arg-type]
    assert not is_expected(fold(past), taken(name))


@pytest.mark.parametrize(("name", "state"), [("amended", "filed"), ("addended", "filed"), ("retracted", "retracted")])
@pytest.mark.parametrize("before", [FILED, (*FILED, "retraction-requested"), (*FILED, "amended", REFUSED)])
def test_what_came_after_the_filing_follows_it(name: str, state: str, before: tuple[object, ...]) -> None:
    past = history(*before, taken(name))  # type: ignore[arg-type]
    case = fold(past)
    assert (case.state, case.awaits, case.failure) == (state, None, None)
    texts = [entry for entry in case.entries if entry.filed is not None]
    assert len(texts) == (1 if name == "retracted" else 2)
    assert case.document is not None
    assert case.document.document_reference == ("d2" if name == "amended" else "doc-1")


def test_nobody_signed_it_now() -> None:
    past = history(*REVIEW, taken("approved"))
    last = past[-1]
    assert (last.name, last.actor) == ("reimported", "operator")
    lost = restored_event(last)
    assert isinstance(lost.body, Signature)
    assert (lost.name, lost.actor) == ("approved", "dr-1")
    assert restored_event(past[0]) is past[0]


def test_the_review_ends_with_its_clock_and_its_tasks() -> None:
    past = history(*REVIEW, "escalated", taken("approved"))
    waiting = None
    for item in past:
        if item.name in ("review-requested", "escalated", "reimported"):
            waiting = follow(waiting, item)
    assert waiting is None
    (told,) = escalation_rules.escalations(past)
    assert escalation_rules.ended_by(told, past) == escalation_rules.EscalationEnd("approved", done=True)
    assert [item.level for item in escalation_rules.possible(past, ("Practitioner/deputy",))] == [1, 2, 3]
    assert [item.deputies for item in escalation_rules.possible(past, ("d",))] == [(), ("d",), ()]
    assert {outcome.code for _, outcome in domain.reviewed(past) if outcome} == {"approved"}
    review = fold(past[:4]).review
    assert review is not None
    assert domain.classify_decision(past, review.draft.digest, review.stay.encounter) == "already-decided"
    assert domain.classify_decision(past, "another", review.stay.encounter) == "stale"
    alone = history(taken("approved"))
    assert domain.classify_decision(alone, review.draft.digest, review.stay.encounter) == "already-decided", (
        "its draft was lost with the trail"
    )
    assert domain.classify_decision(alone, review.draft.digest, "Encounter/other") == "stale"


def test_an_operator_asks_for_it_and_writes_no_signature_onto_the_trail() -> None:
    own = {right for right in operator_permissions().publish if right.startswith(("discharge.", "ehr.reimport"))}
    assert own == {"ehr.reimport.*"}
    writers = [service for service in SERVICES if "discharge.*.*.reimported" in permissions(service).publish]
    assert writers == ["approval"]
    assert not any("ehr.reimport" in right for service in SERVICES for right in permissions(service).publish)

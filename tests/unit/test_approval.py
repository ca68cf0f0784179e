"""The rules of review and signature, and the FHIR resources that say so."""

import base64
import hashlib
import json
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from services.approval import domain
from services.approval.escalation import rules as escalation_rules
from services.approval.filing import resources, signed_resources
from services.approval.filing.renditions import chart
from services.approval.projections.open_reviews import follow
from services.approval.review import repeated
from services.approval.review.errors import DecisionRefusedError
from services.approval.settings import ApprovalSettings, parse_durations
from shared.contracts.case import Case, fold
from shared.contracts.envelope import ChainHead, RecordedEvent, sha256_hex
from shared.contracts.events import Actor, Approved, CaseEvent, Drafted, Rejected, ReviewRequested
from shared.web.render import span
from tests.support.examples import CASE, DIGEST, PHYSICIAN, T0, draft, draft_ref, event

EXAMPLES = Path(__file__).parents[3] / "shared" / "data" / "fhir-examples"
SUPERVISOR = Actor(subject="boss", role="supervisor", method="token")
LATER = (T0 + timedelta(days=1), T0 + timedelta(days=2), T0 + timedelta(days=3))
REVIEW = ("discharged", "context-extracted", "drafted", "review-requested")


def history(*names: str | CaseEvent) -> list[RecordedEvent]:
    bodies = [event(item) if isinstance(item, str) else item for item in names]
    return [
        RecordedEvent(
            CASE, f"id-{n}", "countersign/approval", T0 + timedelta(minutes=n), "", body, ChainHead(n, f"{n}")
        )
        for n, body in enumerate(bodies, start=1)
    ]


def approve(
    past: Sequence[RecordedEvent], seen: str = DIGEST, text: str | None = None, by: Actor = PHYSICIAN
) -> Approved:
    return domain.approve(fold(past), seen, by, draft=draft(), text=text, supervisor="Practitioner/boss")


def test_an_approval_signs_the_draft_that_was_seen() -> None:
    past = history(*REVIEW)
    made = approve(past)
    assert (made.draft.digest, made.signer) == (DIGEST, "Practitioner/dr-1")
    assert made.signed == sha256_hex(draft().text.encode())
    other = approve(past, text=f"{draft().text}One line more.\n")
    assert other.signed == sha256_hex(f"{draft().text}One line more.\n".encode())
    assert other.edited


@pytest.mark.parametrize(
    ("past", "seen", "why"),
    [
        ((), DIGEST, "unknown"),
        (REVIEW[:3], DIGEST, "not-open"),
        (REVIEW, "f" * 64, "stale"),
        ((*REVIEW, "approved"), DIGEST, "decided"),
        ((*REVIEW, "rejected"), DIGEST, "decided"),
        ((*REVIEW, "withdrawn"), DIGEST, "not-open"),
        ((*REVIEW, "approved", "filed"), DIGEST, "decided"),
    ],
)
def test_what_may_not_be_decided_is_refused(past: tuple[str, ...], seen: str, why: str) -> None:
    for decide in (
        lambda: approve(history(*past), seen),
        lambda: domain.reject(fold(history(*past)), seen, PHYSICIAN, "close", DIGEST),
    ):
        with pytest.raises(DecisionRefusedError) as refused:
            decide()
        assert refused.value.code == why


def test_who_signs() -> None:
    case = fold(history(*REVIEW))
    nobody = Actor(subject="demo", role="physician", method="token")
    assert domain.signer(case, PHYSICIAN, None) == "Practitioner/dr-1"
    assert domain.signer(case, nobody, None) == "Practitioner/dr-1", "the review's owner"
    assert domain.signer(case, SUPERVISOR, "Practitioner/boss") == "Practitioner/boss"
    assert domain.signer(case, SUPERVISOR, None) is None
    for method in ("oidc", "jwt", "demo", None):
        for role in ("physician", "supervisor"):
            with pytest.raises(DecisionRefusedError):  # nobody signs as somebody else
                domain.signer(case, Actor(subject="x", role=role, method=method), "Practitioner/boss")


def test_the_same_decision_sent_again_is_found() -> None:
    """By the same person, about the same draft, with the same text: anything else is another decision."""
    signed = event("approved")
    assert isinstance(signed, Approved)
    case, seen, by = fold(history(*REVIEW, signed)), signed.draft.digest, signed.by
    edited = signed.model_copy(update={"signed": hashlib.sha256(b"mine").hexdigest(), "edited": True})
    unedited = signed.model_copy(update={"signed": signed.draft.text, "edited": False})
    for done, text in ((edited, "mine"), (unedited, None)):
        case = fold(history(*REVIEW, done))
        assert repeated.approved_before(case, seen, by, text) == done
        assert repeated.approved_before(case, seen, by, "other words") is None
        assert repeated.approved_before(case, "f" * 64, by, text) is None
        assert repeated.approved_before(case, seen, SUPERVISOR, text) is None
    assert repeated.approved_before(fold(history(*REVIEW, edited)), seen, by, None) is None
    assert repeated.approved_before(fold(history(*REVIEW)), seen, by, None) is None
    refused = event("rejected")
    assert isinstance(refused, Rejected)
    case, again = fold(history(*REVIEW, refused)), (refused.draft.digest, refused.by)
    assert repeated.rejected_before(case, *again, refused.action, refused.reason) == refused
    assert repeated.rejected_before(case, *again, "close", refused.reason) is None
    assert repeated.rejected_before(case, *again, refused.action, "f" * 64) is None
    assert repeated.approved_before(case, *again, None) is None


def test_a_review_cannot_be_put_off_for_ever() -> None:
    """Given away every 23 hours, it is still taken over after twice the usual time."""
    after = (timedelta(hours=24), timedelta(hours=72), timedelta(days=7))
    assert escalation_rules.deadlines(T0, after, T0) == tuple(T0 + wait for wait in after)
    now, end = T0, T0 + timedelta(days=14)
    while now < T0 + timedelta(days=28):
        due = escalation_rules.deadlines(now, after, T0)
        assert due == tuple(sorted(due))
        assert now <= due[-1] <= max(end, now)
        now += timedelta(hours=23)
    assert escalation_rules.deadlines(end - timedelta(hours=1), after, T0)[-1] == end
    assert escalation_rules.deadlines(end, after, T0) == (end, end, end)


def test_a_rejection_leads_back_to_the_drafter_or_to_the_end() -> None:
    rejected = event("rejected")
    assert isinstance(rejected, Rejected)
    again = domain.after_rejection(rejected)
    assert again.event == "redraft-requested"
    assert (again.number, again.words, again.context) == (2, "b" * 64, "c" * 64)
    assert domain.after_rejection(rejected.model_copy(update={"action": "close"})).event == "closed"


def test_what_became_of_each_draft_of_an_ended_case() -> None:
    drafted, rejected, approved = event("drafted"), event("rejected"), event("approved")
    assert isinstance(drafted, Drafted)
    assert isinstance(rejected, Rejected)
    assert isinstance(approved, Approved)
    second = draft_ref(2, "b" * 64)
    redrafted = drafted.model_copy(update={"draft": second})
    signed = approved.model_copy(update={"draft": second})
    past = history(*REVIEW, rejected, "redraft-requested", redrafted, "review-requested", signed, "filed")
    assert domain.reviewed(past) == [
        (draft_ref(), ("rejected-redraft", past[4].id)),
        (second, ("approved", past[-2].id)),
    ]
    assert domain.reviewed(history(*REVIEW, "withdrawn")) == [(draft_ref(), None)]
    again = history(*REVIEW, "withdrawn", *REVIEW, "approved", "filed")
    assert domain.reviewed(again) == [(draft_ref(), ("approved", again[-2].id))]


def test_escalations_are_told_once_in_order_and_only_while_nobody_decided() -> None:
    past = history(*REVIEW)
    first = escalation_rules.escalate(past, "id-4", 1, T0, None)
    assert first is not None
    assert (first.level, first.owner) == (1, None)
    assert escalation_rules.escalate(history(*REVIEW, "escalated"), "id-4", 1, T0, None) is None
    assert escalation_rules.escalate(history(*REVIEW, "approved"), "id-4", 1, T0, None) is None
    assert escalation_rules.escalate(past, "id-of-an-earlier-review", 1, T0, None) is None
    assert escalation_rules.escalate(past, "id-4", 2, T0, None) is None, "one level after the other"
    assert escalation_rules.next_deadline(fold(past), "id-4", 1) == T0 + timedelta(hours=72)
    assert escalation_rules.next_deadline(fold(past), "id-4", 3) is None
    assert escalation_rules.next_deadline(fold(history(*REVIEW, "approved")), "id-4", 1) is None
    second = escalation_rules.escalate(history(*REVIEW, "escalated"), "id-4", 2, T0, None, ["P/d"])
    assert second is not None
    assert (first.deputies, second.deputies) == ((), ("P/d",))
    last = escalation_rules.escalate(history(*REVIEW, "escalated", second), "id-4", 3, T0, "P/s", ["P/d"])
    assert last is not None
    assert (last.owner, last.deputies) == ("P/s", ())


def test_a_reassigned_review_belongs_to_somebody_else_and_stays_open() -> None:
    made = domain.reassign(fold(history(*REVIEW)), "Practitioner/dr-2", PHYSICIAN, DIGEST, LATER)
    case = fold(history(*REVIEW, made))
    assert (case.owner, case.open) == ("Practitioner/dr-2", True)
    with pytest.raises(DecisionRefusedError):
        domain.reassign(fold(history(*REVIEW, "approved")), "Practitioner/dr-2", PHYSICIAN, DIGEST, LATER)


def test_a_reassigned_review_has_a_clock_of_its_own() -> None:
    made = domain.reassign(fold(history(*REVIEW)), "Practitioner/dr-2", PHYSICIAN, DIGEST, LATER)
    past = history(*REVIEW, "escalated", made)
    case = fold(past)
    assert case.review is not None
    assert (case.level, case.escalation_run, case.review.deadlines) == (0, "id-6", LATER)
    assert escalation_rules.escalate(past, "id-4", 2, T0, None) is None, "a timer of the clock before"
    assert escalation_rules.next_deadline(case, "id-4", 1) is None
    assert escalation_rules.next_deadline(case, "id-6", 0) == LATER[0]
    assert escalation_rules.escalate(past, "id-6", 1, T0, None) is not None
    assert escalation_rules.waiting_since(past) == past[3].time, "the document waits as long as it did"
    without = fold(history(*REVIEW, "escalated", made.model_copy(update={"deadlines": None})))
    assert (without.level, without.escalation_run) == (1, "id-4"), "as earlier versions recorded it"


def test_an_escalation_is_told_for_its_own_clock_until_that_ends() -> None:
    made = domain.reassign(fold(history(*REVIEW)), "Practitioner/dr-2", PHYSICIAN, DIGEST, LATER)
    first, second = escalation_rules.escalations(history(*REVIEW, "escalated", made, "escalated"))
    assert (first.clock, second.clock) == ("id-4", "id-6")
    past = history(*REVIEW, "escalated", made, "escalated", "approved")
    assert escalation_rules.ended_by(first, past) == escalation_rules.EscalationEnd("reassigned", done=False)
    assert escalation_rules.ended_by(second, past) == escalation_rules.EscalationEnd("approved", done=True)
    assert escalation_rules.ended_by(second, past[:-1]) is None
    withdrawn = history(*REVIEW, "escalated", made, "escalated", "withdrawn")
    assert escalation_rules.ended_by(second, withdrawn) == escalation_rules.EscalationEnd(
        "discharge-cancelled", done=False
    )


def test_a_line_of_the_inbox_follows_from_the_history() -> None:
    past = history(*REVIEW, "escalated", "reassigned")
    waiting = None
    for item in past[3:]:
        waiting = follow(waiting, item)
    assert waiting is not None
    line = waiting.line
    assert (line.owner, line.level, line.draft) == ("Practitioner/dr-2", 1, DIGEST)
    assert (line.requested_at, line.case_id) == (past[3].time, CASE.id)
    assert waiting.case.head == past[-1].head
    assert waiting.case.review == fold(past).review
    for name in ("approved", "rejected", "withdrawn"):
        assert follow(waiting, history(*REVIEW, name)[-1]) is None
    assert follow(None, past[-1]) is None


def test_a_stay_that_goes_on_takes_the_discharge_back() -> None:
    review = event("review-requested")
    assert isinstance(review, ReviewRequested)
    assert domain.is_discharge_cancelled(Case(), review, "in-progress")
    assert not domain.is_discharge_cancelled(Case(), review, "finished")
    never_finished = review.model_copy(update={"encounter_status": "in-progress"})
    assert not domain.is_discharge_cancelled(Case(), never_finished, "in-progress"), (
        "some EHRs finish the encounter later"
    )
    again = fold(history("discharged", "withdrawn", "discharged"))
    assert again.reopened, "the second may be a late copy of the first"
    assert domain.is_discharge_cancelled(again, never_finished, "in-progress")
    assert not domain.is_discharge_cancelled(again, never_finished, "finished")
    assert not fold(history("discharged")).reopened


def approved() -> Approved:
    found = event("approved")
    assert isinstance(found, Approved)
    return found


def contents(text: str) -> list[dict[str, Any]]:
    return chart.contents({"text/plain": text.encode()}, T0)


def drafted() -> Drafted:
    found = event("drafted")
    assert isinstance(found, Drafted)
    return found


def test_the_document_says_that_an_ai_and_a_clinician_stand_behind_it() -> None:
    found = signed_resources.document(CASE, approved(), contents("text"), "dev-1", T0)
    assert found["type"]["coding"][0]["code"] == "18842-5"
    assert [item["code"] for item in found["meta"]["security"]] == ["AIAST", "CLINAST"]
    assert [item["reference"] for item in found["author"]] == ["Device/dev-1", "Practitioner/dr-1"]
    attachment = found["content"][0]["attachment"]
    assert base64.b64decode(attachment["data"]) == b"text"
    assert base64.b64decode(attachment["hash"]) == hashlib.sha1(b"text", usedforsecurity=False).digest()


def test_the_provenance_carries_the_head_of_the_chain() -> None:
    found = signed_resources.provenance(approved(), "doc-1", "dev-1", "h" * 64, T0, T0)
    assert resources.chain_head_of(found) == "h" * 64
    assert resources.chain_head_of({"resourceType": "Provenance"}) is None
    who = [agent["who"]["reference"] for agent in found["agent"]]
    assert who == ["Device/dev-1", "Practitioner/dr-1"]


def test_a_signature_of_unknown_identity_is_a_logical_reference_never_a_made_up_one() -> None:
    unknown = approved().model_copy(update={"signer": None})
    found = signed_resources.document(CASE, unknown, contents("text"), "dev-1", T0)
    assert found["authenticator"]["identifier"]["value"] == "dr-1"
    assert "reference" not in found["authenticator"]


@pytest.mark.parametrize(
    ("example", "made"),
    [
        (
            "task-review",
            resources.task(
                CASE, drafted().stay, drafted().draft, "dev-1", T0, T0, "http://x", drafted().stay.attending
            ),
        ),
        ("documentreference-final", signed_resources.document(CASE, approved(), contents("text"), "dev-1", T0)),
        ("provenance", signed_resources.provenance(approved(), "doc-1", "dev-1", "h" * 64, T0, T0)),
        ("device-ai", resources.device(approved().draft)),
    ],
)
def test_what_we_write_has_the_elements_of_examples_that_a_real_server_took(example: str, made: dict[str, Any]) -> None:
    file = EXAMPLES / f"{example}.json"
    if not file.exists():
        pytest.skip("the shared FHIR examples are not here: ../shared/data/fhir-examples")
    wanted = json.loads(file.read_text())
    assert made["resourceType"] == wanted["resourceType"]
    for name in made:
        if name in wanted:
            assert type(made[name]) is type(wanted[name]), name
    known = {"id", "meta", "text", "language"}
    optional = {"contained", "extension", "patient", "manufacturer", "udiCarrier", "status", "note", "description"}
    optional |= {"relatesTo", "policy", "signature", "basedOn", "groupIdentifier", "reasonCode", "securityLabel"}
    assert set(wanted) - set(made) <= known | optional


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("24h,72h,7d", [86400, 259200, 604800]), ("2s, 4s ,6s", [2, 4, 6]), ("0.5s,1m,1h", [0.5, 60, 3600])],
)
def test_durations(text: str, seconds: list[float]) -> None:
    parsed: Any = parse_durations(text)
    assert [item.total_seconds() for item in parsed] == seconds


@pytest.mark.parametrize("text", ["", "24h", "24h,72h", "3h,2h,1h", "1h,1h,2h", "a,b,c", "1w,2w,3w", "-1h,2h,3h"])
def test_durations_that_make_no_sense(text: str) -> None:
    with pytest.raises(ValueError, match=r"three durations|later than"):
        parse_durations(text)


def test_settings_come_from_the_environment_and_secrets_are_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValidationError, match="COUNTERSIGN_NATS_SEED"):
        ApprovalSettings()
    monkeypatch.setenv("COUNTERSIGN_NATS_SEED", "SUA")
    monkeypatch.setenv("COUNTERSIGN_ESCALATE_AFTER", "2s,4s,6s")
    monkeypatch.setenv("COUNTERSIGN_EHR_URL", "http://ehr.example/fhir")
    found = ApprovalSettings()
    assert [item.total_seconds() for item in found.escalate_after] == [2, 4, 6]
    assert (found.ehr.url, found.host) == ("http://ehr.example/fhir", "127.0.0.1")
    assert "SUA" not in repr(found)


@pytest.mark.parametrize(
    ("minutes", "words"), [(0, "0 min"), (59, "59 min"), (60, "1 h"), (2879, "47 h"), (2880, "2 d")]
)
def test_how_long_a_review_waits(minutes: int, words: str) -> None:
    assert span(minutes * 60) == words


def test_a_rejection_that_is_sent_again_is_known_when_the_redraft_is_there() -> None:
    words = "b" * 64
    rejected = domain.reject(fold(history(*REVIEW)), DIGEST, PHYSICIAN, "redraft", words)
    past = history(*REVIEW, rejected, "redraft-requested", "drafted", "review-requested")
    assert repeated.rejected_before(fold(past), DIGEST, PHYSICIAN, "redraft", words) is None
    assert repeated.rejected_earlier(past, DIGEST, PHYSICIAN, "redraft", words) == rejected
    for other in (
        (DIGEST, PHYSICIAN, "redraft", "c" * 64),
        (DIGEST, PHYSICIAN, "close", words),
        ("e" * 64, PHYSICIAN, "redraft", words),
    ):
        assert repeated.rejected_earlier(past, *other) is None

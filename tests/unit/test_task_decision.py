"""What a Task in the EHR says, whether it decides a case, and how far a reconciling search has come."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.approval import domain
from services.approval.ehr_tasks.reconciler import should_alert
from services.approval.ehr_tasks.task_decision import (
    NO_WORDS,
    cancelled_by_us,
    parse_decision,
    parse_review_task,
    signer_of,
)
from services.approval.ehr_tasks.watermark import (
    OVERLAP,
    Watermark,
    advance,
    ended,
    middle_of,
    query,
    search_start,
    unknown,
)
from services.approval.filing import resources
from shared.contracts.case import fold
from shared.contracts.events import Drafted, Rejected, ReviewRequested
from shared.contracts.timestamps import format_timestamp
from tests.support.examples import CASE, DIGEST, STAY, T0, draft_ref, event
from tests.unit.test_approval import REVIEW, history

OTHER = {"coding": [{"system": "urn:vendor", "code": "done"}]}


def task(status: str = "requested", code: str | None = None, **more: Any) -> dict[str, Any]:
    made = resources.task(CASE, STAY, draft_ref(), "dev-1", T0, T0, "http://x", STAY.attending) | {
        "id": "t1",
        "status": status,
    }
    if code is not None:
        made["businessStatus"] = resources.business_status(code)
    return made | {"meta": {"versionId": "2", "lastUpdated": format_timestamp(T0)}} | more


def output(code: str) -> list[dict[str, Any]]:
    return [{"type": {"text": "decision"}, "valueCode": code}]


JUNK: tuple[Any, ...] = (None, "junk", 7, [], {}, [None, "junk"], {"coding": "junk"}, [{"coding": [None]}], True)


@pytest.mark.parametrize("junk", JUNK, ids=map(repr, JUNK))
@pytest.mark.parametrize(
    "element", ["identifier", "businessStatus", "statusReason", "output", "input", "note", "owner", "focus", "meta"]
)
def test_no_element_of_another_form_stops_the_reading_of_a_task(element: str, junk: Any) -> None:
    dirty = task("completed", "approved") | {element: junk}
    assert parse_decision(dirty) is not None
    assert (parse_review_task(dirty) is None) == (element == "identifier")
    assert signer_of(dirty, [{element: junk, "recorded": junk}]) == (None if element == "owner" else STAY.attending)


@pytest.mark.parametrize("junk", JUNK, ids=map(repr, JUNK))
def test_a_provenance_of_another_form_carries_no_head(junk: Any) -> None:
    assert resources.chain_head_of({"entity": junk}) is None
    assert resources.chain_head_of({"entity": [{"what": junk}, {"what": {"identifier": junk}}]}) is None
    ours = resources.digest_entity("source", resources.CHAIN_HEAD_SYSTEM, DIGEST)
    assert resources.chain_head_of({"entity": [junk, ours]}) == DIGEST
    assert resources.chain_head_of({"entity": ours}) == DIGEST, "one that is not in a list is read all the same"


def test_a_task_says_which_draft_it_asks_about() -> None:
    asked = parse_review_task(task())
    assert asked is not None
    assert (asked.task, asked.case_id, asked.digest, asked.focus) == ("t1", CASE.id, DIGEST, "Encounter/e1")


@pytest.mark.parametrize(
    "identifier",
    [
        [],
        None,
        "junk",
        [{"system": "urn:other", "value": f"{CASE.id}/1"}],
        [{"system": resources.REVIEW_SYSTEM, "value": ">/1"}],
        [{"system": resources.REVIEW_SYSTEM}],
    ],
)
def test_a_task_that_is_none_of_ours_asks_for_nothing(identifier: Any) -> None:
    assert parse_review_task(task(identifier=identifier)) is None


@pytest.mark.parametrize("outcome", ["approved", "rejected-close", "rejected-redraft", "rejected-withdraw"])
def test_what_we_wrote_ourselves_is_no_word_of_a_physician(outcome: str) -> None:
    ours = resources.completed(task(), outcome, T0, event="id-5")
    assert parse_decision(ours) is None
    assert parse_decision(ours | {"output": ours["output"][:-1]}) is not None, "it is the mark that says so"
    before_marks = resources.completed(task(), outcome, T0, "DocumentReference/d1")
    assert parse_decision(before_marks) is None


def test_a_task_that_waits_again_has_no_mark_any_more() -> None:
    again = resources.sent_back(resources.completed(task(), "approved", T0, event="id-5"), "read it", T0)
    assert parse_decision(again | {"status": "completed"}) == parse_decision(task("completed"))


@pytest.mark.parametrize("status", ["draft", "requested", "received", "accepted", "ready", "in-progress", "on-hold"])
def test_while_a_task_is_open_nothing_is_said(status: str) -> None:
    assert parse_decision(task(status)) is None
    assert parse_decision(task(status, "approved")) is None


@pytest.mark.parametrize(
    ("found", "kind", "action"),
    [
        (task("completed"), "approve", None),
        (task("completed", "approved"), "approve", None),
        (task("completed", output=output("approved")), "approve", None),
        (task("completed", businessStatus={}), "approve", None),
        (task("completed", "rejected-redraft"), "refuse", "redraft"),
        (task("completed", "rejected-close"), "refuse", "close"),
        (task("completed", "rejected-withdraw"), "refuse", "withdraw"),
        (task("completed", output=output("rejected-close")), "refuse", "close"),
        (task("rejected"), "refuse", "close"),
        (task("rejected", "rejected-redraft"), "refuse", "redraft"),
        (task("rejected", "approved"), "unclear", None),
        (task("completed", "approved", output=output("rejected-close")), "unclear", None),
        (task("completed", "banana"), "unclear", None),
        (task("completed", output=output("banana")), "unclear", None),
        (task("completed", businessStatus=OTHER), "unclear", None),
        (task("completed", businessStatus={"text": "Refused"}), "unclear", None),
        (task("cancelled"), "gone", None),
        (task("failed"), "gone", None),
        (task("entered-in-error"), "gone", None),
    ],
)
def test_what_a_physician_answered(found: dict[str, Any], kind: str, action: str | None) -> None:
    word = parse_decision(found)
    assert word is not None
    assert word.kind == kind
    if action is not None:
        assert word.action == action


def test_a_task_that_we_called_off_says_nothing() -> None:
    found = resources.cancelled(task(), T0)
    assert cancelled_by_us(found)
    assert parse_decision(found) is None


@pytest.mark.parametrize(
    ("more", "text"),
    [
        ({"statusReason": {"text": " Mention the stairs. "}}, "Mention the stairs."),
        ({"statusReason": {"coding": [{"display": "Wrong patient"}]}}, "Wrong patient"),
        ({"note": [{"text": "first"}, {"text": "last"}]}, "last"),
        ({"statusReason": {"text": "reason"}, "note": [{"text": "note"}]}, "reason"),
        ({"note": [{"text": "x" * 9000}]}, "x" * 4000),
        ({}, NO_WORDS),
    ],
)
def test_the_physicians_words(more: dict[str, Any], text: str) -> None:
    word = parse_decision(task("completed", "rejected-redraft", **more))
    assert word is not None
    assert word.text == text


def provenance(who: str, seconds: float) -> dict[str, Any]:
    recorded = format_timestamp(T0 + timedelta(seconds=seconds))
    return {"recorded": recorded, "agent": [{"who": {"reference": who}}]}


@pytest.mark.parametrize(
    ("provenances", "signer"),
    [
        ([], "Practitioner/dr-1"),
        ([provenance("https://ehr.example/fhir/Practitioner/dr-2/_history/4", 0)], "Practitioner/dr-2"),
        ([provenance("Practitioner/dr-2", 0), provenance("Practitioner/dr-3", -10)], "Practitioner/dr-2"),
        ([provenance("Device/us", -3600)], "Practitioner/dr-1"),
        ([provenance("Device/robot", 0)], None),
        ([{"recorded": "yesterday", "agent": "junk"}], "Practitioner/dr-1"),
    ],
)
def test_who_signs_in_the_ehr(provenances: list[dict[str, Any]], signer: str | None) -> None:
    assert signer_of(task("completed"), provenances) == signer


def test_a_task_that_belongs_to_no_person_is_signed_by_nobody() -> None:
    assert signer_of(task("completed", owner={"display": "Supervisor of cardiology"}), []) is None
    assert signer_of(task("completed", owner={"reference": "Organization/o1"}), []) is None


def second_round() -> tuple[Rejected, Drafted, ReviewRequested]:
    rejected, drafted, review = event("rejected"), event("drafted"), event("review-requested")
    assert isinstance(rejected, Rejected)
    assert isinstance(drafted, Drafted)
    assert isinstance(review, ReviewRequested)
    again = draft_ref(2, "b" * 64)
    return rejected, drafted.model_copy(update={"draft": again}), review.model_copy(update={"draft": again})


@pytest.mark.parametrize(
    ("past", "digest", "focus", "answer"),
    [
        (REVIEW, DIGEST, STAY.encounter, "decide"),
        ((*REVIEW, "escalated", "reassigned"), DIGEST, STAY.encounter, "decide"),
        (REVIEW[:3], DIGEST, STAY.encounter, "later"),
        ((*REVIEW[:3], "failed"), DIGEST, STAY.encounter, "later"),
        (REVIEW[:2], DIGEST, STAY.encounter, "stale"),
        ((*REVIEW, "approved"), DIGEST, STAY.encounter, "already-decided"),
        ((*REVIEW, "approved", "filed"), DIGEST, STAY.encounter, "already-decided"),
        ((*REVIEW, "withdrawn"), DIGEST, STAY.encounter, "already-decided"),
        ((*REVIEW, "withdrawn", *REVIEW), DIGEST, STAY.encounter, "decide"),
        (REVIEW, "f" * 64, STAY.encounter, "stale"),
        (REVIEW, DIGEST, "Encounter/other", "stale"),
        ((*REVIEW, *second_round()), DIGEST, STAY.encounter, "already-decided"),
        ((*REVIEW, *second_round()), "b" * 64, STAY.encounter, "decide"),
        ((), DIGEST, STAY.encounter, "stale"),
    ],
)
def test_whether_an_answer_decides(past: tuple[Any, ...], digest: str, focus: str, answer: str) -> None:
    assert domain.classify_decision(history(*past), digest, focus) == answer


def test_whose_word_counts() -> None:
    case = fold(history(*REVIEW, "reassigned"))
    assert domain.may_sign(case, "Practitioner/dr-1", ()), "the attending"
    assert domain.may_sign(case, "Practitioner/dr-2", ()), "whoever it was given to"
    assert domain.may_sign(case, "Practitioner/boss", (None, "Practitioner/boss"))
    assert not domain.may_sign(case, "Practitioner/nurse", (None, "Practitioner/boss"))


@pytest.mark.parametrize(
    ("past", "role", "looked_at", "begun"),
    [
        (REVIEW, "physician", f"draft {DIGEST}", True),
        (REVIEW, "supervisor", f"draft {DIGEST}", False),
        ((*REVIEW, "reassigned"), "supervisor", f"draft {DIGEST}", True),
        (REVIEW, "physician", f"draft {'f' * 64}", False),
        (REVIEW, "physician", "no draft yet", False),
        ((*REVIEW, "approved"), "physician", f"draft {DIGEST}", False),
        (REVIEW, None, f"draft {DIGEST}", False),
    ],
)
def test_which_look_begins_a_review(past: tuple[str, ...], role: str | None, looked_at: str, begun: bool) -> None:
    assert domain.starts_review(fold(history(*past)), role, looked_at) is begun


def at(seconds: float, id: str = "t1", version: str = "1") -> dict[str, Any]:
    updated = format_timestamp(T0 + timedelta(seconds=seconds))
    return task("completed", id=id, meta={"versionId": version, "lastUpdated": updated})


def test_the_first_search_begins_before_the_oldest_review() -> None:
    asked = query(search_start(Watermark(), T0), None)
    assert [name for name, _ in asked] == ["code", "status", "_lastUpdated"]
    assert asked[-1] == ("_lastUpdated", "ge2026-11-22T09:00:00.000Z")


def test_the_next_search_begins_where_the_last_one_ended_in_the_ehrs_own_time() -> None:
    mark = advance(Watermark(failed=2), ended([at(0), at(1800, "t2")]), T0 + timedelta(days=9))
    assert mark.seen == T0 + timedelta(seconds=1800)
    assert (mark.known, mark.failed, mark.run) == (("t2/1",), 0, T0 + timedelta(days=9))
    assert search_start(mark, T0) == T0 + timedelta(seconds=1800) - OVERLAP
    assert advance(mark, [], T0).seen == mark.seen, "a search that finds nothing moves nothing"


def test_a_part_of_the_time_moves_the_mark_to_its_end() -> None:
    end = T0 + timedelta(hours=5)
    mark = advance(Watermark(failed=2), ended([at(0), at(5 * 3600 - 1, "t2")]), T0 + timedelta(days=9), end)
    assert (mark.seen, mark.known, mark.failed, mark.run) == (end, ("t2/1",), 0, None)


@given(st.integers(1, 10**7), st.one_of(st.none(), st.integers(1, 10**7)))
def test_the_time_is_halved_until_a_part_still_moves_the_mark_on(now: int, end: int | None) -> None:
    stop = T0 + timedelta(seconds=end) if end is not None else None
    half = middle_of(T0, stop, T0 + timedelta(seconds=now))
    if half is not None:
        assert half - T0 > OVERLAP
        assert stop is None or half < stop


def test_what_was_told_is_not_told_again_and_a_change_of_it_is() -> None:
    mark = advance(Watermark(), ended([at(0)]), T0)
    assert unknown(mark, [at(0)]) == []
    assert unknown(mark, [at(5, version="2")]) != []
    assert unknown(mark, [at(5, "t2") | {"identifier": []}]) == [], "none of ours"


def test_a_server_that_gives_no_times_is_asked_from_the_oldest_review_on() -> None:
    mark = advance(Watermark(), ended([task("completed", meta={})]), T0)
    assert mark.seen is None
    assert search_start(mark, T0) == search_start(Watermark(), T0)


def test_runs_that_go_on_failing_are_told_again_and_again() -> None:
    assert [runs for runs in range(30) if should_alert(runs)] == [3, 6, 12, 24]

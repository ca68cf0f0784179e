"""The proof's checker finds what is planted about drafts that are prepared, and nothing in what is sound."""

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest

from tests.proof.checker.evidence import Evidence, digest_of, sha256
from tests.proof.checker.rules import check
from tests.unit.test_proof_checker import NAMING, chained, decision, document, entry, provenance

Trail = list[tuple[str, str, dict[str, Any], int]]
Lines = list[dict[str, Any]]

CASE, ONGOING = "5a0f6a1c-0000-5000-8000-000000000003", "5a0f6a1c-0000-5000-8000-000000000004"
TYPED, BESIDE = "Seen by the dietician.", "  Observation, as I saw it."
TEXT = f"DISCHARGE SUMMARY\n\n  Chest pain.\n{TYPED}\n"
TRAIL: Trail = [
    (CASE, "preparation-requested", {"encounter_id": "enc-3"}, 0),
    (CASE, "prepared", {"draft": {"digest": "prepared"}}, 1),
    (ONGOING, "preparation-requested", {"encounter_id": "enc-4"}, 2),
    (CASE, "discharged", {"encounter_id": "enc-3"}, 3),
    (CASE, "drafted", {"draft": {"digest": "drafted"}}, 4),
    (CASE, "review-requested", {"deadlines": []}, 5),
    (CASE, "approved", {"signed": sha256(TEXT.encode()), "draft": {"digest": "drafted"}}, 6),
    (CASE, "filed", {}, 7),
    (ONGOING, "prepared", {"draft": {"digest": "ongoing"}}, 8),
    (ONGOING, "preparation-ended", {"reason": "cancelled"}, 9),
]
JOURNAL: Lines = [
    entry("plan", encounter="enc-3", plan="prepared-and-edited", ends=["filed"]),
    entry("plan", encounter="enc-4", plan="prepared-and-goes-on", ends=["withdrawn"]),
    entry("pending", encounter="enc-3", answer="AA", taken=True),
    entry("edit", case=CASE, who="physician", lines=[sha256(TYPED.encode()), sha256(BESIDE.encode())], taken=True),
    entry("edit", case=CASE, who="colleague", lines=["0" * 64], taken=True),  # who signs nothing
    entry("too-early", case=CASE, who="physician", answer=409, taken=False),
    entry("discharge", encounter="enc-3", answer=202, taken=True, case=CASE),
    entry("beside", case=CASE, who="physician", lines=[sha256(BESIDE.encode())]),
    decision("3", "sign", text=sha256(TEXT.encode())) | {"case": CASE},
    entry("pending", encounter="enc-4", answer="lost", taken=False),
    entry("pending", encounter="enc-4", answer=202, taken=True, case=ONGOING),
    entry("pending-cancel", encounter="enc-4", answer="ack", taken=True, case=ONGOING),
]


def evidence(trail: Trail = TRAIL, journal: Lines = JOURNAL, **chart: list[dict[str, Any]]) -> Evidence:
    messages = chained(trail)
    signatures = [digest_of(item) for item in messages if item.subject.endswith(f"{CASE}.approved")]
    signed = {
        "DocumentReference": [document("d1", "final", TEXT, CASE)],
        "Provenance": [provenance("p1", "d1", TEXT, digest) for digest in signatures[:1]],
    }
    return Evidence(journal, {"DISCHARGE": messages}, signed | chart)


def also(*more: tuple[str, str, dict[str, Any], int]) -> Trail:
    return [*TRAIL, *more]


def without(*names: str, case: str = CASE) -> Trail:
    return [item for item in TRAIL if item[0] != case or item[1] not in names]


def journal(kind: str, **changes: Any) -> Lines:
    return [line | (changes if line["kind"] == kind else {}) for line in JOURNAL]


def replaced(name: str, body: dict[str, Any]) -> Trail:
    return [(*item[:2], item[2] | body, item[3]) if item[1] == name else item for item in TRAIL]


def test_what_is_sound_passes() -> None:
    assert check(evidence()) == []


OTHER = "5a0f6a1c-0000-5000-8000-000000000009"
REVIEW = {"system": f"{NAMING}/review", "value": f"{ONGOING}/1"}
PLANTED: dict[str, tuple[Callable[[], Evidence], str]] = {
    "a preparation and its discharge in two cases": (
        lambda: evidence(also((OTHER, "preparation-requested", {"encounter_id": "enc-3"}, 20))),
        "one-case: -: enc-3 was acknowledged, and has 2 cases",
    ),
    "a pending discharge without a case": (
        lambda: evidence(journal=[*JOURNAL, entry("pending", encounter="enc-5", answer="AA", taken=True)]),
        "one-case: -: enc-5 was acknowledged, and has 0 cases",
    ),
    "a preparation that nobody reported": (
        lambda: evidence(journal=[line for line in JOURNAL if line["kind"] != "pending"]),
        f"preparations: {CASE}: 1 preparations were requested by 0 reports",
    ),
    "one report that is prepared twice": (
        lambda: evidence(
            [*TRAIL[:2], (CASE, "preparation-requested", {}, 1), (CASE, "prepared", {}, 1), *TRAIL[2:]],
        ),
        f"preparations: {CASE}: 2 preparations were requested by 1 reports",
    ),
    "two prepared drafts of one request": (
        lambda: evidence([*TRAIL[:2], (CASE, "prepared", {}, 2), *TRAIL[2:]]),
        f"preparations: {CASE}: prepared at 3: nobody waits for it",
    ),
    "a prepared draft after the discharge": (
        lambda: evidence(also((CASE, "prepared", {}, 20))),
        f"preparations: {CASE}: prepared at 11: nobody waits for it",
    ),
    "a second draft after the discharge": (
        lambda: evidence([*TRAIL[:5], (CASE, "drafted", {}, 4), *TRAIL[5:]]),
        f"preparations: {CASE}: drafted at 6: nobody waits for it",
    ),
    "a review before the discharge": (
        lambda: evidence([*TRAIL[:3], (CASE, "review-requested", {"deadlines": []}, 2), *TRAIL[3:]]),
        f"preparations: {CASE}: review-requested at 4: the stay was not discharged",
    ),
    "a signature without a discharge": (
        lambda: evidence(without("discharged")),
        f"preparations: {CASE}: approved at 6: the stay was not discharged",
    ),
    "a prepared draft that is signed": (
        lambda: evidence(replaced("approved", {"draft": {"digest": "prepared"}})),
        f"preparations: {CASE}: approved at 7: the draft is one that was prepared",
    ),
    "a signature before the discharge that is accepted": (
        lambda: evidence(journal=journal("too-early", answer=200, taken=True)),
        f"preparations: {CASE}: physician signed what is prepared, and was answered 200",
    ),
    "a preparation that is never prepared": (
        lambda: evidence(without("prepared", "preparation-ended", case=ONGOING)),
        f"ended: {ONGOING}: nothing happens after preparation-requested",
    ),
    "a preparation that does not end": (
        lambda: evidence(without("preparation-ended", case=ONGOING)),
        f"ended: {ONGOING}: it is prepared, and was to be withdrawn",
    ),
    "a document of a stay that goes on": (
        lambda: evidence(
            DocumentReference=[document("d1", "final", TEXT, CASE), document("d2", "final", TEXT, ONGOING)]
        ),
        f"goes-on: {ONGOING}: DocumentReference/d2 is in the chart, without a discharge",
    ),
    "a Task of a stay that goes on": (
        lambda: evidence(Task=[{"id": "t1", "status": "cancelled", "identifier": [REVIEW]}]),
        f"goes-on: {ONGOING}: Task/t1 is in the chart, without a discharge",
    ),
    "an edit that is lost": (
        lambda: evidence(journal=[line for line in JOURNAL if line["kind"] != "beside"]),
        f"edits: {CASE}: 1 of 2 lines of physician are neither in the signed text nor shown beside it",
    ),
    "an edit that was shown to somebody else": (
        lambda: evidence(journal=journal("beside", who="colleague")),
        f"edits: {CASE}: 1 of 2 lines of physician are neither in the signed text nor shown beside it",
    ),
}


@pytest.mark.parametrize("what", PLANTED)
def test_what_is_planted_is_found(what: str) -> None:
    plant, expected = PLANTED[what]
    assert expected in [str(violation) for violation in check(plant())]


def test_who_signs_the_draft_without_the_edits_has_lost_them() -> None:
    """An edit that was not acknowledged is not missed."""
    text = TEXT.replace(f"{TYPED}\n", "")
    signed = [line | ({"text": sha256(text.encode())} if line.get("action") == "sign" else {}) for line in JOURNAL]
    trail = replaced("approved", {"signed": sha256(text.encode())})
    found = evidence(trail, signed, DocumentReference=[document("d1", "final", text, CASE)])
    assert [item.rule for item in check(dataclasses.replace(found, chart={**found.chart, "Provenance": []}))] == [
        "filed",
        "edits",
    ]
    unanswered = [line | ({"taken": False} if line["kind"] == "edit" else {}) for line in signed]
    assert "edits" not in {item.rule for item in check(dataclasses.replace(found, journal=unanswered))}

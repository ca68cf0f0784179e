"""The proof's checker finds what is planted, and nothing in what is sound."""

import ast
import base64
import dataclasses
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.proof import checker
from tests.proof.checker.evidence import Evidence, Message, digest_of, sha256
from tests.proof.checker.rules import check

T0 = datetime(2026, 11, 28, 12, 0, tzinfo=UTC)
CASE, LEFT = "5a0f6a1c-0000-5000-8000-000000000001", "5a0f6a1c-0000-5000-8000-000000000002"
NAMING = "https://countersign.example/fhir"
TEXT, WORDS = "DISCHARGE SUMMARY\n", "Home alone."
ADDENDUM = f"ADDENDUM TO DISCHARGE SUMMARY\n\nPatient: A, born 1911\n\n{WORDS}\n"
MARK = "Zzyzxfamily"
Trail = list[tuple[str, str, dict[str, Any], int]]  # case, name, body, seconds after T0

DEADLINES = [(T0 + timedelta(seconds=wait)).isoformat() for wait in (410, 420, 430)]
TRAIL: Trail = [
    (CASE, "discharged", {"encounter_id": "enc-1"}, 0),
    (LEFT, "discharged", {"encounter_id": "enc-2"}, 0),
    (CASE, "review-requested", {"deadlines": []}, 5),
    (LEFT, "review-requested", {"deadlines": DEADLINES}, 5),
    (CASE, "approved", {"signed": sha256(TEXT.encode()), "by": {"subject": "physician"}}, 9),
    (CASE, "filed", {}, 10),
    (CASE, "addended", {"signed": sha256(ADDENDUM.encode()), "by": {"subject": "physician"}}, 20),
    (CASE, "filed", {}, 21),
    (LEFT, "escalated", {"level": 1}, 411),
    (LEFT, "escalated", {"level": 2}, 421),
    (LEFT, "escalated", {"level": 3}, 431),
]


def chained(trail: Trail) -> list[Message]:
    found: list[Message] = []
    heads: dict[str, str] = {}
    for number, (case, name, body, seconds) in enumerate(trail, 1):
        headers = {"ce-id": f"id-{number}", "ce-time": (T0 + timedelta(seconds=seconds)).isoformat()}
        headers |= {"ce-prevdigest": heads[case]} if case in heads else {}
        message = Message("DISCHARGE", number, f"discharge.ward.{case}.{name}", headers, json.dumps(body).encode())
        heads[case] = digest_of(message)
        found.append(message)
    return found


def document(id: str, name: str, text: str, case: str = CASE, **more: Any) -> dict[str, Any]:
    attachment = {"contentType": "text/plain; charset=utf-8", "data": base64.b64encode(text.encode()).decode()}
    identifier = {"system": f"{NAMING}/document", "value": f"{case}/{name}"}
    return {"id": id, "identifier": [identifier], "status": "current", "content": [{"attachment": attachment}]} | more


def provenance(id: str, document: str, text: str, head: str) -> dict[str, Any]:
    systems = {"document-sha256": sha256(text.encode()), "audit-chain-head": head}
    what = [{"what": {"identifier": {"system": f"{NAMING}/{name}", "value": value}}} for name, value in systems.items()]
    return {"id": id, "target": [{"reference": f"DocumentReference/{document}"}], "entity": what}


def entry(kind: str, **facts: Any) -> dict[str, Any]:
    return {"at": T0.isoformat(), "kind": kind} | facts


def decision(op: str, action: str, **facts: Any) -> dict[str, Any]:
    sent = {"case": CASE, "channel": "api", "who": "physician", "answer": 200, "taken": True}
    return entry("decision", op=op, action=action, **sent | facts)


JOURNAL = [
    entry("plan", encounter="enc-1", plan="added-to", ends=["filed"]),
    entry("plan", encounter="enc-2", plan="left", ends=["awaiting-review"]),
    entry("discharge", encounter="enc-1", answer="lost", taken=False),
    entry("discharge", encounter="enc-1", answer=202, taken=True, case=CASE),
    entry("discharge", encounter="enc-2", answer="ack", taken=True),
    decision("1", "sign", text=sha256(TEXT.encode()), answer="lost", taken=False),
    decision("1", "sign", text=sha256(TEXT.encode())),
    decision("2", "addend", words=sha256(WORDS.encode())),
    entry("probe", case=CASE, who="stranger", endpoint="GET /v1/cases/{case}", answer=404),
    entry("fault", what="kill", target="nats", begin=T0.isoformat(), end=T0.isoformat()),
    entry("end") | {"at": (T0 + timedelta(seconds=600)).isoformat()},
]


def sound() -> Evidence:
    trail = chained(TRAIL)
    heads = {message.subject.rpartition(".")[2]: digest_of(message) for message in trail}
    chart = {
        "DocumentReference": [document("d1", "final", TEXT), document("d2", "addendum/1", ADDENDUM)],
        "Provenance": [
            provenance("p1", "d1", TEXT, heads["approved"]),
            provenance("p2", "d2", ADDENDUM, heads["addended"]),
        ],
        "Task": [
            {"id": "t1", "status": "completed", "identifier": [_review(CASE)]},
            {"id": "t2", "status": "requested", "identifier": [_review(LEFT)]},
        ],
    }
    return Evidence(list(JOURNAL), {"DISCHARGE": trail}, chart, {"approval.log": ["started"]}, [MARK])


def _review(case: str) -> dict[str, str]:
    return {"system": f"{NAMING}/review", "value": f"{case}/1"}


def trail(change: Callable[[Trail], Trail]) -> Evidence:
    return dataclasses.replace(sound(), streams={"DISCHARGE": chained(change(list(TRAIL)))})


def journal(change: Callable[[list[dict[str, Any]]], list[dict[str, Any]]]) -> Evidence:
    return dataclasses.replace(sound(), journal=change([dict(line) for line in JOURNAL]))


def chart(kind: str, change: Callable[[list[dict[str, Any]]], list[dict[str, Any]]]) -> Evidence:
    found = sound()
    return dataclasses.replace(found, chart={**found.chart, kind: change(list(found.chart[kind]))})


def stream(name: str, subject: str, data: bytes = b"{}", **headers: str) -> Evidence:
    found = sound()
    message = Message(name, 1, subject, headers, data)
    return dataclasses.replace(found, streams={**found.streams, name: [message]})


def later(seconds: int) -> Callable[[Trail], Trail]:
    """The last escalation so much later."""
    return lambda found: [*found[:-1], (LEFT, "escalated", {"level": 3}, 431 + seconds)]


def forged() -> Evidence:
    """An event whose text was changed where it stands."""
    found = sound()
    messages = list(found.streams["DISCHARGE"])
    messages[4] = dataclasses.replace(messages[4], data=messages[4].data.replace(b"physician", b"Physician"))
    return dataclasses.replace(found, streams={"DISCHARGE": messages})


def hole() -> Evidence:
    found = sound()
    messages = [item for item in found.streams["DISCHARGE"] if item.sequence != 10]
    return dataclasses.replace(found, streams={"DISCHARGE": messages})


def test_what_is_sound_passes() -> None:
    assert check(sound()) == []


def test_a_case_that_was_rated_after_its_end_is_sound() -> None:
    rated = (CASE, "rated", {"rating": "useful", "words": "w", "by": {"subject": "physician"}}, 60)
    evidence = trail(lambda found: [*found, rated])
    sent = [*JOURNAL[:-1], decision("9", "rate", words="w"), JOURNAL[-1]]
    assert check(dataclasses.replace(evidence, journal=sent)) == []


PLANTED: dict[str, tuple[Callable[[], Evidence], str]] = {
    "a document altered in the chart": (
        lambda: chart("DocumentReference", lambda found: [document("d1", "final", TEXT + "Warfarin."), found[1]]),
        "filed: {case}: {case}/final says what no client signed",
    ),
    "an addendum altered in the chart": (
        lambda: chart("DocumentReference", lambda found: [found[0], document("d2", "addendum/1", ADDENDUM + "!")]),
        "filed: {case}: {case}/addendum/1 says what no client signed",
    ),
    "a document that is lost": (
        lambda: chart("DocumentReference", lambda found: found[1:]),
        "signed: {case}: sign by api was taken, and is not in the chart",
    ),
    "an addendum that is lost": (
        lambda: chart("DocumentReference", lambda found: found[:1]),
        "signed: {case}: addend by api was taken, and is not in the chart",
    ),
    "a document twice": (
        lambda: chart("DocumentReference", lambda found: [*found, document("d3", "final", TEXT)]),
        "twice: {case}: {case}/final stands 2 times in the chart",
    ),
    "two documents that are current": (
        lambda: chart("DocumentReference", lambda found: [*found, document("d3", "final/2", TEXT)]),
        "twice: {case}: 2 documents are current",
    ),
    "a document that nobody sent": (
        lambda: journal(lambda found: [line for line in found if line.get("action") != "sign"]),
        "decided: {case}: approved at 5: nobody sent that",
    ),
    "no Provenance": (
        lambda: chart("Provenance", lambda found: found[1:]),
        "filed: {case}: {case}/final has 0 Provenances of its signature",
    ),
    "two Provenances": (
        lambda: chart("Provenance", lambda found: [*found, found[0] | {"id": "p3"}]),
        "filed: {case}: {case}/final has 2 Provenances of its signature",
    ),
    "a decision that was acknowledged, and is not on the trail": (
        lambda: journal(lambda found: [*found, decision("9", "reassign", words="w")]),
        "signed: {case}: 1 times reassigned was acknowledged, 0 are on the trail",
    ),
    "a rating that was acknowledged, and is not on the trail": (
        lambda: journal(lambda found: [*found, decision("9", "rate", words="w")]),
        "signed: {case}: 1 times rated was acknowledged, 0 are on the trail",
    ),
    "a rating that nobody sent": (
        lambda: trail(lambda found: [*found, (CASE, "rated", {"rating": "useless", "words": "w"}, 60)]),
        "decided: {case}: rated at 12: nobody sent that",
    ),
    "a discharge without a case": (
        lambda: journal(lambda found: [*found, entry("discharge", encounter="enc-3", answer=202, taken=True)]),
        "one-case: -: enc-3 was acknowledged, and has 0 cases",
    ),
    "a discharge with two cases": (
        lambda: trail(lambda found: [*found, ("other", "discharged", {"encounter_id": "enc-1"}, 50)]),
        "one-case: {case}: enc-1 was acknowledged, and has 2 cases",
    ),
    "a case that nobody reported": (
        lambda: trail(lambda found: [*found, ("other", "discharged", {"encounter_id": "enc-9"}, 50)]),
        "one-case: other: nobody reported enc-9",
    ),
    "a case that stands still": (
        lambda: trail(lambda found: [item for number, item in enumerate(found) if number != 7]),
        "ended: {case}: nothing happens after addended",
    ),
    "a case that failed, and nobody was told": (
        lambda: trail(lambda found: [*found, (CASE, "failed", {"step": "file"}, 60)]),
        "ended: {case}: it has failed, and nobody was told",
    ),
    "a case that ended otherwise": (
        lambda: trail(lambda found: [*found, (CASE, "closed", {}, 60)]),
        "ended: {case}: it is closed, and was to be filed",
    ),
    "an event that was changed": (forged, "chains: {case}: filed at 6 does not follow"),
    "a message that is missing": (hole, "chains: -: messages of DISCHARGE are missing"),
    "a signature without a review": (
        lambda: trail(lambda found: [*found, (CASE, "approved", {"signed": sha256(TEXT.encode())}, 60)]),
        "decided: {case}: approved at 12: no review was open",
    ),
    "an escalation twice": (
        lambda: trail(lambda found: [*found, (LEFT, "escalated", {"level": 3}, 440)]),
        "escalations: {left}: level 3 was told twice",
    ),
    "an escalation that is left out": (
        lambda: trail(lambda found: [*found[:-2], found[-1]]),
        "escalations: {left}: level 3 follows level 1",
    ),
    "an escalation that never came": (
        lambda: trail(lambda found: found[:-1]),
        f"escalations: {{left}}: what was due at {DEADLINES[2]} was not told",
    ),
    "an escalation that came too late": (
        lambda: trail(later(30)),
        "escalations: {left}: level 3 was told 11.0 s too late",
    ),
    "an escalation before its time": (
        lambda: trail(later(-5)),
        "escalations: {left}: level 3 was told before its time",
    ),
    "an escalation after the decision": (
        lambda: trail(lambda found: [*found, (CASE, "escalated", {"level": 1}, 140)]),
        "escalations: {case}: level 1 was told after the decision",
    ),
    "a second answer that is another one": (
        lambda: journal(lambda found: [*found, decision("1", "sign", text="t", answer=409, taken=False)]),
        "repeated: {case}: 1 was taken, and refused when it was sent again",
    ),
    "a refusal of what was done": (
        lambda: journal(
            lambda found: [
                line | ({"answer": 409, "taken": False} if line.get("action") == "sign" else {}) for line in found
            ]
        ),
        "repeated: {case}: 1 is on the trail, and the client was told that it is not",
    ),
    "a case that a stranger learns of": (
        lambda: journal(lambda found: [line | ({"answer": 403} if line["kind"] == "probe" else {}) for line in found]),
        "probes: {case}: stranger was answered 403 at GET /v1/cases/{{case}}",
    ),
    "two Tasks": (
        lambda: chart("Task", lambda found: [*found, found[0] | {"id": "t3"}]),
        f"tasks: {{case}}: 2 Tasks carry {NAMING}/review|{{case}}/1",
    ),
    "a Task that waits for nothing": (
        lambda: chart("Task", lambda found: [found[0] | {"status": "requested"}, found[1]]),
        "tasks: {case}: 1 Tasks wait, and the case is filed",
    ),
    "a cancellation of which nothing came": (
        lambda: journal(lambda found: [*found, entry("cancel", case=CASE, taken=True)]),
        "cancelled: {case}: its discharge was taken back, nothing came of it, nobody was told",
    ),
    "a patient's name in a log": (
        lambda: dataclasses.replace(sound(), said={"drafter.log": ["ok", f"no such {MARK}7"]}),
        "words: -: a patient's word stands in 1 lines of drafter.log",
    ),
    "a patient's name in a subject": (
        lambda: stream("ALERTS", f"alert.warning.{MARK}"),
        "words: -: a patient's word stands in the subject of ALERTS 1",
    ),
    "a patient's name in a header": (
        lambda: stream("KV_artifacts", "$KV.artifacts.1", note=MARK),
        "words: -: a patient's word stands in a header of KV_artifacts 1",
    ),
    "a patient's name in an event": (
        lambda: stream("ACCESS", "access.viewed.1", json.dumps({"detail": MARK}).encode()),
        "words: -: a patient's word stands in the body of ACCESS 1",
    ),
    "a filing that was given up": (
        lambda: stream("DEADLETTER", "deadletter.approval.approval-file", **{"countersign-reason": "503"}),
        "given-up: -: approval-file gave a message up: 503",
    ),
    "a step that met what it does not know": (
        lambda: stream(
            "DEADLETTER", "deadletter.drafter.drafter-draft", **{"countersign-reason": "unexpected KeyError"}
        ),
        "given-up: -: drafter-draft: unexpected KeyError",
    ),
    "what could not be read": (
        lambda: dataclasses.replace(sound(), unread=["stream ALERTS could not be read"]),
        "unread: -: stream ALERTS could not be read",
    ),
    "an answer that nobody provides for": (
        lambda: journal(lambda found: [*found, entry("unexpected", case=CASE, plan="left", what="500")]),
        "answers: {case}: plan left: 500",
    ),
}


@pytest.mark.parametrize("what", PLANTED)
def test_what_is_planted_is_found(what: str) -> None:
    plant, expected = PLANTED[what]
    assert expected.format(case=CASE, left=LEFT) in [str(violation) for violation in check(plant())]


def test_what_was_hurt_gives_an_escalation_more_time() -> None:
    fault = entry(
        "fault", begin=(T0 + timedelta(seconds=425)).isoformat(), end=(T0 + timedelta(seconds=435)).isoformat()
    )
    late = trail(later(60))
    assert check(late)
    assert check(dataclasses.replace(late, journal=[*JOURNAL, fault])) == []


def test_what_a_moved_clock_wrote_is_measured_by_that_clock() -> None:
    begin, end = ((T0 + timedelta(seconds=seconds)).isoformat() for seconds in (500, 510))
    late = trail(later(60))
    for moved in (-90, 90):
        assert (
            check(dataclasses.replace(late, journal=[*JOURNAL, entry("fault", begin=begin, end=end, clock=moved)]))
            == []
        )
    assert check(dataclasses.replace(late, journal=[*JOURNAL, entry("fault", begin=begin, end=end, clock=5)]))


def test_a_person_who_was_told_stands_for_a_document() -> None:
    lost = chart("DocumentReference", lambda found: found[1:])
    alert = Message("ALERTS", 1, "alert.warning.not-as-signed", {}, json.dumps({"case": CASE}).encode())
    told = dataclasses.replace(lost, streams={**lost.streams, "ALERTS": [alert]})
    assert [str(item) for item in check(told) if item.rule == "signed"] == []


def test_the_checker_imports_nothing_of_what_it_checks() -> None:
    for file in Path(checker.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            ours = [
                name
                for name in names
                if name.split(".")[0] in ("services", "shared", "cli", "sandbox_ehr", "tools", "tests")
            ]
            assert all(name.startswith("tests.proof.checker") for name in ours), (file.name, ours)

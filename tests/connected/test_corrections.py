"""After the filing: a corrected text replaces the document, an addendum appends to it, two people retract it."""

import asyncio
import base64
import hashlib
import json
from typing import Any

import pytest

from services.approval.filing.resources import DOCUMENT_SYSTEM, chain_head_of
from tests.support.corrections import addend, amend, document, filed, post, retract, sign, verified
from tests.support.ehr import stays
from tests.support.stack import Stack, until

pytestmark = pytest.mark.connected


def by_identifier(stack: Stack, case_id: str) -> dict[str, dict[str, Any]]:
    """What stands in the chart, by what follows the case's id in its identifier."""
    found = {}
    for item in stack.in_chart("DocumentReference"):
        (own,) = [part["value"] for part in item["identifier"] if part["system"] == DOCUMENT_SYSTEM]
        assert own.startswith(case_id)
        assert own not in found
        found[own.removeprefix(f"{case_id}/")] = item
    return found


def text_in(item: dict[str, Any]) -> str:
    return base64.b64decode(item["content"][0]["attachment"]["data"]).decode()


def statuses(stack: Stack, case_id: str) -> dict[str, str]:
    return {name: item["status"] for name, item in by_identifier(stack, case_id).items()}


async def test_a_corrected_text_replaces_the_document(stack: Stack) -> None:
    case_id = await filed(stack)
    text = await amend(stack, case_id)
    chart = by_identifier(stack, case_id)
    assert statuses(stack, case_id) == {"final": "superseded", "final/2": "current"}
    new = chart["final/2"]
    assert (new["docStatus"], text_in(new)) == ("amended", text)
    old = f"DocumentReference/{chart['final']['id']}"
    assert new["relatesTo"] == [{"code": "replaces", "target": {"reference": old}}]
    (proof,) = [item for item in stack.in_chart("Provenance") if item["target"][0]["reference"].endswith(new["id"])]
    assert proof["activity"]["coding"][0]["code"] == "UPDATE"
    assert {"role": "revision", "what": {"reference": old}} in proof["entity"]
    case = await stack.case(case_id)
    assert [event["event"] for event in case["events"]][-4:] == ["approved", "filed", "amended", "filed"]
    amended = case["events"][-2]
    assert chain_head_of(proof) == amended["digest"]
    assert amended["detail"]["written"], "a sentence that the record does not have was confirmed"
    assert case["document_reference"] == new["id"]
    composition = json.loads(base64.b64decode(new["content"][-1]["attachment"]["data"]))["entry"][0]["resource"]
    assert (composition["status"], composition["relatesTo"][0]["code"]) == ("amended", "replaces")
    assert composition["relatesTo"][0]["targetIdentifier"]["value"] == f"{case_id}/final"
    assert (await verified(stack, case_id)).verified


async def test_what_was_corrected_is_corrected_again(stack: Stack) -> None:
    case_id = await filed(stack)
    await amend(stack, case_id, "One line more.")
    text = await amend(stack, case_id, "And another.")
    chart = by_identifier(stack, case_id)
    assert statuses(stack, case_id) == {"final": "superseded", "final/2": "superseded", "final/3": "current"}
    assert "One line more.\nAnd another.\n" in text
    assert text_in(chart["final/3"]) == (await document(stack, case_id))["text"] == text
    assert chart["final/3"]["relatesTo"][0]["target"]["reference"].endswith(chart["final/2"]["id"])
    assert (await verified(stack, case_id)).verified


@pytest.mark.parametrize("what", ["amendments", "addenda"])
async def test_a_signature_after_the_filing_that_is_sent_again_is_the_same_one(stack: Stack, what: str) -> None:
    """Its answer was lost. Somebody else's, or another text, is refused: the document has changed meanwhile."""
    case_id = await filed(stack)
    before = await document(stack, case_id)
    own = "Seen by the dietician."
    text = before["text"].rstrip("\n") + f"\n{own}\n" if what == "amendments" else own
    path = f"/v1/cases/{case_id}/{what}"
    headers = {"If-Match": before["digest"]}
    body = {"text": text, "reason": "It was missing.", "written": [hashlib.sha256(own.encode()).hexdigest()]}
    first = await stack.call("physician", "POST", path, headers=headers, json=body)
    assert first.status_code == 200, first.text
    await stack.reaches(case_id, "filed")
    again = await stack.call("physician", "POST", path, headers=headers, json=body)
    assert (again.status_code, again.json()) == (200, first.json())
    other = await stack.call("physician", "POST", path, headers=headers, json=body | {"text": f"{text}More.\n"})
    assert other.status_code == 412
    somebody = await stack.call("supervisor", "POST", path, headers=headers, json=body)
    assert somebody.status_code == 412
    names = [event["event"] for event in (await stack.reaches(case_id, "filed"))["events"]]
    assert len([name for name in names if name in ("amended", "addended")]) == 1


async def test_addenda_append_to_a_document_that_stays_current(stack: Stack) -> None:
    case_id = await filed(stack)
    await addend(stack, case_id, "The culture grew nothing.")
    await addend(stack, case_id, "The biopsy is benign.")
    chart = by_identifier(stack, case_id)
    assert set(statuses(stack, case_id).values()) == {"current"}
    assert set(chart) == {"final", "addendum/1", "addendum/2"}
    patient = next(line for line in text_in(chart["final"]).splitlines() if line.startswith("Patient: "))
    second = chart["addendum/2"]
    held = [item["attachment"] for item in second["content"]]
    types = ["text/plain; charset=utf-8", "application/xhtml+xml", "application/pdf"]
    assert [item["contentType"] for item in held] == types
    assert {item["title"] for item in held} == {"Addendum to discharge summary"}
    assert text_in(second) == f"ADDENDUM TO DISCHARGE SUMMARY\n\n{patient}\n\nThe biopsy is benign.\n"
    assert second["relatesTo"] == [
        {"code": "appends", "target": {"reference": f"DocumentReference/{chart['final']['id']}"}}
    ]
    assert [author["reference"].partition("/")[0] for author in second["author"]] == ["Practitioner"]
    assert [label["code"] for label in second["meta"]["security"]] == ["CLINAST"]
    (proof,) = [item for item in stack.in_chart("Provenance") if item["target"][0]["reference"].endswith(second["id"])]
    assert proof["activity"]["coding"][0]["code"] == "APPEND"
    case = await stack.case(case_id)
    assert case["document_reference"] == chart["final"]["id"]
    assert len((await document(stack, case_id))["addenda"]) == 2
    assert (await verified(stack, case_id)).verified
    await amend(stack, case_id)
    assert statuses(stack, case_id) == {
        "final": "superseded",
        "final/2": "current",
        "addendum/1": "current",
        "addendum/2": "current",
    }
    assert (await verified(stack, case_id)).verified


async def test_two_people_retract_every_document(stack: Stack) -> None:
    case_id = await filed(stack)
    await amend(stack, case_id)
    await addend(stack, case_id)
    case = await retract(stack, case_id)
    await stack.reaches(case_id, "retracted", events=len(case["events"]))

    async def in_error() -> bool:
        return "retraction-filed" in await stack.events(case_id)

    await until(in_error, "the chart to say so")
    assert set(statuses(stack, case_id).values()) == {"entered-in-error"}
    (proof,) = [item for item in stack.in_chart("Provenance") if len(item["target"]) == 3]
    assert proof["activity"]["coding"][0]["code"] == "NULLIFY"
    assert proof["agent"][1]["who"] == {"reference": "Practitioner/boss"}
    assert proof["agent"][0]["who"] != proof["agent"][1]["who"]
    assert "another patient" not in str(proof)
    assert (await verified(stack, case_id)).verified
    (old, *_) = stack.in_chart("DocumentReference")
    stack.ehr.store.put(old | {"status": "current"})
    assert [fault.event for fault in (await verified(stack, case_id)).faults] == ["retraction-filed"]
    seen = (await document(stack, case_id))["digest"]
    for what, body in (("amendments", {"text": "x", "reason": "x"}), ("retraction", {"reason": "x"})):
        assert (await post(stack, case_id, what, seen=seen, **body)).status_code == 409


async def test_a_retraction_that_is_sent_again_is_the_same_one(stack: Stack) -> None:
    """By each of the two, before and after the other has spoken; anything else, or anybody else's, is refused."""
    case_id = await filed(stack)
    seen = (await document(stack, case_id))["digest"]
    asked = [await post(stack, case_id, "retraction", seen=seen, reason="another patient's") for _ in range(3)]
    assert [(item.status_code, item.json()) for item in asked] == [(200, asked[0].json())] * 3
    assert (await post(stack, case_id, "retraction", seen=seen, reason="something else")).status_code == 409
    assert (await post(stack, case_id, "retraction", "supervisor", seen, reason="another patient's")).status_code == 409
    said = await asyncio.gather(*(post(stack, case_id, "retraction/confirm", "supervisor", seen) for _ in range(3)))
    await stack.reaches(case_id, "retracted", events=9)
    said += [await post(stack, case_id, "retraction/confirm", "supervisor", seen)]
    assert [(item.status_code, item.json()) for item in said] == [(200, said[0].json())] * 4
    late = await post(stack, case_id, "retraction", seen=seen, reason="another patient's")
    assert (late.status_code, late.json()) == (200, asked[0].json())
    assert (await post(stack, case_id, "retraction/confirm", seen=seen)).status_code in (403, 409)
    names = await stack.events(case_id)
    assert [names.count(name) for name in ("retraction-requested", "retracted", "retraction-filed")] == [1, 1, 1]


async def test_one_person_alone_retracts_nothing(stack: Stack) -> None:
    case_id = await filed(stack)
    assert (await post(stack, case_id, "retraction/confirm", "supervisor")).status_code == 409, "nobody has asked"
    assert (await post(stack, case_id, "retraction", reason="  ")).status_code == 422
    assert (await post(stack, case_id, "retraction", reason="another patient's")).status_code == 200
    again = await post(stack, case_id, "retraction", "supervisor", reason="mine, too")
    assert (again.status_code, again.json()["title"]) == (409, "Somebody has asked for a retraction already")
    alone = await post(stack, case_id, "retraction/confirm")
    assert (alone.status_code, alone.json()["title"]) == (403, "A second person has to confirm")
    for role in ("auditor", "operator"):
        assert (await post(stack, case_id, "retraction/confirm", role)).status_code == 403
    assert statuses(stack, case_id) == {"final": "current"}
    assert (await document(stack, case_id))["retraction_requested_by"]
    seen = (await document(stack, case_id))["digest"]
    await amend(stack, case_id)
    assert (await document(stack, case_id))["retraction_requested_by"] is None
    assert (await post(stack, case_id, "retraction/confirm", "supervisor", seen=seen)).status_code == 412
    assert (await post(stack, case_id, "retraction/confirm", "supervisor")).status_code == 409


async def test_one_signs_against_exactly_what_one_saw(stack: Stack) -> None:
    case_id = await filed(stack)
    before = await document(stack, case_id)
    path = f"/v1/cases/{case_id}/addenda"
    assert (await stack.call("physician", "POST", path, json={"text": "x", "reason": "x"})).status_code == 428
    await addend(stack, case_id)
    text = before["text"] + "More.\n"
    for what in ("amendments", "addenda", "retraction"):
        body = {"reason": "x"} | ({} if what == "retraction" else {"text": text})
        answer = await post(stack, case_id, what, seen=before["digest"], **body)
        assert (answer.status_code, answer.json()["title"]) == (412, "This is not the current document")
    assert len(stack.in_chart("DocumentReference")) == 2


async def test_what_may_not_be_signed_is_refused(stack: Stack) -> None:
    case_id = await filed(stack)
    text = (await document(stack, case_id))["text"]
    patient = next(line for line in text.splitlines() if line.startswith("Patient: "))
    foreign = text.replace(patient, "Patient: Jane Doe, born 1950-01-02, female, MRN 17")
    for bad in ("", " ", patient, foreign, text.replace(patient, "")):
        assert (await sign(stack, case_id, "amendments", text=bad)).status_code == 422
    same = await sign(stack, case_id, "amendments", text=text)
    assert (same.status_code, same.json()["title"]) == (422, "The text is identical to the current document")
    for bad in ("", " \n", "—", "PATIENT:  Jane Doe\nThe culture grew nothing."):
        assert (await sign(stack, case_id, "addenda", text=bad)).status_code == 422
    assert (await sign(stack, case_id, "addenda", text="x", reason=" ")).status_code == 422
    unsupported = await post(stack, case_id, "addenda", text="She was given digoxin 4 mg.", reason="x")
    assert (unsupported.status_code, unsupported.json()["errors"][0]["field"]) == (409, "written")
    assert (await sign(stack, case_id, "addenda", "auditor", text="More.")).status_code == 403
    assert await stack.events(case_id) == (await stack.events(case_id))[:6]


async def test_before_the_filing_there_is_nothing_to_correct(stack: Stack) -> None:
    case_id = await stack.discharge()
    await stack.reaches(case_id, "awaiting-review")
    assert (await stack.call("physician", "GET", f"/v1/cases/{case_id}/document")).status_code == 404
    assert (await post(stack, case_id, "retraction", seen="", reason="x")).status_code == 409
    assert (await post(stack, "no-such-case", "retraction", seen="", reason="x")).status_code == 404


async def test_a_stay_whose_document_was_retracted_is_discharged_again(stack: Stack) -> None:
    case_id = await filed(stack)
    await retract(stack, case_id)

    async def in_error() -> bool:
        return "retraction-filed" in await stack.events(case_id)

    await until(in_error, "the chart to say so")
    sent = {"encounter_id": stays()[0], "department": "internal-medicine"}
    await stack.call("ingest", "POST", "/v1/encounters/discharge-cancelled", json=sent)
    await stack.discharge()
    await stack.reaches(case_id, "awaiting-review")
    assert (await stack.decide(case_id, "approve")).status_code == 200
    await stack.reaches(case_id, "filed")
    assert statuses(stack, case_id) == {"final": "entered-in-error", "final/2": "current"}
    await addend(stack, case_id)
    assert statuses(stack, case_id)["addendum/1"] == "current"
    assert (await verified(stack, case_id)).verified

"""A note of the sandbox's EHR through the real services: quoted, labelled, signed with its citation."""

import base64
from typing import Any

import pytest

from tests.stays.notes.writing import rtf
from tests.support.ehr import stays
from tests.support.stack import Stack

pytestmark = pytest.mark.connected

FELL = "Found on the floor beside the bed at 0245 and sustained a skin tear of the left forearm."


def note(stack: Stack, encounter: str, text: str) -> dict[str, Any]:
    """A nursing note as RTF, in the sandbox, of the day the patient was admitted."""
    stay = stack.ehr.store.get("Encounter", encounter)
    assert stay is not None
    found = {
        "resourceType": "DocumentReference",
        "id": "note-1",
        "meta": {"versionId": "1", "lastUpdated": "2026-01-01T00:00:00Z"},
        "status": "current",
        "docStatus": "final",
        "type": {"coding": [{"system": "http://loinc.org", "code": "34746-8"}], "text": "Nursing Note"},
        "subject": stay["subject"],
        "date": stay["period"]["start"],
        "author": [{"display": "Nunez, Marta, RN"}],
        "content": [{"attachment": {"contentType": "application/rtf", "data": base64.b64encode(rtf(text)).decode()}}],
        "context": {"encounter": [{"reference": f"Encounter/{encounter}"}]},
    }
    stack.ehr.store.put(found)
    return found


async def test_a_note_is_quoted_labelled_and_signed_with_its_citation(stack: Stack) -> None:
    encounter = stays()[0]
    note(stack, encounter, f"Shift note\n{FELL}\nBed low, call light within reach.\n")
    case_id = await stack.discharge(encounter)
    await stack.reaches(case_id, "awaiting-review")
    draft = (await stack.review(case_id))["draft"]
    (sentence,) = [item for item in draft["sentences"] if item["origin"] == "note"]
    assert FELL in sentence["text"]
    assert sentence["text"].startswith("Nursing Note, Marta Nunez, RN, ")
    assert (sentence["supported"], sentence["support"], sentence["by_note"]) == (True, "note", True)
    assert [(item["source"], item["kind"]) for item in sentence["evidence"]] == [("DocumentReference/note-1", "note")]
    assert "call light" not in draft["text"]
    assert (await stack.decide(case_id, "approve")).status_code == 200
    await stack.reaches(case_id, "filed")
    filed = [item for item in stack.in_chart("DocumentReference") if item["id"] != "note-1"]
    text = base64.b64decode(filed[0]["content"][0]["attachment"]["data"]).decode()
    assert sentence["text"] in text

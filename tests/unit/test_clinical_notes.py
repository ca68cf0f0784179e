"""Notes of a stay: which are read, who wrote them and when, what is copied forward, what is named as not read."""

import base64
from typing import Any

import pytest

from services.drafter.record import build_context, clinical_notes, notes_to_fetch
from services.drafter.source_record import NoteText
from shared.contracts.context import EncounterContext, Note
from tests.unit.test_home_medicines_in_notes import composed, note
from tests.unit.test_record import ENC, record

OF = {"reference": "Encounter/another"}


def context(*documents: dict[str, Any], **more: Any) -> EncounterContext:
    entries: dict[str, list[dict[str, Any]]] = {}
    for item in documents:
        entries.setdefault(item["resourceType"], []).append(item)
    found = record(entries)
    for name, value in more.items():
        setattr(found, name, value)
    return build_context(found)


def notes(*documents: dict[str, Any], **more: Any) -> tuple[Note, ...]:
    return context(*documents, **more).clinical_notes


def said(found: Note) -> list[str]:
    return [item.text for item in found.sentences]


def at(text: str, time: str, id: str, **more: Any) -> dict[str, Any]:
    return note(text, "Progress note", id=id, date=time, **more)


def test_what_is_copied_forward_counts_once_with_its_first_note() -> None:
    first = at("A/P: Volume overloaded with BNP 2,340.\nDiuresed 2 L.", "2026-06-02T09:00:00Z", "a")
    second = at("A/P: volume overloaded, with BNP 2,340\nExtubated today.", "2026-06-03T09:00:00Z", "b")
    third = at("A/P: Volume overloaded with BNP 2,340.", "2026-06-03T19:00:00Z", "c")
    found = notes(third, second, first)
    assert [said(item) for item in found] == [
        ["Volume overloaded with BNP 2,340.", "Diuresed 2 L."],
        ["Extubated today."],
        [],
    ]
    assert [item.repeated for item in found[0].sentences] == [2, 0]
    assert [item.copied for item in found] == [0, 1, 1]


@pytest.mark.parametrize(
    ("author", "name"),
    [
        ({"display": "Lee, Jordan, MD"}, "Jordan Lee, MD"),
        ({"display": "Lee, Jordan"}, "Jordan Lee"),
        ({"reference": "Practitioner/x"}, "Dr. Una Reyes"),
        ({"reference": "PractitionerRole/r"}, "Dr. Una Reyes"),
        ({"reference": "#me"}, "Ines Pohl"),
        ({"reference": "Device/d", "display": "Template engine"}, None),
        ({"reference": "Practitioner/unknown"}, None),
    ],
)
def test_who_wrote_a_note(author: dict[str, Any], name: str | None) -> None:
    person = {
        "resourceType": "Practitioner",
        "id": "x",
        "name": [{"family": "Reyes", "given": ["Una"], "prefix": ["Dr."]}],
    }
    role = {"resourceType": "PractitionerRole", "id": "r", "practitioner": {"reference": "Practitioner/x"}}
    inner = {"resourceType": "Practitioner", "id": "me", "name": [{"text": "Ines Pohl"}]}
    document = note("Assessment: improving.", author=[author], contained=[inner])
    (found,) = notes(document, people={"Practitioner/x": person, "PractitionerRole/r": role})
    assert found.author == name


def test_a_citation_says_kind_author_time_and_that_nobody_signed() -> None:
    document = note("Improving.", "Cardiology consult", author=[{"display": "Dr. Lee"}], docStatus="preliminary")
    (found,) = notes(document)
    assert found.citation == "Cardiology consult, Dr. Lee, 2026-06-01 09:00, not signed"
    assert (found.kind, found.signed) == ("consult", False)
    day = note("Improving.", "Cardiology consult", date="2026-06-02")
    assert notes(day)[0].citation == "Cardiology consult, 2026-06-02"


def test_the_period_of_the_whole_stay_is_no_time_of_a_note() -> None:
    whole = {"encounter": [ENC], "period": {"start": "2026-06-01T08:00:00Z", "end": "2026-06-04T10:00:00Z"}}
    (found,) = notes(at("Seen.", "2026-06-03T09:00:00Z", "a", context=whole))
    assert found.on == "2026-06-03"
    assert notes(at("Seen.", "2026-06-09T09:00:00Z", "a", context=whole)) == ()
    operated = {"encounter": [ENC], "period": {"start": "2026-06-02T11:00:00Z"}}
    (late,) = notes(at("Seen.", "2026-06-09T09:00:00Z", "a", context=operated))  # filed late, about the stay
    assert late.on == "2026-06-02"


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"docStatus": "entered-in-error"}, "Note: Progress note (2026-06-02), entered in error"),
        ({"date": "2026-06-09T09:00:00Z"}, "Note: Progress note (2026-06-09), from after the discharge"),
        ({"content": []}, "Note: Progress note (2026-06-02), its text could not be read: it has no attachment"),
        (
            {"content": [{"attachment": {"contentType": "image/png", "data": "iVBO"}}]},
            "Note: Progress note (2026-06-02), its text could not be read: its format (image/png) is not one of",
        ),
    ],
)
def test_a_note_of_the_stay_that_is_not_read_is_named(change: dict[str, Any], named: str) -> None:
    found = context(at("Seen.", "2026-06-02T09:00:00Z", "a") | change)
    assert found.clinical_notes == ()
    assert any(line.startswith(named) for line in found.left_out), found.left_out


@pytest.mark.parametrize(
    "change",
    [
        {"status": "superseded"},
        {"context": {"encounter": [OF]}},
        {"type": {"text": "Discharge summary"}},
        {"type": {"coding": [{"system": "http://loinc.org", "code": "18842-5"}]}},
        {"identifier": [{"system": "https://countersign.example/fhir/case", "value": "c"}]},
        {"type": {"text": "Consent for surgery"}},
    ],
)
def test_what_is_no_note_of_the_stay_is_no_source(change: dict[str, Any]) -> None:
    found = context(at("Seen.", "2026-06-02T09:00:00Z", "a") | change)
    assert found.clinical_notes == ()


def test_a_document_that_another_one_replaces_is_no_source() -> None:
    old = at("Abscess on the left.", "2026-06-02T09:00:00Z", "old")
    new = at(
        "Abscess on the right.",
        "2026-06-02T10:00:00Z",
        "new",
        relatesTo=[{"code": "replaces", "target": {"reference": "DocumentReference/old"}}],
    )
    assert [said(item) for item in notes(old, new)] == [["Abscess on the right."]]


def test_several_notes_that_cannot_be_read_for_one_reason_are_one_open_point() -> None:
    pictures = [
        at("", "2026-06-02T09:00:00Z", f"n{n}", content=[{"attachment": {"contentType": "image/png", "data": "aa=="}}])
        for n in range(5)
    ]
    points = [point.text for point in context(*pictures).open_points if "could not be read" in point.text]
    assert len(points) == 1


def test_a_composition_keeps_its_sections_and_their_sections() -> None:
    item = composed("Assessment", "Pneumonia improved.<br/>Weaned to room air.", type="11506-3", kind="Progress note")
    item["section"][0]["section"] = [{"title": "Family history", "text": {"div": "<div>Mother: stroke.</div>"}}]
    (found,) = notes(item)
    assert [(part.section, part.text) for part in found.sentences] == [
        ("assessment", "Pneumonia improved."), ("assessment", "Weaned to room air."), ("family", "Mother: stroke."),
    ]  # fmt: skip
    assert found.sentences[2].with_heading == "Family history: Mother: stroke."


def test_limits_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clinical_notes, "MAX_NOTES", 2)
    monkeypatch.setattr(clinical_notes, "MAX_SENTENCES", 3)
    documents = [at(f"One {n} event.\nTwo {n} events.", f"2026-06-02T0{n}:00:00Z", f"n{n}") for n in range(1, 5)]
    found = context(*documents)
    assert sum(len(item.sentences) for item in found.clinical_notes) == 3
    told = "\n".join(found.left_out)
    assert "Note: Progress note (2026-06-02), 1 of its sentences, too many or too long to be read" in told
    assert "not read: the stay has more than 2 notes" in told


def test_only_what_rules_cannot_read_is_fetched() -> None:
    inline = at("Seen.", "2026-06-02T09:00:00Z", "inline")
    far = at(
        "", "2026-06-02T09:00:00Z", "far", content=[{"attachment": {"contentType": "text/plain", "url": "Binary/1"}}]
    )
    pdf = at(
        "",
        "2026-06-02T09:00:00Z",
        "pdf",
        content=[{"attachment": {"contentType": "application/pdf", "data": base64.b64encode(b"%PDF-").decode()}}],
    )
    other = far | {"id": "other", "context": {"encounter": [OF]}}
    error = far | {"id": "error", "docStatus": "entered-in-error"}
    wanted = notes_to_fetch(record({"DocumentReference": [inline, far, pdf, other, error]}))
    assert [item["id"] for item in wanted] == ["far", "pdf"]
    assert said(notes(far, texts={"DocumentReference/far": NoteText(text="Fetched words.")})[0]) == ["Fetched words."]


def test_a_context_from_before_there_were_notes_is_read_and_a_new_one_comes_back() -> None:
    found = context(at("A/P:\n# Sepsis\nLactate cleared.", "2026-06-02T09:00:00Z", "a"))
    text = found.model_dump_json(exclude_none=True)
    assert EncounterContext.model_validate_json(text) == found
    old = found.model_dump(mode="json", exclude={"clinical_notes"})
    assert EncounterContext.model_validate(old).clinical_notes == ()

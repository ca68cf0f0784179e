"""The whole stays, read over FHIR from the sandbox in both of its styles: what the record has, the summary says."""

import json
from datetime import datetime
from pathlib import Path
from typing import Any, ClassVar

import httpx
import pytest

from sandbox_ehr.app import Sandbox, Style, create_app
from sandbox_ehr.quirks import Quirks
from sandbox_ehr.seed import opaque_id
from services.drafter import course, document_header, facts
from services.drafter.compose import compose
from services.drafter.extract import read_stay
from services.drafter.record.open_points import DEATH_REPORTED
from shared.clinical import elements, fhir_datetime
from shared.clinical.fhir_client import FhirClient
from shared.contracts.context import EncounterContext
from shared.contracts.draft import Draft
from shared.contracts.errors import PermanentError
from tests.support.ehr import BASE, LossyTransport, client, sandbox, shared_sandbox, shared_stays, stays
from tests.support.examples import PROMPT

PARTS = [
    "reason-for-hospitalization",
    "significant-findings",
    "procedures-and-treatment",
    "condition-at-discharge",
    "patient-and-family-instructions",
    "attending-signature",
]


# The shared stays are read once in each style, however many tests look at them: one worker has them all.
pytestmark = [pytest.mark.xdist_group("extract"), pytest.mark.slow]
_read: dict[Style, list[tuple[Path, EncounterContext]]] = {}
_texts: dict[tuple[str, Style], str] = {}


def composed(context: EncounterContext) -> Draft:
    return compose(
        context,
        facts.render(context),
        course.compose_course(context),
        number=1,
        model="m",
        prompt=PROMPT,
        context_digest="c" * 64,
    )


def bundle(file: Path) -> list[dict[str, Any]]:
    return [entry["resource"] for entry in json.loads(file.read_text())["entry"]]


def mapped(id: str, style: Style) -> str:
    return id if style == "plain" else opaque_id("Encounter", id)


async def contexts(style: Style) -> list[tuple[Path, EncounterContext]]:
    if style not in _read:
        ehr = client(shared_sandbox(style))
        _read[style] = [
            (file, await read_stay(ehr, mapped(file.stem, style), occurred_at=None, attending=None))
            for file in shared_stays()
        ]
    return _read[style]


def text_of(file: Path, context: EncounterContext, style: Style) -> str:
    """The document of a shared stay."""
    key = file.stem, style
    if key not in _texts:
        _texts[key] = composed(context).text
    return _texts[key]


@pytest.mark.parametrize("style", ["plain", "opaque"])
async def test_every_stay_of_the_seed_becomes_a_complete_document(style: Style) -> None:
    ehr = client(sandbox(style))
    for id in stays(style):
        context = await read_stay(ehr, id, occurred_at=None, attending=None)
        draft = composed(context)
        assert [part.code for part in draft.parts] == PARTS
        assert all(part.groups and all(group.facts for group in part.groups) for part in draft.parts)
        assert context.patient.name in draft.text
        assert "None" not in draft.text.replace("None recorded", "").replace("None known", "")


def end_of_day(encounter: dict[str, Any]) -> datetime:
    found = fhir_datetime.parse(encounter["period"]["end"])
    assert found is not None
    return fhir_datetime.day_bounds(found.ends)[1]


@pytest.mark.parametrize("style", ["plain", "opaque"])
async def test_nothing_of_the_shared_stays_is_lost_and_nothing_is_from_later(style: Style) -> None:
    for file, context in await contexts(style):
        resources = bundle(file)
        (encounter,) = [item for item in resources if item["resourceType"] == "Encounter" and item["id"] == file.stem]
        own, text, limit = {"reference": f"Encounter/{file.stem}"}, text_of(file, context, style), end_of_day(encounter)
        for item in resources:
            name = elements.concept(item.get("code") or item.get("medicationCodeableConcept"))
            if name is None:
                continue
            if item["resourceType"] == "Procedure" and item["encounter"] == own and item["status"] == "completed":
                assert name.partition(": ")[2] or name in text, (file.stem, item["id"])
            if item["resourceType"] == "MedicationRequest" and item.get("encounter") == own:
                assert name in text or "discharge" not in elements.codes(item["category"]), (file.stem, item["id"])
            if item["resourceType"] == "AllergyIntolerance":
                assert name in text, (file.stem, item["id"])
        times = [entry.time for entry in (*context.procedures, *context.reports) if entry.time]
        times += [item.last.time for item in (*context.labs, *context.vitals)]
        assert all(time <= limit for time in times)


async def test_who_died_gets_the_document_for_it_and_nobody_else_does() -> None:
    died = set()
    for file, context in await contexts("plain"):
        (encounter,) = [item for item in bundle(file) if item["id"] == file.stem]
        codes = elements.codes(encounter.get("hospitalization", {}).get("dischargeDisposition"))
        assert context.died == ("exp" in codes), file.stem
        died |= {context.died}
        text = text_of(file, context, "plain")
        assert ("DEATH SUMMARY" in text) == context.died
        assert ("In plain words" in text) == context.needs_instructions
    assert died == {True, False}, "the stays must hold both kinds"


async def test_a_death_that_only_the_report_of_the_discharge_states_is_one_and_is_asked_about() -> None:
    plain = await read_stay(client(sandbox()), stays()[0], occurred_at=None, attending=None)
    reported = await read_stay(client(sandbox()), stays()[0], occurred_at=None, attending=None, died=True)
    asked = [point.text for point in reported.open_points]
    assert not plain.died
    assert reported.died
    assert DEATH_REPORTED in asked
    assert DEATH_REPORTED not in [point.text for point in plain.open_points]
    assert not reported.needs_instructions


async def test_both_styles_of_server_lead_to_the_same_document() -> None:
    plain, opaque = await contexts("plain"), await contexts("opaque")
    for (file, one), (_, other) in zip(plain, opaque, strict=True):
        assert text_of(file, one, "plain") == text_of(file, other, "opaque"), file.stem
        assert document_header.age(one) == document_header.age(other)


async def test_an_encounter_that_is_not_there_is_said_so() -> None:
    with pytest.raises(PermanentError, match="no such encounter"):
        await read_stay(client(sandbox()), "nowhere", occurred_at=None, attending=None)


async def test_reading_a_stay_is_bounded_and_never_asks_for_what_the_server_does_not_know() -> None:
    ehr = client(sandbox("opaque"))
    await read_stay(ehr, stays("opaque")[0], occurred_at=None, attending=None)
    assert ehr.requests <= 70  # by reference, and once more by number: of this server some sixty


NUMBER = {"system": "urn:oid:1.2.3.4.5", "value": "A,B|7"}


def with_a_number_only(**more: Any) -> Sandbox:
    """A record of which one allergy names its patient by number only; another patient has one, too."""
    ehr = sandbox(**more)
    encounter = ehr.store.get("Encounter", stays()[0])
    assert encounter is not None
    patient = ehr.store.get("Patient", encounter["subject"]["reference"].rpartition("/")[2])
    assert patient is not None
    ehr.store.put(patient | {"identifier": [NUMBER, *patient.get("identifier", [])]})
    for id, number in (("ours", NUMBER), ("theirs", NUMBER | {"value": "A"})):
        subject = {"type": "Patient", "identifier": number}
        ehr.store.put({"resourceType": "AllergyIntolerance", "id": id, "patient": subject, "code": {"text": id}})
        ehr.store.put(
            {
                "resourceType": "Procedure",
                "id": id,
                "status": "completed",
                "encounter": {"reference": f"Encounter/{stays()[0]}"},
                "subject": subject,
                "code": {"text": f"Procedure {id}"},
                "performedDateTime": encounter["period"]["start"],
            }
        )
    return ehr


async def test_an_entry_that_names_its_patient_by_number_only_is_found() -> None:
    found = await read_stay(client(with_a_number_only()), stays()[0], occurred_at=None, attending=None)
    assert "ours" in [item.text for item in found.allergies]
    assert "theirs" not in composed(found).text


async def test_a_server_without_searches_by_number_is_asked_by_encounter() -> None:
    types = ("Encounter", "AllergyIntolerance", "Procedure")
    refused = dict.fromkeys((f"{type}?patient:identifier" for type in types), 400)
    ehr = client(with_a_number_only(quirks=Quirks(refused_searches=refused)))
    found = await read_stay(ehr, stays()[0], occurred_at=None, attending=None)
    assert "Procedure ours" in [item.text for item in found.procedures]
    assert "Procedure theirs" not in composed(found).text
    assert not found.unread


class Ignoring(LossyTransport):
    """The server ignores what it does not know, so a search by `:identifier` alone finds everybody's entries."""

    asked: ClassVar[list[str]] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(str(request.url))
        kept = [(name, value) for name, value in request.url.params.multi_items() if ":identifier" not in name]
        request.url = request.url.copy_with(params=httpx.QueryParams(kept))
        return await super().handle_async_request(request)


async def test_a_server_that_ignores_the_modifier_is_never_asked_for_everybodys_entries() -> None:
    ehr = with_a_number_only()
    reader = FhirClient(BASE, httpx.AsyncClient(transport=Ignoring(create_app(ehr)), base_url=BASE))
    found = await read_stay(reader, stays()[0], occurred_at=None, attending=None)
    by_number = [url for url in Ignoring.asked if "%3Aidentifier" in url or ":identifier" in url]
    assert len(by_number) == 1
    assert "_id=" in by_number[0]
    assert "Procedure ours" in [item.text for item in found.procedures]
    assert "theirs" not in composed(found).text


async def test_a_stay_whose_parent_is_not_there_is_read_by_itself() -> None:
    ehr = sandbox()
    encounter = ehr.store.get("Encounter", stays()[0])
    assert encounter is not None
    ehr.store.put(encounter | {"partOf": {"reference": "Encounter/gone"}})
    found = await read_stay(client(ehr), stays()[0], occurred_at=None, attending=None)
    assert found.encounter == f"Encounter/{stays()[0]}"


class BehindAProxy(LossyTransport):
    """The server is asked by another name than that of our settings, and writes that name into what it answers."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        request.url = request.url.copy_with(host="fhir.internal")
        request.headers["host"] = "fhir.internal"
        return await super().handle_async_request(request)


async def test_a_server_that_names_itself_by_another_base_is_read_in_full() -> None:
    ehr = sandbox(quirks=Quirks(reference_style="absolute"))
    proxied = FhirClient(BASE, httpx.AsyncClient(transport=BehindAProxy(create_app(ehr)), base_url=BASE))
    encounter = await proxied.read("Encounter", stays()[0])
    assert encounter["subject"]["reference"].startswith("http://fhir.internal/")
    found = await read_stay(proxied, stays()[0], occurred_at=None, attending=None)
    plain = await read_stay(client(sandbox()), stays()[0], occurred_at=None, attending=None)
    assert composed(found).text == composed(plain).text


async def test_a_record_of_which_nothing_can_be_read_is_no_draft() -> None:
    ehr = sandbox()
    encounter = ehr.store.get("Encounter", stays()[0])
    assert encounter is not None
    patient = {"resourceType": "Patient", "id": "nobody", "name": [{"text": "Nobody Known"}]}
    ehr.store.put(patient)
    ehr.store.put(
        encounter | {"id": "alone", "subject": {"reference": "Patient/nobody"}, "partOf": {}, "diagnosis": []}
    )
    with pytest.raises(PermanentError, match="an empty record is not drafted"):
        await read_stay(client(ehr), "alone", occurred_at=None, attending=None)

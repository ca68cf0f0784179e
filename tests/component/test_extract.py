"""The whole stays, read over FHIR from the sandbox in both of its styles: what the record has, the summary says."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from deploy.sandbox_ehr.app import Style
from deploy.sandbox_ehr.seed import opaque_id
from services.drafter import facts, reading
from services.drafter.compose import compose
from services.drafter.context import EncounterContext
from services.drafter.extract import extract
from shared.contracts.draft import Draft
from shared.contracts.failures import PermanentError
from tests.support.ehr import client, sandbox, shared_sandbox, shared_stays, stays
from tests.support.examples import PROMPT

PARTS = [
    "reason-for-hospitalization",
    "significant-findings",
    "procedures-and-treatment",
    "condition-at-discharge",
    "patient-and-family-instructions",
    "attending-signature",
]


def composed(context: EncounterContext, by_hand: str | None = None) -> Draft:
    return compose(
        context, facts.render(context), (), by_hand=by_hand, number=1, model="m", prompt=PROMPT, context_digest="c" * 64
    )


def bundle(file: Path) -> list[dict[str, Any]]:
    return [entry["resource"] for entry in json.loads(file.read_text())["entry"]]


def mapped(id: str, style: Style) -> str:
    return id if style == "plain" else opaque_id("Encounter", id)


async def contexts(style: Style) -> list[tuple[Path, EncounterContext]]:
    ehr = client(shared_sandbox(style))
    return [
        (file, await extract(ehr, mapped(file.stem, style), occurred_at=None, attending=None))
        for file in shared_stays()
    ]


@pytest.mark.parametrize("style", ["plain", "opaque"])
async def test_every_stay_of_the_seed_becomes_a_complete_document(style: Style) -> None:
    ehr = client(sandbox(style))
    for id in stays(style):
        context = await extract(ehr, id, occurred_at=None, attending=None)
        draft = composed(context)
        assert [part.code for part in draft.parts] == PARTS
        assert all(part.groups and all(group.facts for group in part.groups) for part in draft.parts)
        assert context.patient.name in draft.text
        assert "None" not in draft.text.replace("None recorded", "").replace("None known", "")


def usable(resources: list[dict[str, Any]], type: str, end: str) -> Iterator[dict[str, Any]]:
    """Entries of a stay that a reader of the chart would expect in the document."""
    for item in resources:
        time = reading.first_moment(item, "performedDateTime", "performedPeriod", "effectiveDateTime")
        limit = reading.moment(end)
        if item["resourceType"] == type and reading.concept(item.get("code")) and time and limit and time <= limit:
            yield item


@pytest.mark.parametrize("style", ["plain", "opaque"])
async def test_nothing_of_the_shared_stays_is_lost_and_nothing_is_from_later(style: Style) -> None:
    for file, context in await contexts(style):
        resources = bundle(file)
        (encounter,) = [item for item in resources if item["resourceType"] == "Encounter" and item["id"] == file.stem]
        end, own = encounter["period"]["end"], {"reference": f"Encounter/{file.stem}"}
        text = composed(context).text
        limit = reading.moment(end)
        assert limit is not None
        for item in usable(resources, "Procedure", end):
            if item["encounter"] == own and item["status"] == "completed":
                assert str(reading.concept(item["code"])) in text, (file.stem, item["id"])
        for item in resources:
            discharge = "discharge" in reading.codes(item.get("category"))
            if item["resourceType"] == "MedicationRequest" and discharge and item.get("encounter") == own:
                name = reading.concept(item.get("medicationCodeableConcept"))
                assert name is None or name in text, (file.stem, item["id"])
            if item["resourceType"] == "AllergyIntolerance" and (name := reading.concept(item.get("code"))):
                recorded = reading.moment(item.get("recordedDate"))
                known = recorded is None or recorded <= limit
                assert (name in text) == known, (file.stem, item["id"])
                assert known or any(item["id"] in line for line in context.left_out) or "opaque" in style
        times = [entry.time for entry in (*context.procedures, *context.reports) if entry.time]
        times += [item.last.time for item in (*context.labs, *context.vitals)]
        assert all(time <= limit for time in times)


async def test_who_died_gets_the_document_for_it_and_nobody_else_does() -> None:
    died = set()
    for file, context in await contexts("plain"):
        (encounter,) = [item for item in bundle(file) if item["id"] == file.stem]
        codes = reading.codes(encounter.get("hospitalization", {}).get("dischargeDisposition"))
        assert context.died == ("exp" in codes), file.stem
        died |= {context.died}
        text = composed(context, by_hand="the model failed").text
        assert ("DEATH SUMMARY" in text) == context.died
        assert ("In plain words" in text) != context.died
    assert died == {True, False}, "the stays must hold both kinds"


async def test_both_styles_of_server_lead_to_the_same_document() -> None:
    plain, opaque = await contexts("plain"), await contexts("opaque")
    for (file, one), (_, other) in zip(plain, opaque, strict=True):
        assert composed(one).text == composed(other).text, file.stem
        assert facts.age(one) == facts.age(other)


async def test_an_encounter_that_is_not_there_is_said_so() -> None:
    with pytest.raises(PermanentError, match="no such encounter"):
        await extract(client(sandbox()), "nowhere", occurred_at=None, attending=None)


async def test_reading_a_stay_is_bounded_and_never_asks_for_what_the_server_does_not_know() -> None:
    ehr = client(sandbox("opaque"))
    await extract(ehr, stays("opaque")[0], occurred_at=None, attending=None)
    assert ehr.requests <= 60

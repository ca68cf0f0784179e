"""The sandbox EHR through the FHIR client, in both styles."""

import json
from typing import Any

import pytest
from pydantic import SecretStr

from sandbox_ehr.app import Sandbox, Style
from shared.clinical.authorization import StaticToken
from shared.clinical.fhir_client import (
    FhirClient,
    NotFoundError,
    PreconditionFailedError,
    UnauthorizedError,
    etag_of,
    oldest,
)
from shared.contracts.errors import PermanentError, RateLimitedError, TransientError
from tests.support.ehr import BASE, client, http, sandbox, stays

pytestmark = pytest.mark.parametrize("style", ["plain", "opaque"])


def task(patient: str, value: str = "t1") -> dict[str, Any]:
    return {
        "resourceType": "Task",
        "identifier": [{"system": "urn:test", "value": value}],
        "status": "requested",
        "intent": "order",
        "for": {"reference": patient},
    }


async def patient_of(ehr: FhirClient, style: Style) -> str:
    encounter = await ehr.read("Encounter", stays(style)[0])
    return str(encounter["subject"]["reference"])


async def arm(of: Sandbox, **fault: Any) -> None:
    async with http(of) as client_:
        await client_.post("http://ehr.test/sandbox/faults", content=json.dumps(fault))


async def test_searches_follow_every_page(style: Style) -> None:
    ehr = client(sandbox(style))
    patient = (await patient_of(ehr, style)).removeprefix("Patient/")
    found = await ehr.search("Observation", {"patient": patient})
    assert len({item["id"] for item in found}) == len(found) > 20


async def test_unknown_parameters_are_refused_and_not_ignored(style: Style) -> None:
    with pytest.raises(PermanentError, match="not-supported"):
        await client(sandbox(style)).search("Observation", {"colour": "blue"})


async def test_conditional_create_makes_one(style: Style) -> None:
    ehr = client(sandbox(style))
    wanted = task(await patient_of(ehr, style))
    query = {"identifier": "urn:test|t1"}
    first = await ehr.create(wanted, if_none_exist=query)
    second = await ehr.create(wanted, if_none_exist=query)
    assert (first.created, second.created) == (True, False)
    assert first.resource["id"] == second.resource["id"]


async def test_where_a_racing_create_made_two_everybody_picks_the_same(style: Style) -> None:
    ehr = client(sandbox(style))
    wanted, query = task(await patient_of(ehr, style)), {"identifier": "urn:test|t1"}
    made = [(await ehr.create(wanted)).resource for _ in range(2)]
    picked = [await ehr.create(wanted, if_none_exist=query) for _ in range(3)]
    assert {item.resource["id"] for item in picked} == {oldest(made)["id"]}
    assert not any(item.created for item in picked)
    assert len(await ehr.search("Task", query)) == 2


def test_the_oldest_is_the_first_that_was_stored(style: Style) -> None:
    at = [
        {"id": id, "meta": {"lastUpdated": time}}
        for id, time in (("a", "2026-11-23T09:00:01Z"), ("b", "2026-11-23T09:00:00Z"))
    ]
    assert oldest(at)["id"] == "b"


async def test_an_update_needs_the_version_that_was_read(style: Style) -> None:
    ehr = client(sandbox(style))
    made = (await ehr.create(task(await patient_of(ehr, style)))).resource
    await ehr.update(made | {"status": "completed"}, if_match=etag_of(made))
    with pytest.raises(PreconditionFailedError):
        await ehr.update(made | {"status": "cancelled"}, if_match=etag_of(made))
    assert (await ehr.read("Task", made["id"]))["status"] == "completed"


async def test_errors_are_sorted_into_our_three_kinds(style: Style) -> None:
    of = sandbox(style)
    ehr = client(of)
    with pytest.raises(NotFoundError):
        await ehr.read("Patient", "nobody")
    await arm(of, kind="status", status=503, type="Patient")
    with pytest.raises(TransientError):
        await ehr.read("Patient", "x")
    await arm(of, kind="status", status=429, retry_after="7", type="Patient")
    with pytest.raises(RateLimitedError) as limited:
        await ehr.read("Patient", "x")
    assert limited.value.retry_after == 7
    await arm(of, kind="lost-response", type="Patient")
    with pytest.raises(TransientError):
        await ehr.search("Patient", {})


async def test_what_lacks_a_required_element_is_refused(style: Style) -> None:
    with pytest.raises(PermanentError, match="required"):
        await client(sandbox(style)).create({"resourceType": "Provenance"})


async def test_dangling_references_are_refused_where_the_server_checks_them(style: Style) -> None:
    ehr = client(sandbox(style))
    if style == "plain":
        assert (await ehr.create(task("Patient/nobody"))).created
    else:
        with pytest.raises(PermanentError, match="invariant"):
            await ehr.create(task("Patient/nobody"))


async def test_capabilities_say_what_can_be_searched(style: Style) -> None:
    found = await client(sandbox(style)).capabilities()
    assert found.supports_parameter("Observation", "encounter")
    assert not found.supports_parameter("AllergyIntolerance", "encounter")
    assert not found.supports_type("Claim")


async def test_a_token_is_asked_for(style: Style) -> None:
    of = sandbox(style, token="secret")
    with pytest.raises(UnauthorizedError, match="401"):
        await client(of).read("Patient", "x")
    assert not await client(of).ready()
    assert await FhirClient(BASE, http(of), StaticToken(SecretStr("secret"))).ready()

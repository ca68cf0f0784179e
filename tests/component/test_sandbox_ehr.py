"""The sandbox EHR through the FHIR client, in both styles; and the client against what real servers do wrong."""

import json
from typing import Any

import httpx
import pytest

from deploy.sandbox_ehr.app import Sandbox, Style
from shared.clinical.fhir import FhirClient, NotFoundError, PreconditionFailedError, oldest, retry_after, version_of
from shared.contracts.failures import PermanentError, RateLimitedError, TransientError
from tests.support.ehr import BASE, client, http, sandbox, stays
from tests.support.examples import T0

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
    await ehr.update(made | {"status": "completed"}, if_match=version_of(made))
    with pytest.raises(PreconditionFailedError):
        await ehr.update(made | {"status": "cancelled"}, if_match=version_of(made))
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
    assert found.has("Observation", "encounter")
    assert not found.has("AllergyIntolerance", "encounter")
    assert not found.knows("Claim")


async def test_a_token_is_asked_for(style: Style) -> None:
    of = sandbox(style, token="secret")
    with pytest.raises(PermanentError, match="401"):
        await client(of).read("Patient", "x")
    assert not await client(of).ready()

    async def authorization() -> str:
        return "Bearer secret"

    assert await FhirClient(BASE, http(of), authorization).ready()


def answering(status: int, body: Any = None, headers: dict[str, str] | None = None) -> FhirClient:
    content = body if isinstance(body, bytes) else json.dumps(body).encode() if body is not None else b""

    def handler(_: httpx.Request) -> httpx.Response:
        return httpx.Response(status, content=content, headers=headers)

    return FhirClient(BASE, httpx.AsyncClient(transport=httpx.MockTransport(handler)))


@pytest.mark.parametrize("body", [b"<html>proxy</html>", b"[]", b"\xff\xfe", b""])
async def test_answers_that_are_no_resources_are_refused(style: Style, body: bytes) -> None:
    with pytest.raises(PermanentError):
        await answering(200, body).read("Patient", "x")


async def test_a_next_link_that_never_ends_does_not_hold_a_step_for_ever(style: Style) -> None:
    bundle = {"resourceType": "Bundle", "link": [{"relation": "next", "url": f"{BASE}/Patient?page=1"}]}
    with pytest.raises(PermanentError, match="pages"):
        await answering(200, bundle).search("Patient", {})


async def test_entries_that_are_no_resources_are_left_out(style: Style) -> None:
    entries = [{"resource": {"resourceType": "OperationOutcome", "id": "x"}}, {}, "junk", {"resource": {"id": "y"}}]
    assert await answering(200, {"resourceType": "Bundle", "entry": entries}).search("Patient", {}) == []


async def test_what_a_server_says_stays_out_of_our_words(style: Style) -> None:
    outcome = {"resourceType": "OperationOutcome", "issue": [{"code": "value", "diagnostics": "Jane Doe is no date"}]}
    with pytest.raises(PermanentError) as refused:
        await answering(400, outcome).search("Patient", {"family": "Doe"})
    assert refused.value.reason == "search Patient: HTTP 400 (value)"


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("3", 3),
        ("0", 0),
        ("Mon, 23 Nov 2026 09:00:30 GMT", 30),
        ("Mon, 23 Nov 2026 08:00:00 GMT", 0),
        ("soon", 5),
        (None, 5),
    ],
)
def test_retry_after_as_seconds_or_date(style: Style, value: str | None, seconds: float) -> None:
    assert retry_after(value, T0) == seconds

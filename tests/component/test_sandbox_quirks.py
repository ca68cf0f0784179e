"""What each switch of the sandbox EHR does to the answers, as a client of HTTP sees it."""

import asyncio
from pathlib import Path
from typing import Any

import httpx
import pytest

from sandbox_ehr.app import Sandbox, create_app
from sandbox_ehr.quirks import PAGE_HOST, PAGE_PATH, Quirks, QuirkState, QuirkyServer
from tests.support.ehr import sandbox, stays
from tests.support.stack import until

BASE = "http://ehr.test"
DEVICE = {"resourceType": "Device", "identifier": [{"system": "urn:test", "value": "d1"}]}
CONDITION = {"If-None-Exist": "identifier=urn:test|d1"}


def asking(of: Sandbox) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(create_app(of, faults=True)), base_url=BASE)


def with_quirks(**quirks: Any) -> httpx.AsyncClient:
    return asking(sandbox(quirks=Quirks(**quirks)))


def devices(of: Sandbox) -> int:
    return len(list(of.store.candidates("Device", None, None)))


async def found(ehr: httpx.AsyncClient, query: str, **headers: str) -> int:
    return len((await ehr.get(f"/fhir/{query}", headers=headers)).json()["entry"])


async def test_a_search_is_answered_as_before_until_its_time_is_over_or_no_cache_is_asked_for() -> None:
    now = [0.0]
    server = QuirkyServer(create_app(sandbox()), Quirks(cache_seconds=60), QuirkState(), lambda: now[0])
    ehr = httpx.AsyncClient(transport=httpx.ASGITransport(server), base_url=BASE)
    assert await found(ehr, "Device") == 0
    await ehr.post("/fhir/Device", json=DEVICE)
    assert await found(ehr, "Device") == 0
    now[0] = 59.0
    assert await found(ehr, "Device") == 0
    now[0] = 61.0
    assert await found(ehr, "Device") == 1
    await ehr.post("/fhir/Device", json=DEVICE)
    assert await found(ehr, "Device") == 1
    assert await found(ehr, "Device", **{"Cache-Control": "no-cache"}) == 2


@pytest.mark.parametrize(("asked", "given"), [("", 20), ("?_count=500", 20), ("?_count=3", 3)])
async def test_a_page_has_no_more_than_its_limit(asked: str, given: int) -> None:
    assert await found(with_quirks(max_page_size=20), f"Observation{asked}") == given


@pytest.mark.parametrize(
    ("spelling", "form"),
    [
        ("absolute", f"{BASE}/fhir/{{}}"),
        ("versioned", "{}/_history/1"),
        ("absolute-versioned", f"{BASE}/fhir/{{}}/_history/1"),
    ],
)
async def test_references_are_spelled_alike_in_reads_searches_and_echoes_of_writes(spelling: str, form: str) -> None:
    of = sandbox(quirks=Quirks(reference_style=spelling))  # type: ignore[arg-type]
    ehr, stay = asking(of), stays()[0]
    stored = of.store.get("Encounter", stay)
    assert stored is not None
    wanted = form.format(stored["subject"]["reference"])
    read = (await ehr.get(f"/fhir/Encounter/{stay}")).json()
    (entry,) = (await ehr.get(f"/fhir/Encounter?_id={stay}")).json()["entry"]
    task = {"resourceType": "Task", "status": "requested", "intent": "order", "for": stored["subject"]}
    made = (await ehr.post("/fhir/Task", json=task)).json()
    assert read["subject"] == entry["resource"]["subject"] == made["for"] == {"reference": wanted}


async def test_what_is_no_resource_is_answered_as_it_is() -> None:
    answer = await with_quirks(reference_style="absolute").get("/fhir/Patient/x/$nothing")
    assert (answer.status_code, answer.text) == (404, "Not Found")


async def test_only_typed_references_find_something() -> None:
    of = sandbox(quirks=Quirks(requires_reference_type=True))
    stored = of.store.get("Encounter", stays()[0])
    assert stored is not None
    patient = stored["subject"]["reference"]
    assert await found(asking(of), f"Condition?patient={patient}") > 0
    assert await found(asking(of), f"Condition?patient={patient.partition('/')[2]}") == 0


@pytest.mark.parametrize(
    ("where", "begins"), [("path", f"{BASE}{PAGE_PATH}/fhir/"), ("host", f"http://{PAGE_HOST}/fhir/")]
)
async def test_the_next_page_is_elsewhere_and_is_served(where: str, begins: str) -> None:
    ehr = with_quirks(max_page_size=5, next_link=where)
    first = (await ehr.get("/fhir/Observation")).json()
    (url,) = [link["url"] for link in first["link"] if link["relation"] == "next"]
    assert url.startswith(begins)
    second = (await ehr.get(url)).json()
    assert not {item["fullUrl"] for item in first["entry"]} & {item["fullUrl"] for item in second["entry"]}


@pytest.mark.parametrize(("created", "has_location"), [("location", True), ("nothing", False)])
async def test_a_create_answers_no_body(created: str, has_location: bool) -> None:
    answer = await with_quirks(create_response=created).post("/fhir/Device", json=DEVICE)
    assert (answer.status_code, answer.content) == (201, b"")
    assert ("location" in answer.headers) == has_location


async def test_the_first_conditional_create_of_a_type_is_a_conflict() -> None:
    ehr = with_quirks(first_create_conflicts=True)
    answers = [(await ehr.post("/fhir/Device", json=DEVICE, headers=CONDITION)).status_code for _ in range(3)]
    assert answers == [409, 201, 200]


async def test_of_two_conditional_creates_at_once_both_are_committed() -> None:
    of = sandbox(quirks=Quirks(first_create_races=True))
    assert (await asking(of).post("/fhir/Device", json=DEVICE, headers=CONDITION)).status_code == 201
    assert devices(of) == 2
    assert (await asking(of).post("/fhir/Device", json=DEVICE, headers=CONDITION)).status_code == 412


async def test_searches_are_refused_by_type_and_by_parameter() -> None:
    ehr = with_quirks(refused_searches={"Condition": 403, "Observation?date": 400})
    statuses = [
        (await ehr.get(f"/fhir/{query}")).status_code
        for query in ("Condition", "Observation?date=ge2020", "Observation?status=final", "Procedure?date=ge2020")
    ]
    assert statuses == [403, 400, 200, 200]


async def test_a_searchset_says_that_it_is_incomplete() -> None:
    ehr = with_quirks(incomplete_types=frozenset({"Condition"}))
    *_, last = (await ehr.get("/fhir/Condition")).json()["entry"]
    assert last["search"] == {"mode": "outcome"}
    assert [issue["code"] for issue in last["resource"]["issue"]] == ["incomplete"]
    *_, other = (await ehr.get("/fhir/Procedure")).json()["entry"]
    assert other["search"] == {"mode": "match"}


async def test_a_late_create_is_committed_though_its_client_has_gone_and_another_was_made() -> None:
    of = sandbox(quirks=Quirks(first_create_delay=0.2))
    ehr = asking(of)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(ehr.post("/fhir/Device", json=DEVICE, headers=CONDITION), 0.05)
    assert (await ehr.post("/fhir/Device", json=DEVICE, headers=CONDITION)).status_code == 201
    assert devices(of) == 1

    async def committed() -> bool:
        return devices(of) == 2

    await until(committed, "the late create")


@pytest.mark.parametrize(("deletes", "answers"), [(True, [204, 404]), (False, [405, 405])])
async def test_resources_are_deleted_only_where_that_is_allowed(deletes: bool, answers: list[int]) -> None:
    of = sandbox(quirks=Quirks(supports_delete=deletes))
    made = (await asking(of).post("/fhir/Device", json=DEVICE)).json()
    url = f"/fhir/Device/{made['id']}"
    assert [(await asking(of).delete(url)).status_code for _ in range(2)] == answers
    assert await found(asking(of), "Device?identifier=urn:test|d1") == (0 if deletes else 1)


@pytest.mark.parametrize(("contents", "status"), [(1, 201), (2, 422)])
async def test_a_document_may_have_so_many_contents(contents: int, status: int) -> None:
    document = {"resourceType": "DocumentReference", "status": "current", "content": [{"attachment": {}}] * contents}
    answer = await with_quirks(max_contents=1).post("/fhir/DocumentReference", json=document)
    assert answer.status_code == status


async def test_a_token_ends_and_the_file_has_the_next_one(tmp_path: Path) -> None:
    now, file = [0.0], tmp_path / "token"
    server = QuirkyServer(
        create_app(sandbox()), Quirks(token_file=file, token_lifetime=60), QuirkState(), lambda: now[0]
    )
    ehr = httpx.AsyncClient(transport=httpx.ASGITransport(server), base_url=BASE)

    async def status(token: str) -> int:
        return (await ehr.get("/fhir/Patient", headers={"Authorization": f"Bearer {token}"})).status_code

    first = file.read_text()
    assert await status(first) == 200
    now[0] = 60.0
    refused = await ehr.get("/fhir/Patient", headers={"Authorization": f"Bearer {first}"})
    assert refused.status_code == 401
    assert refused.headers["www-authenticate"].startswith("Bearer")
    assert await status(file.read_text()) == 200


async def test_what_a_test_asks_of_the_sandbox_itself_has_no_habits(tmp_path: Path) -> None:
    ehr = with_quirks(token_file=tmp_path / "token", first_create_delay=60, max_page_size=1)
    assert (await ehr.post("/sandbox/faults", json={"kind": "status"})).status_code == 200
    assert len((await ehr.get("/sandbox/faults")).json()) == 1

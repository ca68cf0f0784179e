"""The access log as an auditor searches and exports it."""

import csv
import hashlib
import io
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from services.approval.access import search, signatures
from shared.messaging.access_log import AccessLog
from tests.support import third_party
from tests.support.corrections import filed
from tests.support.ehr import stays
from tests.support.oidc import OidcServer
from tests.support.people import SUPERVISOR, bearer, open_review_case, sign_in
from tests.support.physician import approval_body
from tests.support.stack import Stack

pytestmark = pytest.mark.connected


async def entries(stack: Stack, **params: Any) -> list[dict[str, Any]]:
    answer = await stack.call("auditor", "GET", "/v1/access", params=params)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["items"]
    return found


async def write(stack: Stack, count: int, start: datetime) -> None:
    """Sign-ins of two people, one a minute."""
    bus = await stack.server.connect("approval")
    ids = iter(f"entry-{number}" for number in range(count))
    times = (start + timedelta(minutes=number) for number in range(count))
    log = AccessLog(bus, lambda: next(times), lambda: next(ids))
    for number in range(count):
        await log.record("signed-in", detail="", subject=("ann", "bob")[number % 2], role="physician")
    await bus.close()


async def test_filters_match_exactly_and_together(secured: Stack, provider: OidcServer) -> None:
    case_id = await open_review_case(secured)
    await secured.http.get(f"/v1/reviews/{case_id}", headers=bearer(provider.token()))
    elsewhere = bearer(provider.token(departments=["cardiology"]))
    await secured.http.get(f"/v1/reviews/{case_id}", headers=elsewhere)
    await sign_in(secured)
    everything = await entries(secured)
    assert [item["event"] for item in everything] == ["signed-in", "refused", "viewed"], "the latest first"
    assert [item["event"] for item in await entries(secured, case=case_id)] == ["refused", "viewed"]
    assert [item["event"] for item in await entries(secured, case=case_id, action="viewed")] == ["viewed"]
    assert len(await entries(secured, subject="mgee")) == 3
    assert await entries(secured, subject="mge") == []
    now = datetime.now(UTC)
    assert await entries(secured, since=(now + timedelta(minutes=1)).isoformat()) == []
    assert await entries(secured, until=(now - timedelta(minutes=1)).isoformat()) == []
    assert len(await entries(secured, since=(now - timedelta(minutes=5)).isoformat())) == 3


async def test_pages_reach_every_entry_once(secured: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where windows are smaller than pages, and where a page ends because the search has read enough."""
    monkeypatch.setattr(search, "WINDOW", 4)
    monkeypatch.setattr(search, "MAX_READ", 8)
    await write(secured, 23, datetime.now(UTC))
    for wanted, count in (({}, 23), ({"subject": "ann"}, 12), ({"subject": "nobody"}, 0)):
        found: list[int] = []
        after: dict[str, str] = {}
        for _ in range(30):
            answer = await secured.call("auditor", "GET", "/v1/access", params=wanted | after | {"limit": 3})
            page = answer.json()
            found += [item["sequence"] for item in page["items"]]
            if page["next"] is None:
                break
            after = {"after": page["next"]}
        assert len(found) == count
        assert found == sorted(set(found), reverse=True)


async def test_periods_are_found_in_an_older_log(secured: Stack) -> None:
    await write(secured, 30, datetime.now(UTC))
    start = min(item["time"] for item in await entries(secured, limit=500))
    since = datetime.fromisoformat(start) + timedelta(minutes=5)
    found = await entries(secured, since=since.isoformat(), until=(since + timedelta(minutes=3)).isoformat())
    assert len(found) == 3


async def test_a_patient_and_a_stay_are_resolved_from_the_body(secured: Stack) -> None:
    case_id = await open_review_case(secured)
    await secured.call("physician", "GET", f"/v1/reviews/{case_id}")
    encounter = stays(secured.ehr.style)[0]
    patient = next(item for item in secured.in_chart("Encounter") if item["id"] == encounter)["subject"]["reference"]

    async def found(**body: str) -> list[str]:
        answer = await secured.call("auditor", "POST", "/v1/access/search", json=body)
        assert answer.status_code == 200, answer.text
        return [item["case_id"] for item in answer.json()["items"]]

    assert await found(patient=patient) == [case_id]
    assert await found(patient=patient.removeprefix("Patient/"), encounter=encounter) == [case_id]
    assert await found(encounter=f"Encounter/{encounter}") == [case_id]
    assert await found(patient=patient[:-1]) == []
    assert await found(patient="Patient/nobody", encounter=encounter) == []
    log = await entries(secured)
    assert patient not in str(log), "the log names no patient"


async def test_cases_of_a_patient_are_listed_for_those_who_may_know(secured: Stack) -> None:
    case_id = await open_review_case(secured)
    encounter = stays(secured.ehr.style)[0]
    patient = next(item for item in secured.in_chart("Encounter") if item["id"] == encounter)["subject"]["reference"]

    async def found(role: str = "auditor", **body: Any) -> list[str]:
        answer = await secured.call(role, "POST", "/v1/cases/search", json=body)
        assert answer.status_code == 200, answer.text
        return [item["case_id"] for item in answer.json()["items"]]

    for role in ("auditor", "physician", "supervisor"):
        assert await found(role, patient=patient) == [case_id], role
    assert await found(patient=patient.removeprefix("Patient/"), state=["awaiting-review"]) == [case_id]
    assert await found(patient=patient, state=["filed"]) == []
    assert await found(patient=patient[:-1]) == []
    for role in ("operator", "engineer", "ingest"):
        refused = await secured.call(role, "POST", "/v1/cases/search", json={"patient": patient})
        assert refused.status_code == 403, role
    missing = await secured.call("auditor", "POST", "/v1/cases/search", json={})
    assert missing.status_code == 422


async def test_exports_hold_the_whole_selection_and_are_logged(secured: Stack, tmp_path: Path) -> None:
    case_id = await open_review_case(secured)
    await secured.call("physician", "GET", f"/v1/reviews/{case_id}")
    await secured.http.get("/v1/reviews", headers=bearer("a.b.c"))  # refused
    await write(secured, 60, datetime.now(UTC))
    sheet = await secured.call("auditor", "GET", "/v1/access", headers={"Accept": "text/csv"})
    assert sheet.headers["content-type"].startswith("text/csv")
    rows = list(csv.DictReader(io.StringIO(sheet.text)))
    assert len(rows) == 63, "with the export itself"
    assert rows[0]["event"] == "exported"
    only = await secured.call("auditor", "GET", "/v1/access", params={"format": "csv", "case": case_id})
    assert {row["case_id"] for row in csv.DictReader(io.StringIO(only.text))} == {case_id}
    bundle = await secured.call("auditor", "GET", "/v1/access", params={"format": "fhir"})
    assert bundle.headers["content-type"] == "application/fhir+json"
    events = [item["resource"] for item in bundle.json()["entry"]]
    assert len(events) == 65
    assert {item["outcome"] for item in events} == {"0", "4"}
    none = await secured.call("auditor", "GET", "/v1/access", params={"format": "fhir", "subject": "nobody"})
    assert "entry" not in none.json()
    assert third_party.errors([bundle.content, none.content], tmp_path) == []


@pytest.mark.parametrize("role", ["physician", "supervisor", "operator"])
async def test_only_auditors_search_it(secured: Stack, provider: OidcServer, role: str) -> None:
    token = bearer(provider.token(roles=[role], departments=None))
    assert (await secured.http.get("/v1/access", headers=token)).status_code == 403
    assert (await secured.http.post("/v1/access/search", headers=token, json={})).status_code == 403
    assert (await secured.http.get("/access", headers=token)).status_code == 403


async def test_an_auditor_of_one_department_sees_its_cases_alone(secured: Stack, provider: OidcServer) -> None:
    case_id = await open_review_case(secured)
    await secured.call("physician", "GET", f"/v1/reviews/{case_id}")
    await sign_in(secured)
    for departments, expected in ((["internal-medicine"], [case_id]), (["cardiology"], [])):
        token = bearer(provider.token(sub="eve", roles=["auditor"], departments=departments))
        answer = await secured.http.get("/v1/access", headers=token)
        assert [item["case_id"] for item in answer.json()["items"]] == expected


async def test_what_is_not_understood_is_refused(secured: Stack) -> None:
    for params in ({"after": "x"}, {"case": "*"}, {"action": "stolen"}, {"since": "yesterday"}, {"who": "ann"}):
        answer = await secured.call("auditor", "GET", "/v1/access", params=params)
        assert answer.status_code == 422, params


async def test_signatures_without_a_view_are_listed(
    secured: Stack, provider: OidcServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One physician looked; another signed by a digest that somebody else gave them."""
    monkeypatch.setattr(signatures, "MAX_EXAMINED", 1)
    path = "/v1/audit/unseen-signatures"
    looked, blind = await filed(secured), await secured.discharge(stays(secured.ehr.style)[1])
    await secured.reaches(blind, "awaiting-review")
    draft = (await secured.review(blind))["draft"]  # by another person
    body = approval_body(draft) | {"written": [hashlib.sha256(b"x").hexdigest()]}
    signer = bearer(provider.token(**SUPERVISOR)) | {"If-Match": draft["digest"]}
    answer = await secured.http.post(f"/v1/reviews/{blind}/approve", headers=signer, json=body)
    assert answer.status_code == 200, answer.text
    items, cursor, examined = [], {}, 0
    for _ in range(3):
        page = (await secured.call("auditor", "GET", path, params=cursor)).json()
        items += page["items"]
        examined += page["examined"]
        if page["next"] is None:
            break
        cursor = {"after": page["next"]}
    assert examined == 2
    assert [(item["case_id"], item["subject"], item["reason"]) for item in items] == [(blind, "boss", "not-viewed")]
    assert looked != blind
    later = (datetime.now(UTC) + timedelta(minutes=1)).isoformat()
    none = (await secured.call("auditor", "GET", path, params={"since": later})).json()
    assert (none["items"], none["examined"]) == ([], 0)
    other = bearer(provider.token(sub="eve", roles=["auditor"], departments=["cardiology"]))
    assert (await secured.http.get(path, headers=other)).json()["examined"] == 0
    assert (await secured.http.get(path, headers=bearer(provider.token()))).status_code == 403

"""A physician works on a draft that is prepared before the discharge, and signs it after the discharge."""

import base64
from copy import deepcopy
from datetime import UTC, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import lxml.html
import pytest

from cli.doctor.census import check_timers
from services.approval.preparation.expiry import PreparationExpiry
from services.approval.projections.preparations import PreparationsProjection
from services.ingest.preparation.nightly_preparation import NightlyPreparation, SearchBudget
from services.ingest.publishers import EncounterPublisher
from services.ingest.settings import CensusSettings
from shared.contracts.subjects import case_id as case_id_of
from shared.contracts.subjects import timer_subject
from shared.messaging.timers import DUE_AT
from shared.runtime.checks.findings import Group
from tests.connected.test_corrections_page import form, send
from tests.support.ehr import client, stays
from tests.support.stack import Stack, until

pytestmark = pytest.mark.connected

PREPARED = ["preparation-requested", "prepared"]
TO_REVIEW = ["discharged", "context-extracted", "drafted", "review-requested"]
REASON = "Elective admission for observation"


class Stay:
    """A stay that goes on in the sandbox EHR, until it is discharged."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.id = stays(stack.ehr.style)[0]
        found = stack.ehr.store.get("Encounter", self.id)
        assert found is not None
        self.finished = found
        ongoing = deepcopy(found) | {"status": "in-progress", "reasonCode": [{"text": REASON}]}
        ongoing["period"].pop("end", None)
        ongoing.pop("hospitalization", None)
        ongoing.pop("reasonReference", None)
        stack.ehr.store.put(ongoing)

    async def report(self, what: str, **more: Any) -> Any:
        sent = {"encounter_id": self.id, "department": "internal-medicine"} | more
        return await self.stack.call("ingest", "POST", f"/v1/encounters/{what}", json=sent)

    async def prepare(self, events: int = 0) -> str:
        answer = await self.report("discharge-pending")
        assert answer.status_code == 202, answer.text
        case_id = str(answer.json()["case_id"])
        await self.stack.reaches(case_id, "prepared", events)
        return case_id

    async def discharge(self, **changed: Any) -> None:
        self.stack.ehr.store.put(deepcopy(self.finished) | {"reasonCode": [{"text": REASON}]} | changed)
        assert (await self.report("discharged")).status_code == 202


async def page(stack: Stack, case_id: str) -> lxml.html.HtmlElement:
    answer = await stack.call("physician", "GET", f"/reviews/{case_id}")
    assert answer.status_code == 200, answer.text
    return lxml.html.fromstring(answer.text)


async def timers(stack: Stack, case_id: str) -> list[Any]:
    bus = await stack.server.connect("approval")
    found = await bus.direct_get("TIMERS", {"last_by_subj": timer_subject(case_id, "*")})
    await bus.close()
    return found


async def test_a_prepared_draft_is_worked_on_and_signed_after_the_discharge(stack: Stack) -> None:
    stay = Stay(stack)
    case_id = await stay.prepare()
    assert await stack.events(case_id) == PREPARED
    review = await stack.review(case_id)
    draft = review["draft"]
    assert (review["state"], review["deadlines"]) == ("prepared", [])
    assert review["preparation"]["trigger"] == "pending-discharge"
    assert "not discharged yet" in draft["text"]
    assert "The stay ended" not in draft["text"]
    assert stack.in_chart("Task") == []
    assert await timers(stack, case_id) == []
    inbox = await stack.call("physician", "GET", "/")
    assert "Prepared before the discharge" in inbox.text
    assert f"/reviews/{case_id}" in inbox.text
    listed = (await stack.call("physician", "GET", "/v1/preparations")).json()
    (line,) = listed["items"]
    assert (line["case_id"], line["draft"], listed["total"]) == (case_id, draft["digest"], 1)

    shown = await page(stack, case_id)
    assert not shown.xpath('//button[text()="Countersign"]')
    fields = form(shown, f"/reviews/{case_id}/look")
    lines = fields["text"][0].split("\n")
    changed = next(index for index, item in enumerate(lines) if REASON in item)
    stays_put = next(index for index, item in enumerate(lines) if item.startswith("  ") and index > changed + 1)
    edited = [*lines]
    edited[changed] += ", as I saw it"
    edited[stays_put] += " I have checked this."
    kept = await send(stack, f"/reviews/{case_id}/look", fields | {"text": "\n".join(edited)})
    assert kept.status_code == 303
    assert "I have checked this." in form(await page(stack, case_id), f"/reviews/{case_id}/look")["text"][0]

    await stay.discharge(reasonCode=[{"text": "Emergency admission with chest pain"}])
    await stack.reaches(case_id, "awaiting-review")
    assert await stack.events(case_id) == [*PREPARED, *TO_REVIEW]
    assert len(stack.in_chart("Task")) == 1
    assert len(await timers(stack, case_id)) == 1
    prepared = (await stack.review(case_id))["prepared"]
    assert prepared["digest"] == draft["digest"]
    assert any(REASON in item["before"] and "chest pain" in item["after"] for item in prepared["changes"])
    assert edited[stays_put] in prepared["edited_text"].split("\n")
    assert [item["edited"].strip("\n") for item in prepared["unmerged"]] == [edited[changed]]
    assert "as I saw it" not in prepared["edited_text"]

    shown = await page(stack, case_id)
    assert "as I saw it" in shown.get_element_by_id("conflicts").text_content()
    assert shown.get_element_by_id("compared") is not None
    path = f"/reviews/{case_id}/approve"
    fields = form(shown, path)
    assert fields["text"][0] == prepared["edited_text"]
    fields |= {"acknowledged": shown.xpath('//input[@name="acknowledged"]/@value')}
    fields |= {"confirmed": shown.xpath('//input[@name="confirmed"]/@value')}
    fields |= {"written": shown.xpath('//input[@name="written"]/@value')}
    signed = await send(stack, path, fields)
    if "misleading" in signed.headers["location"]:
        again = form(await page(stack, case_id), path)
        signed = await send(stack, path, fields | {"text": again["text"]})
    assert signed.headers["location"] == f"/reviews/{case_id}"
    await stack.reaches(case_id, "filed")
    (document,) = stack.in_chart("DocumentReference")
    assert edited[stays_put] in base64.b64decode(document["content"][0]["attachment"]["data"]).decode().split("\n")


async def test_nothing_is_decided_before_the_discharge(stack: Stack) -> None:
    stay = Stay(stack)
    case_id = await stay.prepare()
    review = await stack.review(case_id)
    draft = review["draft"]
    headers = {"If-Match": f'"{draft["digest"]}"'}
    for decision, body in (
        ("approve", {"acknowledged": list(range(len(draft["open_points"])))}),
        ("reject", {"action": "close", "reason": "no"}),
        ("reassign", {"to": review["owner"], "reason": "no"}),
    ):
        answer = await stack.call("supervisor", "POST", f"/v1/reviews/{case_id}/{decision}", headers=headers, json=body)
        assert answer.status_code == 409, (decision, answer.text)
    fields = {"digest": draft["digest"], "text": draft["text"], "mode": "review"}
    signed = await send(stack, f"/reviews/{case_id}/approve", fields)
    assert signed.headers["location"].endswith("note=not-open")
    assert (await stack.call("physician", "GET", f"/reviews/{case_id}/write")).status_code == 303
    assert await stack.events(case_id) == PREPARED
    assert stack.in_chart("DocumentReference") == stack.in_chart("Task") == stack.in_chart("Provenance") == []


async def test_a_stay_that_goes_on_leaves_nothing_in_the_chart(stack: Stack) -> None:
    stay = Stay(stack)
    case_id = await stay.prepare()
    assert (await stay.report("discharge-pending-cancelled")).status_code == 202
    await stack.reaches(case_id, "withdrawn")
    assert await stack.events(case_id) == [*PREPARED, "preparation-ended"]
    assert stack.in_chart("DocumentReference") == stack.in_chart("Task") == []
    assert (await stack.call("physician", "GET", "/v1/preparations")).json()["items"] == []
    assert await stay.prepare(events=5) == case_id, "the same stay is prepared again"
    await stay.discharge()
    await stack.reaches(case_id, "awaiting-review")
    assert (await stay.report("discharge-pending")).status_code == 409
    assert await stack.events(case_id) == [*PREPARED, "preparation-ended", *PREPARED, *TO_REVIEW]


async def test_what_was_prepared_from_the_same_facts_is_not_drafted_anew(stack: Stack) -> None:
    stay = Stay(stack)
    stay.finished = deepcopy(stay.finished)
    case_id = await stay.prepare()
    assert len(stack.generator.prompts) == 1
    assert await stay.prepare(events=4) == case_id, "prepared again, from the same record"
    assert len(stack.generator.prompts) == 1, "the model is not asked again"
    await stay.discharge()
    await stack.reaches(case_id, "awaiting-review")
    assert len(stack.generator.prompts) == 2, "where the patient went was not known before"
    prepared = (await stack.review(case_id))["prepared"]
    assert "hospital-course" in prepared["anew"]


async def test_the_discharge_wins_over_a_preparation_that_is_being_made(stack: Stack) -> None:
    stay = Stay(stack)
    answer = await stay.report("discharge-pending")
    await stay.discharge()
    case_id = answer.json()["case_id"]
    await stack.reaches(case_id, "awaiting-review")
    events = await stack.events(case_id)
    assert events[0] == "preparation-requested"
    assert [name for name in events if name not in PREPARED] == TO_REVIEW

    async def answered() -> bool:
        bus = await stack.server.connect("drafter")
        info = await bus.consumer_info("DISCHARGE", "drafter-prepare")
        await bus.close()
        return bool(info["num_pending"] == 0 and info["num_ack_pending"] == 0)

    await until(answered, "the preparation to be given up")
    assert await stack.events(case_id) == events


async def test_a_preparation_ends_in_time_without_a_discharge(stack: Stack) -> None:
    case_id = await Stay(stack).prepare()
    bus = await stack.server.connect("approval")
    rows, now = PreparationsProjection(lambda _: None), datetime.now(UTC)
    await rows.start(bus)

    async def known() -> bool:
        return case_id in rows.due(now + timedelta(days=8))

    await until(known, "the preparation to be known")
    for days, state in ((6, "prepared"), (8, "withdrawn"), (8, "withdrawn")):
        expiry = PreparationExpiry(bus, rows, timedelta(days=1), lambda: now + timedelta(days=days))  # noqa: B023
        await expiry.end_due()
        assert (await stack.case(case_id))["state"] == state
    assert (await stack.case(case_id))["events"][-1]["detail"] == {"reason": "expired"}
    assert await stack.events(case_id) == [*PREPARED, "preparation-ended"]
    assert stack.in_chart("DocumentReference") == stack.in_chart("Task") == []
    await bus.close()


async def test_a_census_asks_for_each_stay_once_a_night(stack: Stack) -> None:
    stay = Stay(stack)
    bus = await stack.server.connect("ingest")
    departments, zones = {"internal-medicine": "status=in-progress"}, {"internal-medicine": ZoneInfo("America/Chicago")}
    encounters = EncounterPublisher(bus, "general", lambda: "unused", lambda: datetime.now(UTC))
    census = NightlyPreparation(
        bus,
        client(stack.ehr),
        encounters,
        departments,
        time(1),
        zones,
        SearchBudget(0, 0),
        None,
        lambda: datetime.now(UTC),
    )
    await census.start()
    await census.start()  # of another process
    (timer,) = await bus.direct_get("REFRESH_TIMERS", {"last_by_subj": "timers.census.*"})
    due = datetime.fromisoformat((timer.headers or {})[DUE_AT])
    assert due.astimezone(ZoneInfo("America/Chicago")).time() == time(1)
    admin, group = await stack.server.connect("admin"), Group("work")
    both = CensusSettings(departments=departments | {"surgery": "status=in-progress"})
    await check_timers(admin, group, both, datetime.now(UTC))
    assert [(item.what, item.level) for item in group.found] == [
        ("census of surgery", "warning"),
        ("census of internal-medicine", "ok"),
    ]
    await admin.close()
    for _ in range(2):
        await census.run("internal-medicine", "2026-12-01")
    case_id = case_id_of("test", stay.id)

    async def opened() -> bool:
        return (await stack.call("auditor", "GET", f"/v1/cases/{case_id}")).status_code == 200

    await until(opened, "the case")
    await stack.reaches(case_id, "prepared")
    (line,) = (await stack.call("physician", "GET", "/v1/preparations")).json()["items"]
    assert line["trigger"] == "census"
    assert stack.generator.prompts == [], "the budget is used up"
    await census.run("internal-medicine", "2026-12-02")
    await stack.reaches(case_id, "prepared", events=4)
    await census.run("internal-medicine", "2026-12-01")  # delivered once more
    assert await stack.events(case_id) == [*PREPARED, *PREPARED]
    await bus.close()

"""After a restore: what was signed and filed since the backup is taken over from the chart, and nobody signs again."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pytest
from fastapi.responses import JSONResponse
from nats.aio.msg import Msg

from cli.reimport.run import CheckpointFiles, Reimporter, ReimportResult
from sandbox_ehr.app import Sandbox
from sandbox_ehr.quirks import Quirks
from services.approval.filing import resources
from services.approval.reimport.handlers import Reimport
from services.approval.verification.verifier import EventStreamVerifier
from shared.contracts.case import fold
from shared.contracts.ehr import ReimportRequested
from shared.contracts.events import WriteBackProfile
from shared.contracts.subjects import CaseRef, reimport_subject
from shared.messaging.artifacts import CaseTexts
from shared.messaging.event_store import EventStore
from tests.connected.test_corrections_page import page
from tests.support.backup import as_user, back_up, restore_backup, timers
from tests.support.corrections import addend, amend, document, filed, retract, sign
from tests.support.ehr import client, sandbox, stays
from tests.support.examples import T0
from tests.support.server import NatsServer
from tests.support.stack import Stack, running, until

pytestmark = pytest.mark.connected

WANTED = ReimportRequested(by="op", reason="last night's backup was put back")
CHART = ("DocumentReference", "Provenance")


@dataclass
class Hospital:
    """An EHR that goes on, a stack, and another one into which a backup of the first is put."""

    nats: NatsServer
    empty: NatsServer
    folder: Path
    ehr: Sandbox

    def chart(self) -> dict[str, list[dict[str, Any]]]:
        return {type: list(self.ehr.store.candidates(type, None, None)) for type in CHART}

    def reset(self, chart: dict[str, list[dict[str, Any]]]) -> None:
        """The chart as it was, without what was put into it since."""
        known = {item["id"] for items in chart.values() for item in items}
        for items in self.chart().values():
            for item in items:
                if item["id"] not in known:
                    self.ehr.store.remove(item)
        for item in (item for items in chart.values() for item in items):
            self.ehr.store.put(item)

    async def back_up(self) -> None:
        await back_up(self.nats, self.folder)

    @asynccontextmanager
    async def restored(self, **approving: Any) -> AsyncIterator[Stack]:
        self.nats.kill()
        await restore_backup(self.empty, self.folder)
        async with running(self.empty, self.ehr, **approving) as stack:
            yield stack

    async def reimport(
        self,
        *cases: str,
        do: bool = True,
        department: str | None = None,
        profile: WriteBackProfile = "fhir",
        checkpoints: CheckpointFiles | None = None,
    ) -> ReimportResult:
        async with as_user(self.empty, "operator") as bus:
            run = Reimporter(bus, client(self.ehr), department, profile, checkpoints, timeout_s=30)
            return await run.run(cases, WANTED if do else None)

    async def audit(self, expected: list[str]) -> None:
        """`audit verify` is clean, and names those that were taken over."""
        async with as_user(self.empty, "auditor") as bus:
            report = await EventStreamVerifier(bus, client(self.ehr)).all()
        assert [str(fault) for fault in report.faults] == []
        assert sorted(report.reimported) == sorted(expected)


@pytest.fixture
async def hospital(nats: NatsServer, empty: NatsServer, tmp_path: Path, request: pytest.FixtureRequest) -> Hospital:
    await nats.provision()
    return Hospital(nats, empty, tmp_path / "backup", getattr(request, "param", sandbox)())


def vendors() -> Sandbox:
    """Ids of its own, small pages, absolute references, one content in a document, a cache of searches."""
    found = sandbox(
        "opaque", quirks=Quirks(max_page_size=2, reference_style="absolute", max_contents=1, cache_seconds=60)
    )
    found.store.put({"resourceType": "Practitioner", "id": "boss", "meta": {"versionId": "1"}})  # who retracts
    return found


def without_systems() -> Sandbox:
    """It finds no document by the system of its identifier alone."""
    found = sandbox()
    real = found.handle

    async def handle(asked: Any) -> Any:
        if asked.query_params.get("identifier", "").endswith("|"):
            return JSONResponse({"resourceType": "OperationOutcome", "issue": []}, 400)
        return await real(asked)

    found.handle = handle  # type: ignore[method-assign]
    return found


def edited(text: str) -> str:
    return f"{text.rstrip()}\nSeen by the dietician.\n"


async def retract_and_file(stack: Stack, case_id: str) -> None:
    await retract(stack, case_id)

    async def there() -> bool:
        return (await stack.events(case_id))[-1] == "retraction-filed"

    await until(there, "the chart to say so")


async def alerts(server: NatsServer) -> list[bytes]:
    async with as_user(server, "admin") as bus:
        query = {"seq": 1, "next_by_subj": "alert.critical.chart-not-as-signed", "batch": 10}
        return [message.data for message in await bus.direct_get("ALERTS", query)]


async def test_a_waiting_case_that_stands_signed_in_the_chart_is_filed_again_without_a_signature(
    hospital: Hospital,
) -> None:
    async with running(hospital.nats, hospital.ehr) as stack:
        case_id = await stack.discharge()
        await stack.reaches(case_id, "awaiting-review")
        await hospital.back_up()
        text = edited(await stack.text(case_id))
        assert (await stack.decide(case_id, "approve", text=text)).status_code == 200
        before = await stack.reaches(case_id, "filed")
        approved = before["events"][4]
        bus, journal = await stack.journal()
        clock = fold(await journal.find(case_id)).escalation_run
        await bus.close()
    chart = hospital.chart()
    ask_again(hospital.ehr, case_id, str(clock))
    async with hospital.restored() as stack:
        assert len(await timers(hospital.empty, case_id)) == 1
        seen = await hospital.reimport(do=False)
        assert [(item.case, item.state) for item in seen.cases] == [(case_id, "to be taken over")]
        assert (await stack.case(case_id))["state"] == "awaiting-review"
        done = await hospital.reimport()
        assert [item.state for item in done.cases] == ["taken over"]
        case = await stack.case(case_id)
        assert (case["state"], case["document_reference"]) == ("filed", before["document_reference"])
        assert [event["event"] for event in case["events"]][4:] == ["reimported"]
        said = case["events"][4]
        assert (said["actor"], said["detail"]["chain_head"]) == ("op", approved["digest"])
        assert said["detail"]["signature"]["signer"] == approved["detail"]["signer"]
        assert said["detail"]["signature"]["signed"] == approved["detail"]["signed"]
        assert said["detail"]["document_version"] == chart["DocumentReference"][0]["meta"]["versionId"]
        assert (await document(stack, case_id))["text"] == text
        page = await stack.call("physician", "GET", "/v1/reviews")
        assert page.json()["items"] == []

        async def at_rest() -> bool:
            ended = all(task["status"] == "completed" for task in stack.in_chart("Task"))
            return ended and not await timers(hospital.empty, case_id)

        await until(at_rest, "the timer to be taken back and every Task to be ended")
        assert len(stack.in_chart("Task")) == 2
        assert hospital.chart() == chart
        assert (await hospital.reimport()).cases == []
        assert await stack.events(case_id) == [event["event"] for event in case["events"]]
        await hospital.audit([case_id])
        await amend(stack, case_id, "And by the pharmacist.")  # the case goes on as any other
        await hospital.audit([case_id])


def ask_again(ehr: Sandbox, case_id: str, clock: str) -> None:
    """As if whoever filed it had died before they ended its Tasks, one of them of a level that the trail forgot."""
    (task,) = ehr.store.candidates("Task", None, None)
    waits = {name: value for name, value in task.items() if name != "output"} | {"status": "requested"}
    ehr.store.put(waits)
    identifier = resources.escalation_identifier(CaseRef("x", case_id), clock, 1, 0)
    told = resources.escalation(waits, identifier, resources.person("Practitioner/boss"), 1, T0, "")
    ehr.store.put(told | {"id": "escalation-1", "meta": {"versionId": "1"}})


@pytest.mark.parametrize("hospital", [without_systems], indirect=True)
async def test_an_ehr_that_does_not_search_by_system_is_asked_case_by_case(hospital: Hospital) -> None:
    async with running(hospital.nats, hospital.ehr) as stack:
        case_id = await stack.discharge()
        await stack.reaches(case_id, "awaiting-review")
        await hospital.back_up()
        assert (await stack.decide(case_id, "approve")).status_code == 200
        await stack.reaches(case_id, "filed")
    async with hospital.restored() as stack:
        done = await hospital.reimport()
        assert [(item.case, item.state) for item in done.cases] == [(case_id, "taken over")]
        said = " ".join(done.unchecked)
        assert "cases missing from the event stream" in said
        assert "rejected drafts" in said
        assert not done.done, "something is left for a person"
        assert (await stack.case(case_id))["state"] == "filed"


async def test_a_document_of_a_draft_that_is_lost_comes_back_without_it(hospital: Hospital) -> None:
    """Refused, drafted anew and signed since the backup."""
    async with running(hospital.nats, hospital.ehr) as stack:
        case_id = await stack.discharge()
        await stack.reaches(case_id, "awaiting-review")
        await hospital.back_up()
        assert (await stack.decide(case_id, "reject", action="redraft", reason="shorter")).status_code == 200
        await stack.reaches(case_id, "awaiting-review", events=8)
        assert (await stack.decide(case_id, "approve")).status_code == 200
        await stack.reaches(case_id, "filed")
        before = await document(stack, case_id)
    for task in list(hospital.ehr.store.candidates("Task", None, None)):
        waits = {name: task[name] for name in task if name != "output"} | {"status": "requested"}
        hospital.ehr.store.put(waits)
    identifier = resources.escalation_identifier(CaseRef("x", case_id), "a clock that is lost", 1, 0)
    told = resources.escalation(waits, identifier, resources.person("Practitioner/boss"), 1, T0, "")
    hospital.ehr.store.put(told | {"id": "escalation-1", "meta": {"versionId": "1"}})
    async with hospital.restored() as stack:
        done = await hospital.reimport()
        assert ([item.state for item in done.cases], done.refused, done.done) == (["taken over"], [], True)
        assert await document(stack, case_id) == before

        async def ended() -> bool:
            return all(task["status"] == "completed" for task in stack.in_chart("Task"))

        await until(ended, "the Tasks of both drafts and of the level to be ended")
        assert len(stack.in_chart("Task")) == 3
        shown = (await page(stack, case_id)).text_content()
        assert "Countersigned by" in shown
        assert "taken over from the chart" in shown
        answer = await sign(stack, case_id, "addenda", text="another text")
        assert (answer.status_code, "lost in a restore" in answer.json()["detail"]) == (409, True)
        await hospital.audit([case_id])


async def test_a_draft_that_was_refused_since_is_named(hospital: Hospital) -> None:
    """Its words are lost, and whether another draft was asked for has been decided: nothing is taken over."""
    async with running(hospital.nats, hospital.ehr) as stack:
        case_id = await stack.discharge()
        await stack.reaches(case_id, "awaiting-review")
        await hospital.back_up()
        assert (await stack.decide(case_id, "reject", action="close", reason="no")).status_code == 200
        await stack.reaches(case_id, "closed", events=6)
        (task,) = stack.in_chart("Task")
    async with hospital.restored() as stack:
        found = await hospital.reimport()
        assert found.cases == []
        assert [(item.case, item.task, item.outcome) for item in found.refused] == [
            (case_id, task["id"], "rejected-close")
        ]
        assert (await stack.decide(case_id, "reject", action="close", reason="no")).status_code == 200
        await stack.reaches(case_id, "closed", events=6)
        assert (await hospital.reimport()).refused == []


@pytest.mark.parametrize("hospital", [vendors], indirect=True)
async def test_corrections_addenda_and_retractions_of_after_the_backup_come_back_too(hospital: Hospital) -> None:
    encounters = stays(hospital.ehr.style)
    async with running(hospital.nats, hospital.ehr) as stack:
        corrected, retracted = [await filed(stack, encounter) for encounter in encounters[:2]]
        waiting = await stack.discharge(encounters[2])
        await stack.reaches(waiting, "awaiting-review")
        await hospital.back_up()
        text = await amend(stack, corrected)
        await addend(stack, corrected)
        await retract_and_file(stack, retracted)
        assert (await stack.decide(waiting, "approve")).status_code == 200
        await stack.reaches(waiting, "filed")
        await amend(stack, waiting)
        await retract_and_file(stack, waiting)
        shown = {case: await document(stack, case) for case in (corrected, retracted, waiting)}
    chart = hospital.chart()
    async with hospital.restored() as stack:
        done = await hospital.reimport()
        assert {item.case: [line.what for line in item.ready] for item in done.cases} == {
            corrected: ["correction", "addendum"],
            retracted: ["retraction"],
            waiting: ["document", "correction", "retraction"],
        }
        assert {item.state for item in done.cases} == {"taken over"}
        states = [(await stack.case(case))["state"] for case in (corrected, retracted, waiting)]
        assert states == ["filed", "retracted", "retracted"]
        for case, before in shown.items():
            assert await document(stack, case) == before
        assert (await document(stack, corrected))["text"] == text
        assert hospital.chart() == chart
        await hospital.audit([corrected, retracted, waiting])
        again = await stack.discharge(encounters[1])  # what was retracted may be discharged again
        await stack.reaches(again, "awaiting-review")
        assert again == retracted


async def test_a_case_that_the_trail_does_not_know_is_opened_again_where_somebody_says_it_belongs(
    hospital: Hospital,
) -> None:
    await hospital.back_up()
    async with running(hospital.nats, hospital.ehr) as stack:
        case_id = await filed(stack)
        before = await stack.case(case_id)
    async with hospital.restored() as stack:
        (named,) = (await hospital.reimport()).cases
        assert named.state == "stopped"
        assert "--department" in named.stopped[0]
        (done,) = (await hospital.reimport(department="internal-medicine")).cases
        assert done.state == "taken over"
        case = await stack.case(case_id)
        assert (case["state"], case["department"]) == ("filed", "internal-medicine")
        assert case["document_reference"] == before["document_reference"]
        assert [event["event"] for event in case["events"]] == ["reimported"]
        assert "taken over from the chart" in (await page(stack, case_id)).text_content()
        await hospital.audit([case_id])
        assert await stack.discharge() == case_id  # reported again by the EHR: nothing is drafted
        answer = await sign(stack, case_id, "amendments", text="another text")
        assert (answer.status_code, answer.json()["title"]) == (
            409,
            "The draft of this document no longer exists",
        )
        assert await stack.events(case_id) == ["reimported"]
        await retract_and_file(stack, case_id)
        await hospital.audit([case_id])


async def test_what_does_not_verify_is_named_and_told_and_nothing_is_taken_over(hospital: Hospital) -> None:
    async with running(hospital.nats, hospital.ehr) as stack:
        case_id = await stack.discharge()
        await stack.reaches(case_id, "awaiting-review")
        await hospital.back_up()
        assert (await stack.decide(case_id, "approve")).status_code == 200
        await stack.reaches(case_id, "filed")
    whole = hospital.chart()
    async with hospital.restored() as stack:
        for change in ("text", "signer", "nobody", "provenance", "encounter", "retired", "twice"):
            hospital.reset(whole)
            forge(hospital.ehr, change)
            (found,) = (await hospital.reimport(case_id, do=False)).cases
            assert (found.state, len(found.stopped)) == ("stopped", 1), change
        chart = hospital.chart()
        assert [item.state for item in (await hospital.reimport()).cases] == ["stopped"]
        (alert,) = await until(lambda: alerts(hospital.empty), "the alert")
        assert case_id.encode() in alert
        assert (await stack.case(case_id))["state"] == "awaiting-review"
        assert hospital.chart() == chart
        hospital.reset(whole)
        assert [item.state for item in (await hospital.reimport()).cases] == ["taken over"]


def forge(ehr: Sandbox, change: str) -> None:
    (doc,), (provenance,) = (list(ehr.store.candidates(type, None, None)) for type in CHART)
    match change:
        case "text":
            attachment = doc["content"][0]["attachment"] | {"data": "Tk9UIFdIQVQgV0FTIFNJR05FRA=="}
            ehr.store.put(doc | {"content": [{"attachment": attachment}, *doc["content"][1:]]})
        case "signer":
            ehr.store.put(doc | {"authenticator": {"reference": "Practitioner/somebody-else"}})
        case "nobody":
            agents = [item for item in provenance["agent"] if "verifier" not in str(item)]
            ehr.store.put(provenance | {"agent": agents})
        case "retired":
            ehr.store.put(doc | {"status": "entered-in-error"})
        case "provenance":
            entity = [item for item in provenance["entity"] if "audit-chain-head" not in str(item)]
            ehr.store.put(provenance | {"entity": entity})
        case "twice":
            ehr.store.put(doc | {"id": "a-copy"})
        case "encounter":
            ehr.store.put(doc | {"context": doc["context"] | {"encounter": [{"reference": "Encounter/other"}]}})


async def test_what_was_signed_again_and_stopped_gives_way_to_what_stands(hospital: Hospital) -> None:
    async with running(hospital.nats, hospital.ehr) as stack:
        case_id = await stack.discharge()
        await stack.reaches(case_id, "awaiting-review")
        await hospital.back_up()
        assert (await stack.decide(case_id, "approve")).status_code == 200
        before = await stack.reaches(case_id, "filed")
    async with hospital.restored() as stack:
        assert (await stack.decide(case_id, "approve")).status_code == 200
        await stack.reaches(case_id, "failed")
        (done,) = (await hospital.reimport()).cases
        assert done.state == "taken over"
        case = await stack.case(case_id)
        assert (case["state"], case["document_reference"]) == ("filed", before["document_reference"])
        assert len(stack.in_chart("DocumentReference")) == 1
        await hospital.audit([case_id])


async def by_fhir() -> WriteBackProfile:
    return "fhir"


class Killed(BaseException):
    """The process dies here."""


@dataclass(frozen=True)
class Told:
    """A message as approval receives it."""

    subject: str
    data: bytes


async def test_killed_between_any_two_steps_each_signature_is_on_the_trail_once(
    hospital: Hospital, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running(hospital.nats, hospital.ehr) as stack:
        case_id = await stack.discharge()
        await stack.reaches(case_id, "awaiting-review")
        await hospital.back_up()
        assert (await stack.decide(case_id, "approve", text=edited(await stack.text(case_id)))).status_code == 200
        await stack.reaches(case_id, "filed")
        await amend(stack, case_id, "And by the pharmacist.")
    chart = hospital.chart()
    hospital.nats.kill()
    await restore_backup(hospital.empty, hospital.folder)
    message = cast(Msg, Told(reimport_subject(case_id), WANTED.model_dump_json(exclude_none=True).encode()))
    seen: list[list[str]] = []
    async with as_user(hospital.empty, "approval") as bus:
        for lives in range(6):
            die_at(monkeypatch, lives)
            part = Reimport(bus, client(hospital.ehr), "test", lambda: T0, by_fhir)
            with suppress(Killed):
                await part.on_requested(message)
            seen.append([event.name for event in await EventStore(bus, "approval").find(case_id)][4:])
            monkeypatch.undo()
    assert seen == [[], [], [], ["reimported"], ["reimported"] * 2, ["reimported"] * 2]
    assert hospital.chart() == chart
    await hospital.audit([case_id])


def die_at(patch: pytest.MonkeyPatch, call: int) -> None:
    """Before the write with this number, of artifacts and events."""
    left = [call]

    def dying(write: Callable[..., Any]) -> Callable[..., Any]:
        async def run(*args: Any, **more: Any) -> Any:
            if not left[0]:
                raise Killed
            left[0] -= 1
            return await write(*args, **more)

        return run

    patch.setattr(CaseTexts, "put", dying(CaseTexts.put))
    patch.setattr(EventStore, "append", dying(EventStore.append))

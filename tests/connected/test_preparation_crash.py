"""Ingest, the drafter and approval die at any write of a stay that is prepared, worked on and discharged: the restart
completes it, with one preparation, one draft after the discharge, and the physician's edits.
"""

import asyncio
import base64
from collections.abc import Awaitable, Callable

import pytest

from sandbox_ehr.app import Sandbox
from shared.contracts.retry import RetryPolicy
from shared.contracts.subjects import case_id as case_id_of
from shared.messaging import pull_subscriber
from shared.messaging.topology import Consumer
from tests.connected.test_corrections_page import form, send
from tests.connected.test_ehr_task_crash import Death
from tests.connected.test_preparation import PREPARED, REASON, TO_REVIEW, Stay, page
from tests.support.corrections import verified
from tests.support.ehr import sandbox, stays
from tests.support.server import NatsServer
from tests.support.stack import Stack, running, until

pytestmark = [pytest.mark.connected, pytest.mark.system, pytest.mark.timeout(400)]

# Writes in their order: a part of the subject, and which of the texts of the case it is.
BEFORE_DISCHARGE = (
    ("ehr.encounter.discharge-pending.", 1),
    ("{case}.preparation-requested", 1),
    ("$KV.artifacts.{case}.", 1),  # the record
    ("$KV.artifacts.{case}.", 2),  # the draft; after a death, the record was read again
    ("{case}.prepared", 1),
    ("$KV.working.{case}.", 1),  # what the physician has typed
)
AT_DISCHARGE = (
    ("ehr.encounter.discharged.", 1),
    ("{case}.discharged", 1),
    ("$KV.artifacts.{case}.", 1),
    ("{case}.context-extracted", 1),
    ("$KV.artifacts.{case}.", 1),
    ("{case}.drafted", 1),
    ("{case}.review-requested", 1),
)
CASE = case_id_of("test", stays("plain")[0])
MINE = "I have checked this."


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Messages of the dead come back soon, and nobody waits for their work."""
    monkeypatch.setattr(RetryPolicy, "wait", lambda row, attempt: 0.05)
    monkeypatch.setattr(Consumer, "ack_wait", 1.0)
    monkeypatch.setattr(pull_subscriber, "STOP_TIMEOUT_S", 0.05)


class Ward:
    """An EHR that reports one stay, and a physician who works on its draft. Each repeats what was not answered."""

    def __init__(self, stack: Stack) -> None:
        self.stay = Stay(stack)
        self.edits: list[str] = []
        self._reported = self._saved = False

    async def events(self) -> list[str]:
        answer = await self.stay.stack.call("auditor", "GET", f"/v1/cases/{CASE}")
        return [event["event"] for event in answer.json()["events"]] if answer.status_code == 200 else []

    async def has(self, name: str) -> None:
        async def happened() -> bool:
            return name in await self.events()

        await until(happened, f"the case to be {name}")

    async def report(self) -> None:
        """A report that is stored is not repeated: it would ask for another preparation."""
        if not self._reported and not await self._stored():
            assert (await self.stay.report("discharge-pending")).status_code == 202
        self._reported = True

    async def _stored(self) -> bool:
        bus = await self.stay.stack.server.connect("ingest")
        subject = f"ehr.encounter.discharge-pending.*.{self.stay.id}"
        found = await bus.direct_get("EHR", {"last_by_subj": subject})
        await bus.close()
        return bool(found)

    async def edit(self) -> None:
        """Change a line whose fact the discharge changes, and one whose fact stays."""
        if self._saved:
            return
        stack, path = self.stay.stack, f"/reviews/{CASE}/look"
        fields = form(await page(stack, CASE), path)
        lines = (await stack.review(CASE))["draft"]["text"].split("\n")
        changed = next(index for index, item in enumerate(lines) if REASON in item)
        stays_put = next(index for index, item in enumerate(lines) if item.startswith("  ") and index > changed + 1)
        lines[changed] += ", as I saw it"
        lines[stays_put] += f" {MINE}"
        self.edits = [lines[changed], lines[stays_put]]
        assert (await send(stack, path, fields | {"text": "\n".join(lines)})).status_code == 303
        self._saved = True

    async def until_edited(self) -> None:
        await self.report()
        await self.has("prepared")
        await self.edit()

    async def until_it_goes_on(self) -> None:
        await self.until_edited()
        assert (await self.stay.report("discharge-pending-cancelled")).status_code == 202
        await self.has("preparation-ended")

    async def until_reviewed(self) -> None:
        await self.until_edited()
        await self.stay.discharge(reasonCode=[{"text": "Emergency admission with chest pain"}])
        await self.has("review-requested")


async def dies(
    nats: NatsServer, ehr: Sandbox, ward: Ward | None, act: Callable[[Ward], Awaitable[None]], death: Death
) -> Ward:
    """Start the services, which die as soon as they come to that write. Returns the ward."""
    acting: list[Ward] = [ward] if ward is not None else []

    async def live() -> None:
        async with running(nats, ehr) as stack:
            if not acting:
                acting.append(Ward(stack))
            acting[0].stay.stack = stack
            await act(acting[0])

    death.armed = True
    living, dead = asyncio.create_task(live()), asyncio.create_task(death.came.wait())
    await asyncio.wait((living, dead), timeout=100, return_when=asyncio.FIRST_COMPLETED)
    for task in (living, dead):
        task.cancel()
    await asyncio.gather(living, dead, return_exceptions=True)
    death.armed = False
    assert death.came.is_set(), (death.subject, living)
    return acting[0]


@pytest.mark.parametrize("after", [False, True])
async def test_a_death_at_any_write_prepares_and_drafts_once_and_keeps_the_edits(
    nats: NatsServer, monkeypatch: pytest.MonkeyPatch, *, after: bool
) -> None:
    await nats.provision()
    ehr, ward = sandbox(), None
    for act, writes in ((Ward.until_edited, BEFORE_DISCHARGE), (Ward.until_reviewed, AT_DISCHARGE)):
        for subject, nth in writes:
            death = Death(monkeypatch, subject.format(case=CASE), after=after, nth=nth)
            ward = await dies(nats, ehr, ward, act, death)
    assert ward is not None
    async with running(nats, ehr) as stack:
        ward.stay.stack = stack
        await ward.until_reviewed()
        await stack.reaches(CASE, "awaiting-review")
        assert await stack.events(CASE) == [*PREPARED, *TO_REVIEW]
        assert len(stack.in_chart("Task")) == 1
        prepared = (await stack.review(CASE))["prepared"]
        changed, kept = ward.edits
        assert kept in prepared["edited_text"].split("\n")
        assert [item["edited"].strip("\n") for item in prepared["unmerged"]] == [changed]
        signed = await stack.decide(CASE, "approve", text=prepared["edited_text"])
        assert signed.status_code == 200, signed.text
        await stack.reaches(CASE, "filed")
        (document,) = stack.in_chart("DocumentReference")
        assert kept in base64.b64decode(document["content"][0]["attachment"]["data"]).decode().split("\n")
        assert (await verified(stack, CASE)).verified


@pytest.mark.parametrize("after", [False, True])
async def test_a_death_at_the_end_of_a_preparation_leaves_nothing_in_the_chart(
    nats: NatsServer, monkeypatch: pytest.MonkeyPatch, *, after: bool
) -> None:
    await nats.provision()
    ehr, ward = sandbox(), None
    for subject in ("ehr.encounter.discharge-pending-cancelled.", f"{CASE}.preparation-ended"):
        ward = await dies(nats, ehr, ward, Ward.until_it_goes_on, Death(monkeypatch, subject, after=after))
    assert ward is not None
    async with running(nats, ehr) as stack:
        ward.stay.stack = stack
        await ward.until_it_goes_on()
        assert await stack.events(CASE) == [*PREPARED, "preparation-ended"]
        assert stack.in_chart("DocumentReference") == stack.in_chart("Task") == stack.in_chart("Provenance") == []


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize(("subject", "nth"), [(f"$KV.artifacts.{CASE}.", 1), (f"{CASE}.prepared", 1)])
async def test_a_discharge_that_finds_the_drafter_dead_is_drafted_once(
    nats: NatsServer, monkeypatch: pytest.MonkeyPatch, subject: str, nth: int, *, after: bool
) -> None:
    await nats.provision()
    ehr = sandbox()
    ward = await dies(nats, ehr, None, Ward.until_edited, Death(monkeypatch, subject, after=after, nth=nth))
    async with running(nats, ehr) as stack:
        ward.stay.stack = stack
        await ward.stay.discharge()
        await stack.reaches(CASE, "awaiting-review")
        events = await stack.events(CASE)
        assert events[0] == "preparation-requested"
        assert events in ([PREPARED[0], *TO_REVIEW], [*PREPARED, *TO_REVIEW])
        assert len(stack.in_chart("Task")) == 1

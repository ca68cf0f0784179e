"""Approval dies at any write of a correction, an addendum or a retraction, on the bus or in the EHR: the restart
completes it, once.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from sandbox_ehr.app import Sandbox
from services.approval.filing.resources import chain_head_of
from shared.clinical.fhir_client import FhirClient
from shared.contracts.retry import RetryPolicy
from shared.messaging import pull_subscriber
from shared.messaging.topology_model import Consumer
from tests.connected.test_corrections import statuses
from tests.connected.test_ehr_task_crash import Death
from tests.support.corrections import addend, amend, document, filed, post, sign, verified
from tests.support.ehr import sandbox
from tests.support.server import NatsServer
from tests.support.stack import Stack, running, until

pytestmark = [pytest.mark.connected, pytest.mark.system, pytest.mark.timeout(120)]

Act = Callable[[Stack, str], Awaitable[Any]]


async def correct(stack: Stack, case_id: str) -> None:
    text = (await document(stack, case_id))["text"] + "Seen by the dietician.\n"
    await sign(stack, case_id, "amendments", text=text)


async def append(stack: Stack, case_id: str) -> None:
    await sign(stack, case_id, "addenda", text="The culture grew nothing.")


async def take_back(stack: Stack, case_id: str) -> None:
    if (await document(stack, case_id))["retraction_requested_by"] is None:
        await post(stack, case_id, "retraction", reason="another patient's")
    await post(stack, case_id, "retraction/confirm", "supervisor")


ACTS: dict[str, tuple[Act, str, dict[str, str]]] = {
    "amended": (correct, "filed", {"final": "superseded", "final/2": "superseded", "final/3": "current"}),
    "addended": (append, "filed", {"final": "superseded", "final/2": "current", "addendum/2": "current"}),
    "retracted": (take_back, "retraction-filed", dict.fromkeys(("final", "final/2"), "entered-in-error")),
}


class EhrDeath:
    """Every write to the EHR hangs from the `nth` on, before or after it reached it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, nth: int, *, after: bool) -> None:
        self.came = asyncio.Event()
        self.armed = False
        self._left = nth
        for name in ("create", "update"):
            real = getattr(FhirClient, name)
            monkeypatch.setattr(FhirClient, name, self._dying(real, after=after))

    def _dying(self, real: Any, *, after: bool) -> Any:
        async def write(client: FhirClient, *args: Any, **sent: Any) -> Any:
            if not self.armed:
                return await real(client, *args, **sent)
            self._left -= 1
            if self._left > 0:
                return await real(client, *args, **sent)
            if self._left == 0 and after:
                await real(client, *args, **sent)
            self.came.set()
            return await asyncio.Event().wait()

        return write


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Messages of the dead come back soon, and nobody waits for their work."""
    monkeypatch.setattr(RetryPolicy, "wait", lambda row, attempt: 0.05)
    monkeypatch.setattr(Consumer, "ack_wait", 1.5)
    monkeypatch.setattr(pull_subscriber, "STOP_TIMEOUT_S", 0.05)


async def dies(nats: NatsServer, ehr: Sandbox, name: str, death: Death | EhrDeath) -> str:
    """A corrected document with an addendum, and a death in the middle of what is done next; the case's id."""
    await nats.provision()
    async with running(nats, ehr) as stack:
        case_id = await filed(stack)
        await amend(stack, case_id)
        await addend(stack, case_id)
        death.armed = True
        task = asyncio.create_task(ACTS[name][0](stack, case_id))  # type: ignore[arg-type]
        await asyncio.wait_for(death.came.wait(), 20)
        task.cancel()
    death.armed = False
    return case_id


async def is_completed(nats: NatsServer, ehr: Sandbox, name: str, case_id: str) -> None:
    act, last, wanted = ACTS[name]
    wanted = wanted | {"addendum/1": "entered-in-error" if name == "retracted" else "current"}
    async with running(nats, ehr) as stack:
        if name not in (await stack.events(case_id))[10:]:  # it was lost before it was signed
            await act(stack, case_id)

        async def ended() -> bool:
            events = await stack.events(case_id)
            return name in events[10:] and events[-1] == last

        await until(ended, f"the case to be {last}")
        assert statuses(stack, case_id) == wanted
        heads = [chain_head_of(item) for item in stack.in_chart("Provenance")]
        assert len(heads) == len(set(heads)) == 4, "one for each signature"
        assert (await stack.events(case_id)).count(name) == (2 if name != "retracted" else 1)
        assert (await verified(stack, case_id)).verified


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize(
    ("name", "subject"),
    [
        ("amended", "$KV.artifacts"),
        ("amended", ".amended"),
        ("amended", ".filed"),
        ("addended", ".addended"),
        ("addended", ".filed"),
        ("retracted", ".retraction-requested"),
        ("retracted", ".retracted"),
        ("retracted", ".retraction-filed"),
    ],
)
async def test_a_death_at_a_write_to_the_bus_changes_nothing_twice(
    nats: NatsServer, monkeypatch: pytest.MonkeyPatch, name: str, subject: str, *, after: bool
) -> None:
    ehr = sandbox()
    case_id = await dies(nats, ehr, name, Death(monkeypatch, subject, after=after))
    await is_completed(nats, ehr, name, case_id)


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize(
    ("name", "nth"),
    [*(("amended", n) for n in (1, 2, 3)), *(("addended", n) for n in (1, 2)), *(("retracted", n) for n in (1, 2, 4))],
)
async def test_a_death_at_a_write_to_the_ehr_changes_nothing_twice(
    nats: NatsServer, monkeypatch: pytest.MonkeyPatch, name: str, nth: int, *, after: bool
) -> None:
    ehr = sandbox()
    case_id = await dies(nats, ehr, name, EhrDeath(monkeypatch, nth, after=after))
    await is_completed(nats, ehr, name, case_id)

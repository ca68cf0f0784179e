"""The page of the installation: what needs a person, dependencies, consumers, schedules, held decisions."""

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Form, Request
from fastapi.responses import RedirectResponse, Response

from services.approval.dependencies import Api, Operator, SystemReader
from services.approval.health.checks import State
from services.approval.health.rules import ON_ITS_WAY
from services.approval.operations.outcomes import DOCS
from services.approval.operations.selection import Selection
from services.approval.system.rules import ATTENTION, state_of
from services.approval.system.schedules import Schedule
from services.approval.web.render import PageRoute, page
from shared.contracts.errors import CountersignError
from shared.messaging.broker_status import BUCKET, BrokerStatus
from shared.messaging.descriptions import CONSUMER_DESCRIPTIONS, STREAM_DESCRIPTIONS
from shared.messaging.topology import SERVICES, consumer
from shared.runtime.authentication import Caller
from shared.runtime.dependencies import provided
from shared.runtime.health import Health
from shared.runtime.problems import ProblemError

STATES = {
    "served": "Served",
    "busy": "Busy",
    "paused": "Paused",
    "backlog": "Backlog",
    "retrying": "Retrying",
    "unserved": "No worker",
    "missing": "Missing",
    "unknown": "Not known",
}
PATIENCE_S = 1.0  # for other servers: the page opens without them, and says so
CHECK_STATES: dict[State, str] = {"ok": "OK", "warning": "Warning", "failed": "Fault", "unknown": "Unknown"}
SCHEDULE_STATES = {"scheduled": "Scheduled", "running": "Running", "due": "Due", "late": "Late", "off": "Off"}
SERVICE_STATES = {"attention": "Needs attention", "unknown": "Partly known", "served": "Served"}
NOTES = {
    "held": "Decisions made in the EHR are held from now on.",
    "allowed": "Decisions made in the EHR count again. Those made meanwhile take effect within ten minutes.",
}

router = APIRouter(route_class=PageRoute, include_in_schema=False)


@router.get("/system")
async def show(request: Request, who: SystemReader, api: Api, note: str = "") -> Response:
    now = api.clock()
    ready = await provided(request, Health).readiness.results()
    health, broker, schedules, hold, letters, checkpoint = await asyncio.gather(
        api.health.checks(who, ready, PATIENCE_S),
        _or_reason(api.system.broker()),
        _or_reason(api.system.schedules()),
        _or_reason(api.operations.decision_hold()),
        _or_reason(api.operations.overview(who, Selection(), 0, 1)),
        asyncio.to_thread(api.system.checkpoint),
    )
    known_schedules: list[Schedule] = [] if isinstance(schedules, str) else schedules
    unfiled = api.chart.late(who, now - ON_ITS_WAY)
    held = not isinstance(hold, str) and hold is not None and hold.held
    dead = 0 if isinstance(letters, str) else letters.total
    return page(
        "system.html",
        who=who,
        here="/system",
        zone=api.zone_of(""),
        now=now,
        findings=sorted((item for item in health if item.state in ("failed", "warning")), key=lambda item: item.state),
        health=health,
        check_states=CHECK_STATES,
        ready=_dependencies(request, ready),
        **_broker_values(broker),
        schedules=[(item, item.state(now)) for item in known_schedules],
        hold=None if isinstance(hold, str) else hold,
        held=held,
        may_hold=_may_hold(who),
        operator="operator" in who.roles,
        dead=dead,
        unfiled=unfiled,
        checkpoint=checkpoint,
        words=CONSUMER_DESCRIPTIONS,
        stream_words=STREAM_DESCRIPTIONS,
        states=STATES,
        attention=ATTENTION,
        service_states=SERVICE_STATES,
        schedule_states=SCHEDULE_STATES,
        docs=DOCS,
        note=NOTES.get(note, ""),
    )


@router.post("/system/ehr-decisions")
async def set_hold(
    who: Operator, api: Api, hold: Annotated[bool, Form()], reason: Annotated[str, Form(max_length=4000)]
) -> Response:
    """Hold decisions that are made in the EHR, or let them count again."""
    if not _may_hold(who):
        raise ProblemError(403, "You may not do that", "You work for single departments only.")
    if not reason.strip():
        raise ProblemError(422, "The request is not valid", "Say why.")
    await api.operations.set_decision_hold(who, held=hold, reason=reason.strip())
    return RedirectResponse(f"/system?note={'held' if hold else 'allowed'}", 303)


def _may_hold(who: Caller) -> bool:
    return "operator" in who.roles and who.departments is None


def _broker_values(broker: BrokerStatus | str) -> dict[str, Any]:
    """Return the template values about NATS; `broker` is the reason where its status could not be read."""
    if isinstance(broker, str):
        return {"broker": None, "reason": broker, "services": [], "streams": [], "buckets": 0}
    return {
        "broker": broker,
        "reason": "",
        "services": _services(broker),
        "streams": [stream for stream in broker.streams if not stream.name.startswith(BUCKET)],
        "buckets": sum(stream.name.startswith(BUCKET) for stream in broker.streams),
    }


def _services(broker: BrokerStatus) -> list[dict[str, Any]]:
    """Return the services with their consumers, in the order of their work; those that need a person first."""
    found = []
    for service in SERVICES:
        rows = [(item, state_of(item)) for item in broker.consumers if consumer(item.name).service == service]
        rows.sort(key=lambda row: row[1] not in ATTENTION)
        missing = [name for name in broker.missing if consumer(name).service == service]
        states = {state for _, state in rows}
        bad = bool(missing or states & set(ATTENTION))
        state = "attention" if bad else "unknown" if "unknown" in states else "served"
        found.append({"name": service, "rows": rows, "missing": missing, "state": state})
    return found


def _dependencies(request: Request, ready: dict[str, bool]) -> dict[str, bool]:
    buses = provided(request, Health).buses
    return ready | {"nats": bool(buses) and all(bus.connected for bus in buses.values())}


async def _or_reason(reading: Any) -> Any:
    """Return what was read, or the sentence that says why it was not."""
    try:
        return await reading
    except CountersignError as failure:
        return failure.reason

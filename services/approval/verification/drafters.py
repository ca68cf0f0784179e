"""Verify the DRAFTERS stream: the chain of each kind of document, and the configurations that it names."""

from nats.js.errors import NotFoundError

from services.approval.case_verification.fault import Fault
from shared.contracts.drafter_states import DocumentDrafters, apply
from shared.contracts.errors import CountersignError
from shared.contracts.subjects import DRAFTER_EVENTS
from shared.messaging.connection import NatsConnection
from shared.messaging.drafter_registry import STREAM, DrafterRegistry, decode_drafter_event
from shared.messaging.event_store import raw_message_of
from shared.messaging.stream_pages import read_stream_pages


async def verify_drafters(bus: NatsConnection, registry: DrafterRegistry) -> list[Fault]:
    """Return the faults of the registry of drafters. Raises TransientError."""
    try:
        state = (await bus.jetstream.stream_info(STREAM)).state
    except NotFoundError:
        return [_fault(0, "the stream is missing")]
    faults: list[Fault] = []
    states: dict[str, DocumentDrafters] = {}
    expected = 1
    async for page in read_stream_pages(bus, STREAM, DRAFTER_EVENTS):
        for item in map(raw_message_of, page):
            if item.sequence != expected:
                faults.append(_fault(expected, f"messages {expected} to {item.sequence - 1} are missing"))
            expected = item.sequence + 1
            try:
                event = decode_drafter_event(item)
            except CountersignError as error:
                faults.append(_fault(item.sequence, error.reason))
                continue
            before = states.get(event.document) or DocumentDrafters(event.document)
            if event.prevdigest != before.head.digest:
                faults.append(_fault(item.sequence, f"{event.document}: it does not follow the event before it"))
            states[event.document] = apply(before, event)
    if expected <= state.last_seq:
        faults.append(_fault(expected, f"messages {expected} to {state.last_seq} are missing"))
    return faults + await _configurations(registry, states)


async def _configurations(registry: DrafterRegistry, states: dict[str, DocumentDrafters]) -> list[Fault]:
    faults = []
    for state in states.values():
        for digest in state.entries:
            try:
                await registry.configuration(digest)
            except CountersignError as error:
                faults.append(_fault(0, f"{state.document}: {error.reason}"))
    return faults


def _fault(sequence: int, reason: str) -> Fault:
    where = f", sequence {sequence}" if sequence else ""
    return Fault("", "", sequence, f"the registry of drafters ({STREAM}{where}): {reason}")

"""A few cases as the services make them, recorded: what the trail of `bench/pages.py` is made from."""

import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from shared.contracts.envelope import decode
from shared.contracts.events import Approved, ContextExtracted, Drafted, StayReferences
from shared.contracts.subjects import CaseRef
from shared.messaging.artifacts import Artifacts
from shared.messaging.connection import NatsConnection
from shared.messaging.event_store import EventStore, RawMessage, raw_message_of
from shared.messaging.stream_pages import read_stream_pages
from tests.support.ehr import sandbox, stays
from tests.support.server import NatsServer
from tests.support.stack import Stack, running

DRAFTERS = (("DRAFTERS", "drafters.>"), ("KV_drafters", "$KV.drafters.>"))
SIGNER = "demo-physician"  # subject of the token that decides


@dataclass(frozen=True, slots=True)
class RecordedCase:
    """The messages of a case by the names of their events, and its texts: context, draft, signed text."""

    messages: dict[str, RawMessage]
    stay: StayReferences
    draft: str  # digest
    texts: dict[str, bytes]  # by digest


@dataclass(frozen=True, slots=True)
class RecordedCases:
    """`filed`: signed and in the chart. `closed`: rejected, to be written by hand.

    `drafters`: what the drafter declared, in the stream of drafters and in its bucket.
    """

    filed: tuple[RecordedCase, ...]
    closed: RecordedCase
    drafters: tuple[RawMessage, ...]


async def record() -> RecordedCases:
    """Let a stack with the sandbox EHR draft, file and close some stays, and return what it stored."""
    with tempfile.TemporaryDirectory(prefix="countersign-bench-") as directory:
        server = NatsServer(Path(directory))
        server.start()
        try:
            await server.provision()
            async with running(server, sandbox()) as stack:
                bus = await server.connect("admin")
                filed = [await _recorded(bus, await _filed(stack, encounter)) for encounter in stays()[1:4]]
                closed = await _recorded(bus, await _closed(stack, stays()[4]))
                drafters = [item for place in DRAFTERS async for item in _all(bus, *place)]
                await bus.close()
        finally:
            server.kill()
    return RecordedCases(tuple(filed), closed, tuple(drafters))


async def _all(bus: NatsConnection, stream: str, filter: str) -> AsyncIterator[RawMessage]:
    async for page in read_stream_pages(bus, stream, filter):
        for message in page:
            yield raw_message_of(message)


async def _filed(stack: Stack, encounter: str) -> str:
    case_id = await stack.discharge(encounter)
    await stack.reaches(case_id, "awaiting-review")
    answer = await stack.decide(case_id, "approve")
    if answer.status_code != 200:
        raise RuntimeError(f"not approved: {answer.text}")
    await stack.reaches(case_id, "filed")
    return case_id


async def _closed(stack: Stack, encounter: str) -> str:
    case_id = await stack.discharge(encounter)
    await stack.reaches(case_id, "awaiting-review")
    answer = await stack.decide(case_id, "reject", action="close", reason="written in the EHR")
    if answer.status_code != 200:
        raise RuntimeError(f"not rejected: {answer.text}")
    await stack.reaches(case_id, "closed", events=6)
    return case_id


async def _recorded(bus: NatsConnection, case_id: str) -> RecordedCase:
    messages = await EventStore(bus, "bench").stored(CaseRef("*", case_id).filter)
    events = [decode(item.subject, item.headers, item.data, item.sequence) for item in messages]
    bodies = {event.name: event.body for event in events}
    drafted, context, approved = bodies["drafted"], bodies["context-extracted"], bodies.get("approved")
    if not isinstance(drafted, Drafted) or not isinstance(context, ContextExtracted):
        raise TypeError("a case without a draft")
    digests = [context.context, drafted.draft.digest, drafted.draft.text]
    if isinstance(approved, Approved):
        digests.append(approved.signed)
    texts = await Artifacts(bus).of(case_id).get_many(digests)
    named = {event.name: message for event, message in zip(events, messages, strict=True)}
    return RecordedCase(named, drafted.stay, drafted.draft.digest, texts)

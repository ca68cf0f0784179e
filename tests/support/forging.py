"""Change the event stream as an administrator of the NATS server could; the services are stopped meanwhile."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from sandbox_ehr.app import Sandbox
from services.approval.verification.report import VerificationReport
from services.approval.verification.verifier import EventStreamVerifier
from shared.contracts.envelope import CHAIN_START, ChainHead, chain_digest, decode, encode
from shared.contracts.events import CaseEvent
from shared.contracts.subjects import parse_case_subject
from shared.messaging.checkpoints import Folder
from shared.messaging.event_store import STREAM, EventStore, RawMessage
from tests.support.backup import as_user
from tests.support.ehr import client
from tests.support.server import NatsServer

ATTEMPTS = 5
Change = Callable[[CaseEvent], CaseEvent]


async def read(server: NatsServer) -> list[RawMessage]:
    async with as_user(server, "admin") as bus:
        return await EventStore(bus, "admin").stored("discharge.>")


async def write(server: NatsServer, messages: Iterable[RawMessage], *, without: Sequence[int] = ()) -> None:
    """The stream made again of `messages`, without protection, and those sequences deleted."""
    async with as_user(server, "admin") as bus:
        config = (await bus.jetstream.stream_info(STREAM)).config
        open_ = replace(config, deny_delete=False, deny_purge=False, first_seq=None)
        for _ in range(ATTEMPTS):
            await bus.jetstream.delete_stream(STREAM)
            if not (await bus.jetstream.add_stream(open_)).state.messages:
                break  # a busy server may find the old stream's files, which it removes behind the answer
        else:
            raise AssertionError("the server does not let go of the stream that was deleted")
        for item in messages:
            kept = {name: value for name, value in item.headers.items() if not name.startswith("Nats-")}
            await bus.publish(item.subject, item.data, stream=STREAM, headers=kept)
        for sequence in without:
            await bus.jetstream.delete_msg(STREAM, sequence)


def with_valid_chain(messages: Sequence[RawMessage], change: Change) -> list[RawMessage]:
    """The same events, each changed by `change`, and every digest made to fit again."""
    heads: dict[str, ChainHead] = {}
    found = []
    for item in messages:
        event = decode(item.subject, item.headers, item.data, item.sequence)
        source, after = event.source.rpartition("/")[2], heads.get(event.case.id, CHAIN_START)
        body = change(event.body)
        headers, data = encode(event.case, body, id=event.id, source=source, time=event.time, after=after)
        heads[event.case.id] = ChainHead(item.sequence, chain_digest(headers, data))
        found.append(RawMessage(item.subject, headers, data, item.sequence))
    return found


async def append(server: NatsServer, user: str, case_id: str, *bodies: CaseEvent) -> None:
    """Events that follow in the chain, published as `user` may."""
    of_case = [item for item in await read(server) if parse_case_subject(item.subject)[0].id == case_id]
    last = of_case[-1]
    case, _ = parse_case_subject(last.subject)
    head = ChainHead(last.sequence, chain_digest(last.headers, last.data))
    async with as_user(server, user) as bus:
        for number, body in enumerate(bodies):
            id, time = (
                f"forged-{case_id}-{body.event}-{number}",
                decode(last.subject, last.headers, last.data, last.sequence).time,
            )
            head = await EventStore(bus, user).append(case, body, after=head, id=id, time=time)


async def audit(
    server: NatsServer,
    ehr: Sandbox,
    case: str | None = None,
    against: tuple[Folder, Ed25519PublicKey] | None = None,
) -> VerificationReport:
    async with as_user(server, "auditor") as bus:
        found = EventStreamVerifier(bus, client(ehr), against)
        return await (found.all() if case is None else found.one(case))

"""Send stored messages, one at a time in all processes of approval."""

import asyncio
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from services.approval.filing.mdm.answers import Answer, read_answer
from shared.contracts.envelope import sha256_hex
from shared.contracts.errors import TransientError
from shared.hl7.client import MllpAddress, exchange
from shared.messaging.connection import NatsConnection
from shared.messaging.lease import Lease

BUCKET = "reconciled"
MARGIN_S = 2  # of the lease in addition to the exchange, for the reads before it
LEASE_TIMEOUT_S = 45.0  # for other processes; with the longest exchange, less than an attempt at filing may take


def lease_of(bus: NatsConnection, to: MllpAddress) -> Lease:
    """Return the lease of a receiver.

    It lasts longer than an exchange. So a message counts as in flight until its answer would have come, also where its
    sender has died.
    """
    key = f"lease.mdm.{sha256_hex(f'{to.host}:{to.port}'.encode())[:16]}"
    busy = "the HL7v2 receiver takes messages of other processes first, one at a time"
    return Lease(bus, BUCKET, key, math.ceil(to.longest) + MARGIN_S, busy)


@dataclass(frozen=True, slots=True)
class Turn:
    """The right to send one message. Nothing is sent after `begin_by`, a time of the loop."""

    to: MllpAddress
    begin_by: float

    async def send(self, content: bytes, control_id: str) -> Answer:
        """Return the receiver's answer. Raises TransientError where there is none."""
        return await exchange(self.to, content, lambda answer: read_answer(answer, control_id), self.begin_by)


class MdmSender:
    """One message is on its way to the receiver at a time; those of one process in the order in which they came."""

    def __init__(self, to: MllpAddress, lease: Lease) -> None:
        self._to = to
        self._lease = lease
        self._queue = asyncio.Lock()
        self._failures, self._reason = 0, ""

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[Turn]:
        """Wait until no other message is on its way. Raises TransientError where that takes too long."""
        failures = self._failures
        async with self._queue:
            # After a failed exchange, the messages that wait would most likely fail too: they are retried later.
            if self._failures != failures:
                raise TransientError(self._reason)
            try:
                async with self._lease.hold(LEASE_TIMEOUT_S) as until:
                    yield Turn(self._to, until - self._to.timeout)
            except TransientError as error:
                self._failures, self._reason = self._failures + 1, error.reason
                raise

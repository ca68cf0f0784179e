"""Send stored messages, one at a time."""

import asyncio

from services.approval.filing.mdm.answers import Answer, read_answer
from shared.contracts.errors import TransientError
from shared.hl7.client import MllpAddress, exchange


class MdmSender:
    """One message of this process is on its way at a time, in the order in which they came."""

    def __init__(self, to: MllpAddress) -> None:
        self._to = to
        self._turn = asyncio.Lock()
        self._failures = 0

    async def send(self, content: bytes, control_id: str) -> Answer:
        """Return the receiver's answer. Raises TransientError where there is none."""
        failures = self._failures
        async with self._turn:
            # A receiver that has just kept silent would make each message wait in vain: they come back later.
            if self._failures != failures:
                raise TransientError("the HL7v2 receiver does not answer")
            try:
                return await exchange(self._to, content, lambda answer: read_answer(answer, control_id))
            except TransientError:
                self._failures += 1
                raise

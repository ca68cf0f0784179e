"""Replies to a connection's requests, all on one inbox."""

import asyncio
from dataclasses import dataclass

from nats.aio.msg import Msg

from shared.contracts.errors import TransientError


class Replies:
    """The pending requests of a connection."""

    def __init__(self, inbox: str) -> None:
        self.inbox = inbox
        self._count = 0
        self._open: dict[str, _Request] = {}

    def expect(self, *, batch: bool) -> tuple[str, "asyncio.Future[list[Msg]]"]:
        """Return the reply subject of the next request, and a future of its reply: one message, or a whole batch."""
        self._count += 1
        reply = f"{self.inbox}.{self._count}"
        request = self._open[reply] = _Request(batch, [], asyncio.get_running_loop().create_future())
        return reply, request.answer

    def forget(self, reply: str) -> None:
        self._open.pop(reply, None)

    async def on_message(self, message: Msg) -> None:
        request = self._open.get(message.subject)
        if request is None or request.answer.done():
            return  # given up
        status = (message.headers or {}).get("Status")
        if status is None:
            request.found.append(message)
            if not request.batch:
                request.answer.set_result(request.found)
        elif status in ("404", "204"):  # nothing there; end of the batch
            request.answer.set_result(request.found)
        else:  # 503: nobody answers requests of this kind right now
            request.answer.set_exception(TransientError(f"JetStream answered {status}"))


@dataclass(frozen=True, slots=True)
class _Request:
    batch: bool
    found: list[Msg]
    answer: "asyncio.Future[list[Msg]]"

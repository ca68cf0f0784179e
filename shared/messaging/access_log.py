"""The ACCESS stream: who looked at what, who signed in, who was refused. Append-only, ids only.

Subjects `access.<event>.<case>`; `-` where no case is concerned.
"""

import json
from collections.abc import Callable
from datetime import datetime

from shared.contracts.access_log import AccessLogEntry, AccessLogEvent
from shared.contracts.subjects import access_subject, derived_id
from shared.messaging.connection import NatsConnection
from shared.messaging.pages import pages

STREAM = "ACCESS"
MAX_REMEMBERED = 10_000  # refusals of one minute


class AccessLog:
    """`new_id` gives the ids of entries; `clock` the time."""

    def __init__(self, bus: NatsConnection, clock: Callable[[], datetime], new_id: Callable[[], str]) -> None:
        self._clock = clock
        self._new_id = new_id
        self._minute = ""
        self._refused: set[str] = set()  # ids of refusals that are stored already, of this minute
        self._bus = bus

    async def record(
        self,
        event: AccessLogEvent,
        *,
        detail: str,
        case_id: str | None = None,
        subject: str | None = None,
        role: str | None = None,
        method: str | None = None,
        practitioner: str | None = None,
    ) -> None:
        """Stored when this returns. Raises TransientError: who cannot write it down may not show it.

        The same refusal counts once in a minute, so that nobody fills the disk by knocking.
        """
        time = self._clock()
        entry = AccessLogEntry(
            event=event,
            case_id=case_id,
            time=time,
            subject=subject,
            role=role,
            method=method,
            detail=detail,
            practitioner=practitioner,
        )
        minute = f"{time:%Y%m%d%H%M}"
        id = derived_id(f"{minute}/{subject}/{case_id}", detail) if event == "refused" else self._new_id()
        if self._is_stored(minute, id):
            return
        await self._bus.publish(access_subject(event, case_id), entry.model_dump_json().encode(), stream=STREAM, id=id)
        if event == "refused" and len(self._refused) < MAX_REMEMBERED:
            self._refused.add(id)

    def _is_stored(self, minute: str, id: str) -> bool:
        """Known without asking the server, which would drop the copy: thousands a second would keep it busy."""
        if minute != self._minute:
            self._minute = minute
            self._refused.clear()
        return id in self._refused

    async def of_case(self, case_id: str, event: AccessLogEvent | None = None) -> list[AccessLogEntry]:
        """Return every entry about a case, or those of one kind, oldest first."""
        found: list[AccessLogEntry] = []
        async for page in pages(self._bus, STREAM, access_subject(event or "*", case_id)):
            found += [AccessLogEntry.model_validate(json.loads(message.data)) for message in page]
        return found

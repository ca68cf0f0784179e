"""The ACCESS stream: who viewed which case, signed in, or was refused. Append-only, ids only.

Subjects `access.<event>.<case>`; `-` where no case is concerned.
"""

import json
from collections.abc import Callable
from datetime import datetime

from shared.contracts.access_log import AccessLogEntry, AccessLogEvent
from shared.contracts.case_values import Actor
from shared.contracts.subjects import access_subject, derived_id
from shared.messaging.connection import NatsConnection
from shared.messaging.stream_pages import read_stream_pages

STREAM = "ACCESS"
MAX_REMEMBERED = 10_000  # ids of the refusals of one minute, kept to drop repetitions


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
        by: Actor | None = None,
        subject: str | None = None,
        role: str | None = None,
    ) -> None:
        """Append an entry; it is stored when this returns. Raises TransientError: then nothing may be shown.

        `by` is the authenticated person or machine; `subject` and `role` replace theirs, or name somebody without a
        session. The same refusal is stored once a minute, so that repeated requests do not fill the disk.
        """
        time = self._clock()
        subject, role = subject or (by.subject if by else None), role or (by.role if by else None)
        entry = AccessLogEntry(
            event=event,
            case_id=case_id,
            time=time,
            subject=subject,
            role=role,
            method=by.method if by else None,
            detail=detail,
            practitioner=by.practitioner if by else None,
        )
        minute = f"{time:%Y%m%d%H%M}"
        id = derived_id(f"{minute}/{subject}/{case_id}", detail) if event == "refused" else self._new_id()
        if self._is_stored(minute, id):
            return
        await self._bus.publish(access_subject(event, case_id), entry.model_dump_json().encode(), stream=STREAM, id=id)
        if event == "refused" and len(self._refused) < MAX_REMEMBERED:
            self._refused.add(id)

    def _is_stored(self, minute: str, id: str) -> bool:
        """Return whether this process stored the refusal already, so that repetitions do not load the server."""
        if minute != self._minute:
            self._minute = minute
            self._refused.clear()
        return id in self._refused

    async def of_case(self, case_id: str, event: AccessLogEvent | None = None) -> list[AccessLogEntry]:
        """Return every entry about a case, or those of one kind, oldest first."""
        found: list[AccessLogEntry] = []
        async for page in read_stream_pages(self._bus, STREAM, access_subject(event or "*", case_id)):
            found += [AccessLogEntry.model_validate(json.loads(message.data)) for message in page]
        return found

"""Filter entries of the access log. Pure."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from shared.contracts.access_log import AccessLogEntry, AccessLogEvent
from shared.contracts.subjects import access_subject


class StoredEntry(AccessLogEntry):
    """An entry and its place in the stream."""

    sequence: int


@dataclass(frozen=True, slots=True)
class AccessFilter:
    """Criteria that all have to match; None: any. `cases` empty: none. `since` is inclusive, `until` exclusive."""

    subject: str | None = None
    cases: frozenset[str] | None = None
    action: AccessLogEvent | None = None
    since: datetime | None = None
    until: datetime | None = None

    def may_match(self, data: bytes) -> bool:
        """Return False where the stored JSON cannot match, without parsing it."""
        wanted = self.subject
        # Escapes of non-ASCII characters may differ between writers: those are left to `matches`.
        return wanted is None or not wanted.isascii() or json.dumps(wanted).encode() in data

    def matches(self, entry: AccessLogEntry) -> bool:
        return (
            (self.subject is None or entry.subject == self.subject)
            and (self.cases is None or entry.case_id in self.cases)
            and (self.action is None or entry.event == self.action)
            and (self.since is None or entry.time >= self.since)
            and (self.until is None or entry.time < self.until)
        )

    @property
    def case(self) -> str | None:
        """Return the case if the filter names exactly one."""
        return next(iter(self.cases)) if self.cases is not None and len(self.cases) == 1 else None

    @property
    def subjects(self) -> str:
        """Return the filter of NATS subjects that holds every match."""
        return access_subject(self.action or "*", self.case or "*")


def parse_cursor(cursor: str | None) -> int | None:
    """Return the sequence before which a page begins. Raises ValueError."""
    if cursor is None:
        return None
    if not (cursor.isascii() and cursor.isdigit() and 0 < len(cursor) < 20):
        raise ValueError("not a cursor of this list")
    return int(cursor)


def stored_entry(headers: Mapping[str, str], data: bytes) -> StoredEntry:
    """Return the entry of a direct-get response. Raises ValueError."""
    return StoredEntry.model_validate({**json.loads(data), "sequence": int(headers["Nats-Sequence"])})

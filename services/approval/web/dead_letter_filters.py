"""The filters of the page of dead letters, from its query and back into links. Pure but for the zone of times."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import UTC, datetime, tzinfo
from typing import Annotated, get_args
from urllib.parse import urlencode

from fastapi import Query

from services.approval.operations.selection import Selection, State
from shared.runtime.problems import ProblemError

STATES: tuple[State, ...] = get_args(State)
MAX_LENGTH = 200  # as in the API


@dataclass(frozen=True, slots=True)
class Filters:
    """What the query says; empty selects all. `since` and `before` are local times without a zone, or RFC 3339."""

    state: str = "waiting"
    consumer: str = ""
    stream: str = ""
    reason: str = ""
    since: str = ""
    before: str = ""

    @property
    def narrowed(self) -> bool:
        """Return whether anything but the state is selected."""
        return any((self.consumer, self.stream, self.reason, self.since, self.before))

    def selection(self, zone: tzinfo | None) -> Selection:
        """Return the selection; `zone` is that of times without one. Raises ProblemError 422."""
        state = next((state for state in STATES if state == self.state), None)
        if state is None or any(len(getattr(self, item.name)) > MAX_LENGTH for item in fields(self)):
            raise ProblemError(422, "The request is not valid", "A filter has an unknown value, or is too long.")
        return Selection(
            state,
            self.stream or None,
            self.consumer or None,
            self.reason or None,
            _time(self.since, zone),
            _time(self.before, zone),
        )

    def query(self, **changes: object) -> str:
        """Return the query of a link with these filters; `changes` replaces some, or adds other parameters."""
        values: Mapping[str, object] = {item.name: getattr(self, item.name) for item in fields(self)} | changes
        return urlencode({name: value for name, value in values.items() if value not in ("", None)})


def read_filters(
    state: Annotated[str, Query()] = "waiting",
    consumer: Annotated[str, Query()] = "",
    stream: Annotated[str, Query()] = "",
    reason: Annotated[str, Query()] = "",
    since: Annotated[str, Query()] = "",
    before: Annotated[str, Query()] = "",
) -> Filters:
    return Filters(state or "waiting", consumer, stream, reason.strip(), since, before)


def _time(text: str, zone: tzinfo | None) -> datetime | None:
    """Read the filters of the query. Raises ProblemError 422."""
    if not text:
        return None
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise ProblemError(422, "The request is not valid", "A time is not one of a calendar.") from None
    return time if time.tzinfo is not None else time.replace(tzinfo=zone or UTC)

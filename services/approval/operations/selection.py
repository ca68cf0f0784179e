"""Which dead letters a request is about, and which of them a caller may see. Pure."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from shared.contracts.errors import PermanentError
from shared.contracts.subjects import CaseRef, parse_case_subject
from shared.messaging.dead_letters import DeadLetter
from shared.runtime.authentication import Caller

State = Literal["waiting", "redriven", "discarded", "all"]


@dataclass(frozen=True, slots=True)
class Selection:
    """A filter of dead letters; None selects all.

    `reason` is a part of the failure's reason, in any case. `since` is included, `before` is not. `up_to` is the
    highest sequence: what was dead-lettered after a preview is not selected with it.
    """

    state: State = "waiting"
    stream: str | None = None
    consumer: str | None = None
    reason: str | None = None
    since: datetime | None = None
    before: datetime | None = None
    up_to: int | None = None

    def matches(self, letter: DeadLetter) -> bool:
        return (
            self.state in ("all", letter.state)
            and self.stream in (None, letter.stream)
            and self.consumer in (None, letter.consumer)
            and (self.reason is None or self.reason.casefold() in letter.reason.casefold())
            and (self.up_to is None or letter.sequence <= self.up_to)
            and self._in_period(letter)
        )

    def _in_period(self, letter: DeadLetter) -> bool:
        if self.since is None and self.before is None:
            return True
        if letter.failed_at is None:
            return False
        at = datetime.fromisoformat(letter.failed_at)
        return (self.since is None or self.since <= at) and (self.before is None or at < self.before)


def case_of(letter: DeadLetter) -> CaseRef | None:
    """Return the case whose step failed; None for a message that belongs to no case."""
    if letter.stream != "DISCHARGE":
        return None
    try:
        return parse_case_subject(letter.subject)[0]
    except PermanentError:
        return None


def can_see(who: Caller, letter: DeadLetter) -> bool:
    """Return whether an operator may see a dead letter.

    An operator of single departments sees those of their cases. Other messages belong to the whole installation.
    """
    if who.departments is None:
        return True
    case = case_of(letter)
    return case is not None and who.can_access_department(case.department)

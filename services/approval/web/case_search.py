"""The search of the cases page: its parameters, its filter, and links to other searches. Pure."""

from datetime import datetime, timedelta
from typing import Literal, NamedTuple
from urllib.parse import urlencode

from pydantic import BaseModel, ConfigDict, Field

from services.approval.review.case_list import CaseFilter
from shared.contracts.case import CaseState

# In the order of the tabs.
SHORT_STATES: dict[CaseState, str] = {
    "failed": "Stopped",
    "awaiting-review": "Waits for a signature",
    "drafting": "Being drafted",
    "approved": "Signed, being filed",
    "filed": "Filed",
    "preparing": "Being prepared",
    "prepared": "Prepared",
    "retracted": "Retracted",
    "withdrawn": "Withdrawn",
    "closed": "Closed",
}
PERIODS = {"1": "the last hour", "24": "the last 24 hours", "168": "the last 7 days", "720": "the last 30 days"}
WAITING: tuple[CaseState, ...] = ("failed", "awaiting-review", "drafting", "approved")


class CaseSearch(BaseModel):
    """The parameters of a search; an empty value is no criterion.

    `within`: the last event is at most so many hours ago. `longer`: in its state for so many hours or more.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    q: str = Field(default="", max_length=200)
    state: tuple[CaseState, ...] = ()
    department: str = Field(default="", pattern=r"^([a-z0-9][a-z0-9-]{0,39})?$")
    owner: str = Field(default="", max_length=100)
    within: Literal["", "1", "24", "168", "720"] = ""
    longer: str = Field(default="", pattern=r"^[0-9]{0,4}$")
    unfiled: bool = False

    @property
    def query(self) -> str:
        """Return the query string of this search, without what is empty."""
        texts = {"q": self.q.strip(), "department": self.department, "owner": self.owner.strip()}
        pairs = [(name, value) for name, value in texts.items() if value]
        pairs += [("state", state) for state in SHORT_STATES if state in self.state]
        pairs += [(name, value) for name, value in (("within", self.within), ("longer", self.longer)) if value]
        return urlencode(pairs + ([("unfiled", "1")] if self.unfiled else []))

    def link(self, **change: object) -> str:
        """Return the path of this search with other values."""
        query = self.model_copy(update=change).query
        return f"/cases?{query}" if query else "/cases"

    def filter(self, now: datetime, *, is_case: bool) -> CaseFilter:
        """Return the filter. `is_case`: `q` is the id of a case, not of an encounter."""
        words, owner = self.q.strip() or None, self.owner.strip()
        return CaseFilter(
            state=self.state,
            department=self.department or None,
            owner=(owner if "/" in owner else f"Practitioner/{owner}") if owner else None,
            case=words if is_case else None,
            encounter=None if is_case else words,
            since=now - timedelta(hours=int(self.within)) if self.within else None,
            unchanged_since=now - timedelta(hours=int(self.longer)) if self.longer else None,
            unfiled=self.unfiled,
        )


class CasePage(CaseSearch):
    """A page of a search; `done` names what was done before the redirect."""

    after: str | None = Field(default=None, max_length=20)
    done: Literal["", "saved", "removed"] = ""

    @property
    def search(self) -> CaseSearch:
        return CaseSearch.model_validate(self.model_dump(include=set(CaseSearch.model_fields)))


class View(NamedTuple):
    """A named search."""

    name: str
    query: str


BUILT_IN = (
    View("All cases", ""),
    View("Stopped", CaseSearch(state=("failed",)).query),
    View("Waiting longer than 24 h", CaseSearch(state=WAITING, longer="24").query),
    View("Signed but not in the chart", CaseSearch(unfiled=True).query),
)

"""The page of all drafters: what drafts each kind of document, and what waits to."""

from dataclasses import dataclass

from fastapi import APIRouter
from fastapi.responses import Response

from services.evaluator.dependencies import ClockOf, DrafterReader, Drafters, Knowledge
from services.evaluator.drafters import DrafterRecord, DrafterService
from services.evaluator.drift import BASELINE_DECISIONS, Drift
from services.evaluator.gate import GateVerdict
from services.evaluator.web.render import STATES, PageRoute, page
from shared.runtime.problems import ProblemError

router = APIRouter(route_class=PageRoute, include_in_schema=False)
HERE = "/drafters"


@dataclass(frozen=True, slots=True)
class Row:
    """A configuration. `verdict` is that of the gate, of a candidate and of the shadow."""

    found: DrafterRecord
    verdict: GateVerdict | None


@dataclass(frozen=True, slots=True)
class DocumentCard:
    """One kind of document: what drafts it first, what is retired apart."""

    document: str
    rows: list[Row]
    retired: list[Row]
    drift: Drift | None

    @property
    def drifted(self) -> bool:
        return self.drift is not None and self.drift.drifted is not None

    def quiet(self) -> tuple[bool, int]:
        """Return what the kinds of documents are sorted by: those that need somebody first."""
        return not self.drifted, -len(self.rows)


@router.get(HERE)
async def show(
    who: DrafterReader, drafters: Drafters, knowledge: Knowledge, clock: ClockOf, document: str | None = None
) -> Response:
    documents = sorted(await drafters.states())
    if document is not None and document not in documents:
        raise ProblemError(404, "There is no such kind of document", "No drafter has declared it.")
    cards = [await _card(drafters, name) for name in documents if document in (None, name)]
    cards.sort(key=DocumentCard.quiet)
    pointer, record = await knowledge.live()
    return page(
        "drafters.html",
        who=who,
        here=HERE,
        now=clock(),
        cards=cards,
        documents=documents,
        document=document,
        counts={state: sum(row.found.entry.state == state for card in cards for row in card.rows) for state in STATES},
        drifted=sum(card.drifted for card in cards),
        baseline=BASELINE_DECISIONS,
        embedder=pointer,
        embedder_reason=record.reason if record is not None else "",
    )


async def _card(drafters: DrafterService, document: str) -> DocumentCard:
    state = await drafters.state(document)
    verdicts = await drafters.verdicts(state)
    found = sorted(await drafters.all(document), key=lambda item: item.entry.since, reverse=True)
    found.sort(key=lambda item: STATES.index(item.entry.state))
    rows = [Row(item, verdicts.get(item.entry.configuration)) for item in found]
    live = next((item for item in found if item.entry.state == "live"), None)
    return DocumentCard(
        document=document,
        rows=[row for row in rows if row.found.entry.state != "retired"],
        retired=[row for row in rows if row.found.entry.state == "retired"],
        drift=await drafters.drift_of(live) if live is not None else None,
    )

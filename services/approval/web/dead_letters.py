"""The pages of dead letters: a list by consumer and reason, and redrive or discard after a preview."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Literal
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Form, Query
from fastapi.responses import RedirectResponse, Response

from services.approval.dependencies import Api, ApiDependencies, Operator
from services.approval.operations.dead_letters_api import SHOWN_HEADERS
from services.approval.operations.dead_letters_api import Sequence as DeadLetterSequence
from services.approval.operations.groups import from_ranges, to_ranges
from services.approval.operations.outcomes import of_results, outcome_of, runbook_of, summary_of
from services.approval.operations.selection import case_of
from services.approval.operations.service import DONE, MAX_COUNTED, Action
from services.approval.web.dead_letter_filters import STATES, Filters, read_filters
from services.approval.web.render import PageRoute, page
from shared.contracts.errors import PermanentError
from shared.messaging.dead_letters import DeadLetter, UnknownDeadLetterError
from shared.messaging.descriptions import CONSUMER_DESCRIPTIONS
from shared.messaging.topology import STREAMS, all_consumers
from shared.runtime.authentication import Caller
from shared.runtime.problems import ProblemError

PAGE = 50
AT_ONCE = 200  # dead letters that one form acts on
GROUPS = 12
NOTES = {"nothing": "Nothing is selected. Tick dead letters, or “All that match”, and choose what to do."}
STATE_LABELS = {"waiting": "Waiting", "redriven": "Redriven", "discarded": "Discarded", "all": "All"}

router = APIRouter(route_class=PageRoute, include_in_schema=False)

FromQuery = Annotated[Filters, Depends(read_filters)]
Reason = Annotated[str, Form(max_length=4000)]


@router.get("/dead-letters")
async def index(
    who: Operator, api: Api, filters: FromQuery, after: Annotated[int, Query(ge=0)] = 0, note: str = ""
) -> Response:
    zone = api.zone_of("")
    found = await api.operations.overview(who, filters.selection(zone), after, PAGE)
    return _page(
        api,
        who,
        "dead_letters.html",
        found=found,
        groups=found.groups[:GROUPS],
        hidden=len(found.groups) - GROUPS,
        letters=[_row(letter) for letter in found.items],
        filters=filters,
        after=after,
        states=STATES,
        state_words=STATE_LABELS,
        consumers=sorted({item.name for item in all_consumers()} | {filters.consumer} - {""}),
        streams=[item.name for item in STREAMS],
        counted=MAX_COUNTED,
        at_once=AT_ONCE,
        note=NOTES.get(note, ""),
    )


@router.get("/dead-letters/preview")
async def preview(
    who: Operator,
    api: Api,
    filters: FromQuery,
    do: Action,
    n: Annotated[list[str] | None, Query(max_length=AT_ONCE)] = None,
    every: Literal["yes", ""] = "",
    after: Annotated[int, Query(ge=0)] = 0,
) -> Response:
    """Show what a redrive or discard of the selected dead letters would do. `n`: sequences, or ranges of them."""
    following: int | None = None
    if every:
        selection = filters.selection(api.zone_of(""))
        letters, following = await api.operations.page(who, selection, after, AT_ONCE)
    else:
        letters = await _letters(api, who, _sequences(",".join(n or ())))
    if not letters:
        return RedirectResponse(f"/dead-letters?{filters.query(note='nothing')}", 303)
    results = await api.operations.act_on(who, do, [item.sequence for item in letters], "preview", dry_run=True)
    planned = set(of_results(results, "planned"))
    by_sequence = {item.sequence: item for item in results}
    rows = [_row(letter) | {"result": by_sequence[letter.sequence]} for letter in letters]
    return _page(
        api,
        who,
        "dead_letters_preview.html",
        do=do,
        done=DONE[do],
        summary=summary_of([letter for letter in letters if letter.sequence in planned]),
        planned=[row for row in rows if row["result"].outcome == "planned"],
        refused=[row for row in rows if row["result"].outcome != "planned"],
        numbers=to_ranges(planned),
        more=following is not None,
        filters=filters,
        words=CONSUMER_DESCRIPTIONS,
    )


@router.post("/dead-letters/apply")
async def apply(
    who: Operator, api: Api, do: Annotated[Action, Form()], n: Annotated[str, Form()], reason: Reason
) -> Response:
    """Redrive or discard exactly these dead letters, each once, however often the form is sent."""
    sequences = _sequences(n)
    if not reason.strip():
        raise ProblemError(422, "The request is not valid", "Say why: the reason is kept with the dead letter.")
    await api.operations.act_on(who, do, sequences, reason.strip(), dry_run=False)
    if len(sequences) == 1:
        return RedirectResponse(f"/dead-letters/{sequences[0]}?tried={do}", 303)
    return RedirectResponse(f"/dead-letters/results?{urlencode({'do': do, 'n': to_ranges(sequences)})}", 303)


@router.get("/dead-letters/results")
async def results(who: Operator, api: Api, do: Action, n: str) -> Response:
    """Show what became of each, as it is recorded."""
    letters = await _letters(api, who, _sequences(n))
    waiting = [letter.sequence for letter in letters if letter.waits]
    now = {item.sequence: item for item in await api.operations.act_on(who, do, waiting, "preview", dry_run=True)}
    outcomes = [outcome_of(letter, do, now.get(letter.sequence)) for letter in letters]
    return _page(
        api,
        who,
        "dead_letters_results.html",
        do=do,
        done=DONE[do],
        outcomes=[(item, _row(item.letter)) for item in outcomes],
        succeeded=sum(item.state == "done" for item in outcomes),
        left=to_ranges(waiting),
    )


@router.get("/dead-letters/{sequence}")
async def show(sequence: DeadLetterSequence, who: Operator, api: Api, tried: Action | None = None) -> Response:
    try:
        found = await api.operations.one(who, sequence)
    except UnknownDeadLetterError:
        raise ProblemError(404, "There is no such dead letter") from None
    letter, plans = found.letter, {}
    if letter.waits:
        for action in DONE:
            (plans[action],) = await api.operations.act_on(who, action, [sequence], "preview", dry_run=True)
    return _page(
        api,
        who,
        "dead_letter.html",
        row=_row(letter),
        plans=plans,
        outcome=outcome_of(letter, tried, plans.get(tried)) if tried else None,
        headers={name: value for name, value in found.headers.items() if name in SHOWN_HEADERS},
        size=len(found.data),
        runbook=runbook_of(letter.consumer),
        words=CONSUMER_DESCRIPTIONS,
    )


def _page(api: ApiDependencies, who: Caller, name: str, **values: Any) -> Response:
    return page(name, who=who, here="/dead-letters", zone=api.zone_of(""), now=api.clock(), **values)


def _row(letter: DeadLetter) -> dict[str, Any]:
    at = datetime.fromisoformat(letter.failed_at) if letter.failed_at else None
    resolved = datetime.fromisoformat(letter.at) if letter.at else None
    return {"letter": letter, "case": case_of(letter), "failed_at": at, "resolved_at": resolved}


def _sequences(text: str) -> list[int]:
    """Parse the sequences of the form. Raises ProblemError 422."""
    try:
        return from_ranges(text, AT_ONCE)
    except ValueError:
        raise ProblemError(422, "The request is not valid", f"Select 1 to {AT_ONCE} dead letters.") from None


async def _letters(api: ApiDependencies, who: Caller, sequences: Sequence[int]) -> list[DeadLetter]:
    """Return those that there are, and that `who` may see."""
    found: list[DeadLetter] = []
    for sequence in sequences:
        try:
            found.append((await api.operations.one(who, sequence)).letter)
        except PermanentError:
            continue  # of another department, or none
    return found

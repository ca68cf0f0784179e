"""REST API of dead letters, for operators. It shows no body of a message: a body may hold a patient's data."""

import hashlib
import re
from dataclasses import asdict
from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints

from services.approval.dependencies import Api, Operator
from services.approval.operations.selection import Selection, State, case_of
from services.approval.operations.service import DONE, Action, ActionResult
from shared.contracts.errors import PermanentError
from shared.messaging.dead_letters import DeadLetter, UnknownDeadLetterError
from shared.runtime.api_route import ApiRoute
from shared.runtime.authentication import Caller
from shared.runtime.problems import ProblemError, problem_responses

COMMON = {
    401: "no token, or one that is not valid",
    403: "the token has not the role operator",
    422: "the request is not valid",
    503: "NATS or ingest does not answer: repeat the request",
}
UNKNOWN = problem_responses({404: "there is no such dead letter, or it is of another department"})
CONFLICT = problem_responses({409: "it would fail again, or it was resolved in the other way"})

router = APIRouter(tags=["dead letters"], responses=problem_responses(COMMON), route_class=ApiRoute)

MAX_SEQUENCE = 2**63 - 1
# Attributes of the message that failed: ids, names and times. Other headers are not shown.
SHOWN_HEADERS = ("ce-id", "ce-source", "ce-specversion", "ce-time", "ce-type", "content-type", "traceparent")

Sequence = Annotated[int, Path(ge=1, le=MAX_SEQUENCE, description="sequence in the stream `DEADLETTER`")]
Reason = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=4000),
    Field(description="recorded beside the dead letter with the caller; no patient data"),
]
Name = Annotated[str, StringConstraints(min_length=1, max_length=200)]
StreamName = Annotated[Name | None, Field(description="stream of the message that failed, such as `NOTIFY`")]
ConsumerName = Annotated[Name | None, Field(description="consumer that gave up, such as `approval-deliver`")]
ReasonPart = Annotated[Name | None, Field(description="part of the failure's reason; upper and lower case are equal")]
Since = Annotated[AwareDatetime | None, Field(description="dead-lettered at this time or later, RFC 3339")]
Before = Annotated[AwareDatetime | None, Field(description="dead-lettered before this time, RFC 3339")]


class DeadLetterEntry(BaseModel):
    """A message whose retries are exhausted. `by`, `at` and `why` say who resolved it, when and for what reason."""

    sequence: int
    state: Literal["waiting", "redriven", "discarded"] = Field(description="whether it was resolved, and how")
    consumer: str
    stream: str
    subject: str = Field(description="NATS subject of the message")
    reason: str = Field(description="why it failed")
    attempts: int
    failed_at: str | None
    case_id: str | None = Field(description="the case whose step failed, if it is one")
    department: str | None
    by: str | None
    at: str | None = Field(description="when it was resolved; null: it was not")
    why: str | None


class DeadLetterList(BaseModel):
    """A page of dead letters, oldest first; `next` is the cursor of the page after it."""

    items: list[DeadLetterEntry]
    next: str | None


class DeadLetterDetails(DeadLetterEntry):
    """A dead letter with what identifies its message: selected headers, size and digest, never the body."""

    headers: dict[str, str] = Field(description="ids, names and times among the headers of the message")
    size: int = Field(description="bytes of the body")
    sha256: str = Field(description="digest of the body, hexadecimal")


class ActOnOne(BaseModel):
    """Redrive or discard one dead letter. With `dry_run` nothing is changed."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"reason": "the mail server is back", "dry_run": False}]}
    )

    reason: Reason
    dry_run: bool = Field(default=False, description="only say what would be done")


class ActOnAll(BaseModel):
    """Redrive or discard every unresolved dead letter that the filter selects; at least one criterion is needed.

    Send it with `dry_run` first. To act on what the preview showed and on nothing later, send the last sequence that
    it showed as `up_to`. `after` is the cursor: `next` of the page before.
    """

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "consumer": "approval-deliver",
                    "reason_contains": "timeout",
                    "reason": "mail is back",
                    "dry_run": True,
                }
            ]
        },
    )

    stream: StreamName = None
    consumer: ConsumerName = None
    reason_contains: ReasonPart = None
    since: Since = None
    before: Before = None
    up_to: int | None = Field(default=None, ge=1, le=MAX_SEQUENCE, description="highest sequence to act on")
    reason: Reason
    dry_run: bool = Field(description="true: only report what would be done")
    after: str | None = Field(default=None, description="cursor from `next`")
    limit: int = Field(default=200, ge=1, le=200)

    @property
    def selection(self) -> Selection:
        """Return the filter. Raises ProblemError 422 where it selects everything."""
        criteria = (self.stream, self.consumer, self.reason_contains, self.since, self.before)
        if all(item is None for item in criteria):
            raise ProblemError(
                422, "The request is not valid", "Give one of stream, consumer, reason_contains, since, before."
            )
        return Selection("waiting", *criteria, self.up_to)


class ActionResults(BaseModel):
    """What became of each dead letter of this page.

    `next` is the cursor of the next page, null at the end. The page ends early where a service does not answer; the
    cursor then repeats what it did not do.
    """

    items: list[ActionResult]
    next: str | None


@router.get(
    "/v1/dead-letters",
    summary="Messages that no retry could handle, oldest first",
    description="Filters are combined. An operator of single departments sees the dead letters of their cases only.",
)
async def list_dead_letters(
    who: Operator,
    api: Api,
    state: Annotated[State, Query(description="whether they were resolved, and how")] = "waiting",
    stream: StreamName = None,
    consumer: ConsumerName = None,
    reason: ReasonPart = None,
    since: Since = None,
    before: Before = None,
    after: Annotated[str | None, Query(description="cursor from `next`")] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> DeadLetterList:
    selection = Selection(state, stream, consumer, reason, since, before)
    items, following = await api.operations.page(who, selection, _position(after), limit)
    return DeadLetterList(items=[_entry(item) for item in items], next=_cursor(following))


@router.get("/v1/dead-letters/{sequence}", summary="A dead letter, without the body of its message", responses=UNKNOWN)
async def show_dead_letter(sequence: Sequence, who: Operator, api: Api) -> DeadLetterDetails:
    try:
        found = await api.operations.one(who, sequence)
    except UnknownDeadLetterError:
        raise _unknown() from None
    return DeadLetterDetails(
        **_entry(found.letter).model_dump(),
        headers={name: value for name, value in found.headers.items() if name in SHOWN_HEADERS},
        size=len(found.data),
        sha256=hashlib.sha256(found.data).hexdigest(),
    )


@router.post(
    "/v1/dead-letters/{sequence}/redrive",
    summary="Process a dead letter again",
    description="A case tries its failed step again; any other message is published again. Sent twice, it is done "
    "once: the second answer says who did it.",
    responses=UNKNOWN | CONFLICT,
)
async def redrive(sequence: Sequence, body: ActOnOne, by: Operator, api: Api) -> ActionResult:
    return await _act(api, by, "redrive", sequence, body)


@router.post(
    "/v1/dead-letters/{sequence}/discard",
    summary="Mark a dead letter as never to be redriven",
    description="It stays on record, and its case stays as it is. Sent twice, it is done once: the second answer says "
    "who did it.",
    responses=UNKNOWN | CONFLICT,
)
async def discard(sequence: Sequence, body: ActOnOne, by: Operator, api: Api) -> ActionResult:
    return await _act(api, by, "discard", sequence, body)


@router.post(
    "/v1/dead-letters/redrive",
    summary="Process many dead letters again, or preview it",
    description="Works on one page of the selected dead letters. Repeated, it acts on those that are still unresolved.",
)
async def redrive_all(body: ActOnAll, by: Operator, api: Api) -> ActionResults:
    return await _act_on_all(api, by, "redrive", body)


@router.post(
    "/v1/dead-letters/discard",
    summary="Discard many dead letters, or preview it",
    description="Works on one page of the selected dead letters. Repeated, it acts on those that are still unresolved.",
)
async def discard_all(body: ActOnAll, by: Operator, api: Api) -> ActionResults:
    return await _act_on_all(api, by, "discard", body)


async def _act(api: Api, by: Caller, action: Action, sequence: int, body: ActOnOne) -> ActionResult:
    try:
        return await api.operations.act(by, action, sequence, body.reason, dry_run=body.dry_run)
    except UnknownDeadLetterError:
        raise _unknown() from None
    except PermanentError as refused:
        raise ProblemError(409, f"This dead letter cannot be {DONE[action]}", refused.reason) from None


async def _act_on_all(api: Api, by: Caller, action: Action, body: ActOnAll) -> ActionResults:
    items, following = await api.operations.act_on_all(
        by,
        action,
        body.selection,
        body.reason,
        dry_run=body.dry_run,
        after=_position(body.after),
        limit=body.limit,
    )
    return ActionResults(items=items, next=_cursor(following))


def _entry(letter: DeadLetter) -> DeadLetterEntry:
    case = case_of(letter)
    ids = {"case_id": case.id if case else None, "department": case.department if case else None}
    return DeadLetterEntry(**asdict(letter), **ids)


def _unknown() -> ProblemError:
    return ProblemError(404, "There is no such dead letter")


def _position(cursor: str | None) -> int:
    """Return the sequence of a cursor; 0 without one. Raises ProblemError 422."""
    if cursor is None:
        return 0
    if re.fullmatch(r"[0-9]{1,18}", cursor) is None:
        raise ProblemError(422, "The request is not valid", "after is not a cursor of this list.")
    return int(cursor)


def _cursor(sequence: int | None) -> str | None:
    return None if sequence is None else str(sequence)

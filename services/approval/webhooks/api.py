"""REST API of webhooks, for operators."""

import re
from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Path, Query, Response
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from services.approval.dependencies import Api, Operator
from services.approval.webhooks.problems import WebhookRoute
from services.approval.webhooks.rules import MAX_URL
from services.approval.webhooks.service import OVERLAP, RegisteredWebhook, WebhookFields
from services.approval.webhooks.webhook import Attempt, DisabledBecause, Outcome
from shared.contracts.ehr import Department
from shared.contracts.envelope import EVENT_NAMES
from shared.contracts.subjects import CASE_ID
from shared.runtime.idempotency import TAKES_KEY
from shared.runtime.list_pages import After, Next, not_a_cursor
from shared.runtime.problems import problem_responses
from shared.runtime.rate_limits import RateLimit

COMMON = {
    401: "no token, or one that is not valid",
    403: "the token has not the role operator",
    422: "the request is not valid, or webhooks may not reach the URL",
    503: "NATS does not answer: repeat the request",
}
UNKNOWN = {404: "there is no such webhook, or it is of another department"}
CONFLICT = {409: "the state of the webhook does not allow that, or the token is for other departments"}
SEQUENCE = re.compile(r"[1-9][0-9]{0,17}")  # a position in the stream of attempts
TESTS = RateLimit("webhook-test", 10, 0.2)

router = APIRouter(
    prefix="/v1/webhooks", tags=["webhooks"], route_class=WebhookRoute, responses=problem_responses(COMMON)
)


def _is_event(name: str) -> str:
    if name not in EVENT_NAMES:
        raise ValueError("there is no such event")
    return name


EventName = Annotated[str, AfterValidator(_is_event)]
WebhookId = Annotated[str, Path(pattern=f"^{CASE_ID}$", description="id of the webhook")]
DeliveryId = Annotated[str, Path(pattern=f"^{CASE_ID}$", description="header `webhook-id` of the delivery")]
Url = Annotated[str, Field(min_length=1, max_length=MAX_URL, description="https, except inside of the hospital")]
Types = Annotated[list[EventName], Field(max_length=64, description="events such as `approved`; empty: all")]
Departments = Annotated[list[Department], Field(max_length=200, description="empty: all")]
Description = Annotated[
    str, StringConstraints(strip_whitespace=True, max_length=200), Field(description="no patient data")
]


class RegisterWebhook(BaseModel):
    """Register an endpoint for case events from now on."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [{"url": "https://integrator.example/countersign", "types": ["approved", "filed"]}]
        },
    )

    url: Url
    types: Types = []
    departments: Departments = []
    description: Description = ""


class ChangeWebhook(BaseModel):
    """Change what is given. Enabled again, it gets the events from then on."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"types": ["approved", "filed", "rejected"], "enabled": True}]}
    )

    url: Url | None = None
    types: Types | None = Field(default=None, description="names of events; empty: all")
    departments: Departments | None = Field(default=None, description="tokens of departments; empty: all")
    description: Description | None = Field(default=None, description="no patient data")
    enabled: bool | None = Field(default=None, description="whether it gets events")


class SecretView(BaseModel):
    """A signing secret, which is not shown again. `valid_until` null: until it is rotated."""

    created_at: datetime
    valid_until: datetime | None = Field(description="until when it signs; null: until it is rotated")


class WebhookView(BaseModel):
    """A webhook. `failing_since` null: the last attempt succeeded, or there was none."""

    id: str = Field(description="id of the webhook")
    url: str
    types: list[str] = Field(description="names of events that it gets; empty: all")
    departments: list[str]
    description: str = Field(description="words of who registered it")
    enabled: bool = Field(description="whether it gets events")
    disabled_because: DisabledBecause | None = Field(description="why it gets none; null: it is enabled")
    disabled_at: datetime | None = Field(description="since when it gets none; null: it is enabled")
    failing_since: datetime | None = Field(
        description="since when every attempt fails; null: the last one succeeded, or there was none"
    )
    created_at: datetime
    created_by: str
    secrets: list[SecretView] = Field(description="when its signing secrets were made, the newest first")


class WebhookWithSecret(WebhookView):
    """A webhook with its new signing secret, which is shown this once."""

    secret: str = Field(description="`whsec_` and 32 bytes in base64")


class WebhookList(BaseModel):
    items: list[WebhookView]


class TestResult(BaseModel):
    """What became of a test event. `status` null: no answer; `reason` says why."""

    webhook_id: str = Field(description="header `webhook-id` of the test")
    delivered: bool = Field(description="whether the endpoint has taken it")
    status: int | None = Field(description="HTTP status of the answer; null: there was none")
    reason: str
    seconds: float


class AttemptView(BaseModel):
    """An attempt to send an event. `id` is the header `webhook-id`, the same for every attempt of a delivery."""

    id: str = Field(description="header `webhook-id` of the delivery")
    case_id: str
    department: str
    event: str = Field(description="name of the case event")
    sequence: int
    at: datetime = Field(description="when it was tried")
    outcome: Outcome = Field(description="what became of the attempt")
    status: int | None = Field(description="HTTP status of the answer; null: there was none")
    reason: str
    seconds: float


class AttemptList(BaseModel):
    """A page of attempts, the latest first. Deliveries that were not tried yet are not among them."""

    items: list[AttemptView]
    next: Next


class Redelivery(BaseModel):
    id: str = Field(description="header `webhook-id` of the delivery")
    state: Literal["queued"] = Field(default="queued", description="it is sent as soon as possible")


@router.get("", summary="Webhooks, the oldest first")
async def list_webhooks(who: Operator, api: Api) -> WebhookList:
    return WebhookList(items=[_view(item) for item in await api.webhooks.visible(who)])


@router.post(
    "",
    status_code=201,
    summary="Register a webhook",
    description="The answer has the signing secret, which is not shown again. There are at most 100 webhooks.",
    responses=problem_responses(
        {409: "there are too many, the token is for other departments, or an `Idempotency-Key` of earlier was used"}
    ),
)
async def register_webhook(
    body: RegisterWebhook,
    by: Operator,
    api: Api,
    operation: Annotated[str | None, Depends(TAKES_KEY)],
) -> WebhookWithSecret:
    fields = WebhookFields(body.url, tuple(body.types), tuple(body.departments), body.description)
    found, secret = await api.webhooks.add(by, fields, operation)
    return WebhookWithSecret(**_view(found).model_dump(), secret=secret)


@router.get("/{id}", summary="A webhook", responses=problem_responses(UNKNOWN))
async def show_webhook(id: WebhookId, who: Operator, api: Api) -> WebhookView:
    return _view(await api.webhooks.find(who, id))


@router.patch("/{id}", summary="Change, disable or enable a webhook", responses=problem_responses(UNKNOWN | CONFLICT))
async def change_webhook(id: WebhookId, body: ChangeWebhook, by: Operator, api: Api) -> WebhookView:
    changes = body.model_dump(exclude_none=True)
    changes |= {name: tuple(changes[name]) for name in ("types", "departments") if name in changes}
    return _view(await api.webhooks.change(by, id, changes))


@router.delete(
    "/{id}",
    status_code=204,
    summary="Remove a webhook",
    description="Deliveries that wait are dropped.",
    responses=problem_responses(UNKNOWN),
)
async def remove_webhook(id: WebhookId, by: Operator, api: Api) -> Response:
    await api.webhooks.remove(by, id)
    return Response(status_code=204)


@router.post(
    "/{id}/test",
    summary="Send a test event now",
    description="Of the type `countersign.webhook.test.v1`, also to a disabled webhook. It is not sent again.",
    responses=problem_responses(UNKNOWN),
    dependencies=[Depends(TESTS)],
)
async def test_webhook(id: WebhookId, by: Operator, api: Api) -> TestResult:
    message, answer = await api.webhooks.test(by, id)
    verdict = answer.verdict
    return TestResult(
        webhook_id=message,
        delivered=verdict.kind == "delivered",
        status=answer.status,
        reason=verdict.reason,
        seconds=answer.seconds,
    )


@router.post(
    "/{id}/secret",
    summary="Rotate the signing secret",
    description=f"The answer has it. For {OVERLAP.total_seconds() / 3600:g} hours the one before signs beside it.",
    responses=problem_responses(UNKNOWN),
)
async def rotate_secret(id: WebhookId, by: Operator, api: Api) -> WebhookWithSecret:
    found, secret = await api.webhooks.rotate(by, id)
    return WebhookWithSecret(**_view(found).model_dump(), secret=secret)


@router.get("/{id}/deliveries", summary="The last attempts, the latest first", responses=problem_responses(UNKNOWN))
async def list_deliveries(
    id: WebhookId,
    who: Operator,
    api: Api,
    after: After = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> AttemptList:
    if after is not None and not SEQUENCE.fullmatch(after):
        raise not_a_cursor()
    items, following = await api.webhooks.deliveries(who, id, limit, int(after) if after else None)
    return AttemptList(items=[_attempt(item) for item in items], next=str(following) if following else None)


@router.post(
    "/{id}/deliveries/{delivery}/redeliver",
    status_code=202,
    summary="Send a delivery again",
    description="With the same `webhook-id`. Two requests before it is tried cause one redelivery.",
    responses=problem_responses(UNKNOWN | {409: "the webhook is disabled, or the delivery is still being tried"}),
)
async def redeliver(id: WebhookId, delivery: DeliveryId, by: Operator, api: Api) -> Redelivery:
    await api.webhooks.redeliver(by, id, delivery)
    return Redelivery(id=delivery)


def _view(found: RegisteredWebhook) -> WebhookView:
    webhook = found.webhook
    return WebhookView(
        **webhook.model_dump(exclude={"after", "secrets"}),
        failing_since=found.health.failing_since if found.health is not None else None,
        secrets=[SecretView(created_at=item.created_at, valid_until=item.until) for item in webhook.secrets],
    )


def _attempt(attempt: Attempt) -> AttemptView:
    event = attempt.delivery.event
    return AttemptView(
        id=attempt.delivery.id,
        **event.model_dump(include={"case_id", "department", "event", "sequence"}),
        **attempt.model_dump(include={"at", "outcome", "status", "reason", "seconds"}),
    )

"""HTTP endpoint for FHIR notifications: Subscriptions of the EHR point here.

A sender proves itself by a token of role `ingest`, or by an HMAC of the body (`signatures.py`). Answers are FHIR
resources, as servers parse them: https://github.com/hapifhir/hapi-fhir-jpaserver-starter/issues/677
"""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Path, Query, Request
from fastapi.responses import JSONResponse

from services.ingest.dependencies import IngestDependencies, NotificationsService
from services.ingest.notification_service import NotificationService
from services.ingest.notifications import Change, Notification, change, parse_body, parse_notification
from services.ingest.signatures import is_signed
from shared.contracts.subjects import FHIR_ID
from shared.runtime.api_route import ApiRoute
from shared.runtime.authentication import Caller, RequireRole
from shared.runtime.dependencies import provided
from shared.runtime.idempotency import without_idempotency_key
from shared.runtime.problems import ProblemError
from shared.runtime.rate_limits import delay_refusal
from shared.runtime.request_limits import MB, limit_endpoint
from shared.runtime.security_schemes import SecuritySchemes

MAX_BODY_BYTES, VALUES = 2 * MB, 50_000  # a Bundle with whole Tasks in it
MAX_CHANGES = 1_000  # each is read in the EHR; what a notification does not tell is found by the search
MEDIA_TYPE = "application/fhir+json"
# Such servers read the answer to a Bundle as that to a transaction:
# https://github.com/hapifhir/hapi-fhir-jpaserver-starter/issues/964
TRANSACTION_RESPONSE = {"resourceType": "Bundle", "type": "transaction-response"}


ResourceType = Annotated[Literal["Encounter", "Task", "Appointment"], Path(description="type of the resource")]
Id = Annotated[str, Path(pattern=FHIR_ID, description="id of the resource")]


SIGNATURE: SecuritySchemes = {
    "signature": {
        "type": "apiKey",
        "in": "header",
        "name": "X-Hub-Signature-256",
        "description": "HMAC-SHA256 of the body, hexadecimal; also as `X-Hub-Signature` or `X-Signature`",
    }
}


class BearerOrSignature(RequireRole):
    """Gives the caller of a token; None for a request that is signed instead, which its body decides about."""

    def schemes(self, request: Request) -> SecuritySchemes:
        return super().schemes(request) | SIGNATURE

    async def __call__(self, request: Request) -> Caller | None:  # type: ignore[override]
        service = provided(request, IngestDependencies).notifications
        if "authorization" not in request.headers and service.accepts_signatures and is_signed(request.headers):
            return None
        return await super().__call__(request)


_sender = BearerOrSignature(lambda request: provided(request, IngestDependencies).authenticator, ("ingest",))
MaybeCaller = Annotated[Caller | None, Depends(_sender)]


class FhirResponse(JSONResponse):
    media_type = MEDIA_TYPE


async def ignore_general_parameters(
    _format: Annotated[str | None, Query(alias="_format", description="of FHIR; ignored, answers are JSON")] = None,
    _pretty: Annotated[str | None, Query(alias="_pretty", description="of FHIR; ignored")] = None,
) -> None:
    """Take the parameters that FHIR clients may add to any request: https://hl7.org/fhir/R4/http.html#parameters"""


router = APIRouter(tags=["ingest"], route_class=ApiRoute, dependencies=[Depends(ignore_general_parameters)])

ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "Stored. An OperationOutcome; for a Bundle an empty Bundle of type transaction-response",
        "content": {MEDIA_TYPE: {"schema": {"type": "object"}}},
    }
}


@router.post(
    "/v1/fhir/notifications",
    summary="A FHIR Subscription tells that Encounters, Tasks or Appointments have changed",
    response_class=FhirResponse,
    responses=ANSWERS,
    openapi_extra={"requestBody": {"content": {MEDIA_TYPE: {"schema": {"type": "object"}}}}},
)
@limit_endpoint(MAX_BODY_BYTES, values=VALUES)
@without_idempotency_key
async def notified(request: Request, caller: MaybeCaller, notifications: NotificationsService) -> FhirResponse:
    data = await request.body()
    sender = await _authenticated(request, caller, notifications, data)
    if not data.strip():
        await notifications.receive_unspecific(sender)
        return _answer({})
    if (body := parse_body(data)) is None:
        raise ProblemError(422, "The request is not valid", "The body is not a JSON object.")
    notification = parse_notification(body)
    _check_size(notification)
    await notifications.receive(sender, notification)
    return _answer(body)


# R4's rest-hook with a payload: servers send the resource below the endpoint, most of them by PUT.
@router.put(
    "/v1/fhir/notifications/{type}/{id}",
    summary="A FHIR Subscription sends an Encounter, a Task or an Appointment that has changed",
    response_class=FhirResponse,
    responses=ANSWERS,
    openapi_extra={"requestBody": {"content": {MEDIA_TYPE: {"schema": {"type": "object"}}}}},
)
@limit_endpoint(MAX_BODY_BYTES, values=VALUES)
async def sent(
    type: ResourceType, id: Id, request: Request, caller: MaybeCaller, notifications: NotificationsService
) -> FhirResponse:
    data = await request.body()
    sender = await _authenticated(request, caller, notifications, data)
    body = (parse_body(data) if data.strip() else {}) or {}
    named = [item for item in parse_notification(body).changes if _is(item, type, id)]
    await notifications.receive_changes(sender, named or [change(type, id)])
    return _answer({})


@router.delete(
    "/v1/fhir/notifications/{type}/{id}",
    summary="A FHIR Subscription tells that an Encounter, a Task or an Appointment was deleted",
    response_class=FhirResponse,
    responses=ANSWERS,
)
@limit_endpoint(MAX_BODY_BYTES, values=VALUES)
async def deleted(
    type: ResourceType, id: Id, request: Request, caller: MaybeCaller, notifications: NotificationsService
) -> FhirResponse:
    sender = await _authenticated(request, caller, notifications, await request.body())
    await notifications.receive_changes(sender, [change(type, id, deleted=True)])
    return _answer({})


async def _authenticated(
    request: Request, caller: Caller | None, notifications: NotificationService, body: bytes
) -> str:
    """Return the name of the sender. Raises ProblemError 401 where the signature is wrong."""
    if caller is not None:
        return caller.subject
    name = await notifications.signer(body, request.headers)
    if name is None:
        dependencies = provided(request, IngestDependencies)
        await dependencies.authenticator.report_denial("the signature is not valid", None, request)
        await delay_refusal()
        raise ProblemError(401, "The signature is not valid")
    return name


def _check_size(notification: Notification) -> None:
    """Raise ProblemError 413 for more than MAX_CHANGES."""
    if len(notification.changes) > MAX_CHANGES:
        raise ProblemError(
            413, "The notification names too many resources", f"At most {MAX_CHANGES} are taken at once."
        )


def _is(item: Change, type: str, id: str) -> bool:
    return item == change(type, id).model_copy(update={"version": item.version})


def _answer(body: dict[str, Any]) -> FhirResponse:
    if body.get("resourceType") == "Bundle":
        return FhirResponse(TRANSACTION_RESPONSE)
    issue = {"severity": "information", "code": "informational", "diagnostics": "stored"}
    return FhirResponse({"resourceType": "OperationOutcome", "issue": [issue]})

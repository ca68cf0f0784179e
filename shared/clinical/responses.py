"""Convert the HTTP responses of a FHIR server into resources or into one of the three kinds of error. Pure.

Error messages carry interactions, types, statuses and issue codes, never patient ids or a server's free text.
https://hl7.org/fhir/R4/http.html
"""

from collections.abc import Collection
from datetime import UTC, datetime
from typing import Any

import httpx

from shared.clinical import fhir_json
from shared.clinical.elements import Resource
from shared.contracts.errors import CountersignError, PermanentError, RateLimitedError, TransientError
from shared.http import retry_after

# Besides 5xx: timeout, conflict, locked, too early; and redirects of a gateway to a page of its own.
RETRYABLE_STATUSES = (302, 303, 307, 408, 409, 423, 425)


class NotFoundError(PermanentError):
    """The resource does not exist or was deleted (HTTP 404 or 410)."""


class PreconditionFailedError(PermanentError):
    """A conditional request failed (HTTP 412): a stale If-Match, or several matches of a conditional create."""


class BadRequestError(PermanentError):
    """The server rejects the request as it is written (HTTP 400)."""


class UnprocessableError(PermanentError):
    """The server understands the resource and refuses it (HTTP 413 or 422)."""


class UnauthorizedError(TransientError):
    """The server rejects the token, also after it was renewed (HTTP 401).

    Tokens expire and are replaced, so the same call may succeed later.
    """


def parse_resource(response: httpx.Response, what: str, type: str) -> Resource:
    """Return the resource of a successful response.

    Raises TransientError for a body that no FHIR server sends (the page of a proxy or of a gateway under maintenance),
    PermanentError for a resource of another type.
    """
    try:
        body = fhir_json.decode(response.content)
    except ValueError:
        raise TransientError(f"{what}: the server's answer is not JSON") from None
    if not isinstance(body, dict) or not isinstance(body.get("resourceType"), str):
        raise TransientError(f"{what}: the server's answer is not a resource")
    if body["resourceType"] != type:
        raise PermanentError(f"{what}: the server's answer is not a {type}{_outcome_codes(body)}")
    return body


def returned_resource(response: httpx.Response, type: str) -> Resource | None:
    """Return the resource in the response to a write.

    Returns None where the response has none: servers may ignore the `Prefer` header.
    """
    try:
        body = fhir_json.decode(response.content)
    except ValueError:
        return None
    shown = isinstance(body, dict) and body.get("resourceType") == type and isinstance(body.get("id"), str)
    return body if shown else None


def to_error(response: httpx.Response, what: str) -> CountersignError:
    """Return the error that an unsuccessful response stands for."""
    status = response.status_code
    reason = f"{what}: HTTP {status}{_issue_codes(response)}"
    if status == 429 or (status == 503 and "retry-after" in response.headers):
        return RateLimitedError(reason, retry_after(response.headers.get("retry-after"), datetime.now(UTC)))
    if status == 401:
        return UnauthorizedError(reason)
    if status in RETRYABLE_STATUSES or (status >= 500 and status != 501):  # 501 Not Implemented is permanent
        return TransientError(reason)
    kinds: dict[int, type[PermanentError]] = {
        400: BadRequestError,
        404: NotFoundError,
        410: NotFoundError,
        412: PreconditionFailedError,
        413: UnprocessableError,
        422: UnprocessableError,
    }
    return kinds.get(status, PermanentError)(reason)


def _issue_codes(response: httpx.Response) -> str:
    try:
        return _outcome_codes(fhir_json.decode(response.content))
    except ValueError:
        return ""


def _outcome_codes(body: Any) -> str:
    """Format the issue codes of an OperationOutcome.

    Its diagnostics may quote what was sent and are left out.
    """
    try:
        codes = sorted({str(issue["code"]) for issue in body.get("issue") or [] if "code" in issue})
    except (AttributeError, TypeError):
        return ""
    return f" ({', '.join(codes)})" if codes else ""


def etag_of(resource: Resource) -> str | None:
    """Return the weak ETag of a resource that was read; None without a version id."""
    version = (resource.get("meta") or {}).get("versionId")
    return f'W/"{version}"' if version else None


def oldest(found: Collection[Resource]) -> Resource:
    """Return the oldest of `found`, so that all callers pick the same one after a racing create.

    `found` must not be empty.
    """
    return min(found, key=lambda item: ((item.get("meta") or {}).get("lastUpdated") or "", item["id"]))

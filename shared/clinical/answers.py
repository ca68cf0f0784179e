"""What an HTTP answer of a FHIR server means: its resource, or one of the three kinds of failure. Pure.

Words of failures carry interactions, types, statuses and issue codes, never ids of patients or a server's free text.
https://hl7.org/fhir/R4/http.html
"""

import math
from collections.abc import Collection
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import httpx

from shared.clinical import fhir_json
from shared.contracts.failures import Failure, PermanentError, RateLimitedError, TransientError

Resource = dict[str, Any]

DEFAULT_RETRY_AFTER = 5.0
# Beside 5xx: a timeout, a conflict, a lock, too early; and a gateway that sends its users to a page of its own.
MAY_PASS = (302, 303, 307, 408, 409, 423, 425)


class NotFoundError(PermanentError):
    """404 or 410."""


class PreconditionFailedError(PermanentError):
    """412: a stale If-Match, or several matches of a conditional create."""


class BadRequestError(PermanentError):
    """400: the server does not take the request as it is spelled."""


class NotTakenError(PermanentError):
    """413 or 422: the server understands the resource and does not take it as it is."""


class UnauthorizedError(TransientError):
    """401, also with a renewed token. Tokens expire and are mended: the same call may succeed later."""


def resource_in(response: httpx.Response, what: str, type: str) -> Resource:
    """The resource of a successful answer.

    Raises TransientError for what no FHIR server says (the page of a proxy, of a gateway in maintenance),
    PermanentError for a resource of another type.
    """
    try:
        body = fhir_json.decode(response.content)
    except ValueError:
        raise TransientError(f"{what}: the server's answer is not JSON") from None
    if not isinstance(body, dict) or not isinstance(body.get("resourceType"), str):
        raise TransientError(f"{what}: the server's answer is not a resource")
    if body["resourceType"] != type:
        raise PermanentError(f"{what}: the server's answer is not a {type}{_codes_of(body)}")
    return body


def written(response: httpx.Response, type: str) -> Resource | None:
    """The resource that the answer to a write shows; None where it shows none, as `Prefer` may be ignored."""
    try:
        body = fhir_json.decode(response.content)
    except ValueError:
        return None
    shown = isinstance(body, dict) and body.get("resourceType") == type and isinstance(body.get("id"), str)
    return body if shown else None


def failure(response: httpx.Response, what: str) -> Failure:
    """The failure that an answer without success stands for."""
    status = response.status_code
    reason = f"{what}: HTTP {status}{_issue_codes(response)}"
    if status == 429 or (status == 503 and "retry-after" in response.headers):
        return RateLimitedError(reason, retry_after(response.headers.get("retry-after"), datetime.now(UTC)))
    if status == 401:
        return UnauthorizedError(reason)
    if status in MAY_PASS or (status >= 500 and status != 501):  # 501: it cannot do this at all
        return TransientError(reason)
    kinds: dict[int, type[PermanentError]] = {
        400: BadRequestError,
        404: NotFoundError,
        410: NotFoundError,
        412: PreconditionFailedError,
        413: NotTakenError,
        422: NotTakenError,
    }
    return kinds.get(status, PermanentError)(reason)


def _issue_codes(response: httpx.Response) -> str:
    try:
        return _codes_of(fhir_json.decode(response.content))
    except ValueError:
        return ""


def _codes_of(body: Any) -> str:
    """Issue codes of an OperationOutcome; its diagnostics may quote what was sent, so they stay out."""
    try:
        codes = sorted({str(issue["code"]) for issue in body.get("issue") or [] if "code" in issue})
    except (AttributeError, TypeError):
        return ""
    return f" ({', '.join(codes)})" if codes else ""


def retry_after(value: str | None, now: datetime) -> float:
    """Seconds that a Retry-After header asks for: a number, or an HTTP date."""
    if value is None:
        return DEFAULT_RETRY_AFTER
    try:
        seconds = float(value)
    except ValueError:
        pass
    else:
        return max(0.0, seconds) if math.isfinite(seconds) else DEFAULT_RETRY_AFTER
    try:
        return max(0.0, (parsedate_to_datetime(value) - now).total_seconds())
    except (TypeError, ValueError):
        return DEFAULT_RETRY_AFTER


def version_of(resource: Resource) -> str | None:
    """The weak ETag of what was read, as opaque as the server made it."""
    version = (resource.get("meta") or {}).get("versionId")
    return f'W/"{version}"' if version else None


def oldest(found: Collection[Resource]) -> Resource:
    """The one that everybody agrees on when a racing create has made several. `found` is not empty."""
    return min(found, key=lambda item: ((item.get("meta") or {}).get("lastUpdated") or "", item["id"]))

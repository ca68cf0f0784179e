"""A FHIR R4 client of what Countersign needs, written to the standard and not to one server.

Ids and ETags are opaque, pages are followed, `Bundle.total` is not relied on. Failures are sorted into the three kinds;
their words carry types, interactions, statuses and issue codes, never ids of patients or a server's free text.
https://hl7.org/fhir/R4/http.html
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlencode, urljoin, urlsplit, urlunsplit

import httpx

from shared.clinical.references import base_of
from shared.contracts.failures import Failure, PermanentError, RateLimitedError, TransientError
from shared.telemetry.calls import asked_http

Resource = dict[str, Any]
Authorization = Callable[[], Awaitable[str | None]]

MEDIA_TYPE = "application/fhir+json"
MAX_PAGES = 200  # a server whose next link never ends must not hold a step for ever
DEFAULT_RETRY_AFTER = 5.0


class NotFoundError(PermanentError):
    """404 or 410."""


class PreconditionFailedError(PermanentError):
    """412: a stale If-Match, or several matches of a conditional create."""


@dataclass(frozen=True, slots=True)
class Created:
    """What a create led to. `created` is false when a conditional create found the resource."""

    resource: Resource
    created: bool


@dataclass(frozen=True, slots=True)
class SearchResult:
    """All pages of a search. `issues` are codes of what the server said about it: `incomplete`, `not-supported`, …"""

    matches: list[Resource]
    included: list[Resource]
    issues: tuple[str, ...] = ()


class FhirClient:
    """Talks to one FHIR base. `authorization` gives the header's value; `requests` counts what was sent."""

    def __init__(self, base_url: str, http: httpx.AsyncClient, authorization: Authorization | None = None) -> None:
        self._base = base_url.rstrip("/") + "/"
        self._http = http
        self._authorization = authorization
        self._capabilities: Capabilities | None = None
        self._named_bases: frozenset[str] = frozenset()
        self.requests = 0

    async def read(self, type: str, id: str) -> Resource:
        """The resource `type/id`. Raises NotFoundError, PermanentError, TransientError."""
        return _json(await self._send("GET", f"{type}/{id}", "read", type), type)

    @property
    def bases(self) -> frozenset[str]:
        """How this server's resources are named in absolute references, as `references.base_of` gives them."""
        return frozenset({base_of(self._base), *self._named_bases})

    async def search(self, type: str, params: Mapping[str, str]) -> list[Resource]:
        """Every match and included resource, all pages of it. Entries that are no resources are left out."""
        found = await self.find(type, params)
        return [*found.matches, *found.included]

    async def find(self, type: str, params: Mapping[str, str]) -> SearchResult:
        """As `search`, with the included resources apart and what the server said about the result."""
        found = SearchResult([], [])
        issues: list[str] = []
        url: str | None = f"{type}?{urlencode(params)}"
        for _ in range(MAX_PAGES):
            bundle = _json(await self._send("GET", url, "search", type), "Bundle")
            for entry in bundle.get("entry") or []:
                if _is_resource(entry):
                    included = (entry.get("search") or {}).get("mode") == "include"
                    (found.included if included else found.matches).append(entry["resource"])
                    self._named_bases |= _base_in(entry)
                else:
                    issues += _issues_in(entry)
            url = self._next(bundle)
            if url is None:
                return SearchResult(found.matches, found.included, tuple(dict.fromkeys(issues)))
        raise PermanentError(f"search {type}: more than {MAX_PAGES} pages")

    async def create(self, resource: Resource, *, if_none_exist: Mapping[str, str] | None = None) -> Created:
        """Create; with `if_none_exist` only where nothing matches, and what matches is returned.

        Where a racing create made several, the oldest of them is returned: everybody picks the same one.
        """
        type = str(resource["resourceType"])
        headers = {"If-None-Exist": urlencode(if_none_exist)} if if_none_exist else {}
        try:
            response = await self._send("POST", type, "create", type, json=resource, headers=headers)
        except PreconditionFailedError:
            return Created(await self._existing(type, if_none_exist), created=False)
        created = response.status_code == httpx.codes.CREATED
        if response.content and (body := _json(response, type)).get("resourceType") == type:
            return Created(body, created)
        if location := response.headers.get("location"):
            return Created(await self.read(type, _id_in(location, type)), created)
        return Created(await self._existing(type, if_none_exist), created)

    async def _existing(self, type: str, query: Mapping[str, str] | None) -> Resource:
        found = await self.search(type, query) if query else []
        if not found:
            raise PermanentError(f"create {type}: the server does not show what it made")
        return oldest(found)

    async def update(self, resource: Resource, *, if_match: str | None = None) -> Resource:
        """Replace the resource, only while it is still the version `if_match` (an ETag as it was given)."""
        type = str(resource["resourceType"])
        headers = {"If-Match": if_match} if if_match else {}
        response = await self._send("PUT", f"{type}/{resource['id']}", "update", type, json=resource, headers=headers)
        return _json(response, type) if response.content else resource

    async def capabilities(self) -> "Capabilities":
        """What the server says it supports; asked once."""
        if self._capabilities is None:
            try:
                statement = _json(await self._send("GET", "metadata", "capabilities", "metadata"), "metadata")
            except PermanentError:
                statement = {}
            self._capabilities = read_capabilities(statement)
            stated = (statement.get("implementation") or {}).get("url")
            self._named_bases |= {base_of(stated)} if isinstance(stated, str) else set()
        return self._capabilities

    async def ready(self) -> bool:
        """Whether the server answers at all."""
        try:
            await self._send("GET", "metadata", "capabilities", "metadata")
        except Failure:
            return False
        return True

    async def close(self) -> None:
        await self._http.aclose()

    async def _send(
        self,
        method: str,
        url: str | None,
        interaction: str,
        type: str,
        *,
        json: Resource | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        sent = {"Accept": MEDIA_TYPE} | dict(headers or {})
        if json is not None:
            sent |= {"Content-Type": MEDIA_TYPE, "Prefer": "return=representation"}
        if self._authorization is not None and (value := await self._authorization()):
            sent["Authorization"] = value
        self.requests += 1
        with asked_http(method, type) as answer:
            try:
                response = await self._http.request(method, urljoin(self._base, url or ""), json=json, headers=sent)
            except httpx.HTTPError as error:
                raise TransientError(f"{interaction} {type}: {error.__class__.__name__}") from None
            answer["http.response.status_code"] = response.status_code
        if response.is_success:
            return response
        raise _failure(response, f"{interaction} {type}")

    def _next(self, bundle: Resource) -> str | None:
        """The next page, on our host even where a server behind a proxy names itself otherwise."""
        for link in bundle.get("link") or []:
            if link.get("relation") == "next" and link.get("url"):
                parts = urlsplit(urljoin(self._base, link["url"]))
                return str(urlunsplit(("", "", parts.path, parts.query, "")))
        return None


@dataclass(frozen=True, slots=True)
class Capabilities:
    """Search parameters by type. Empty where the server states none: then only `_id` and `patient` are relied on."""

    search: Mapping[str, frozenset[str]]

    def has(self, type: str, parameter: str) -> bool:
        return parameter in self.search.get(type, frozenset())

    def knows(self, type: str) -> bool:
        """Whether the type can be asked for. A server that states nothing is asked for everything."""
        return not self.search or type in self.search


def read_capabilities(statement: Resource) -> Capabilities:
    """The search parameters of a CapabilityStatement."""
    search: dict[str, frozenset[str]] = {}
    for rest in statement.get("rest") or []:
        for item in rest.get("resource") or []:
            names = (parameter.get("name") for parameter in item.get("searchParam") or [])
            search[str(item.get("type"))] = frozenset(str(name) for name in names)
    return Capabilities(search)


def version_of(resource: Resource) -> str | None:
    """The weak ETag of what was read, as opaque as the server made it."""
    version = resource.get("meta", {}).get("versionId")
    return f'W/"{version}"' if version else None


def oldest(found: list[Resource]) -> Resource:
    """The one that everybody agrees on when a racing create has made several."""
    return min(found, key=lambda item: (item.get("meta", {}).get("lastUpdated", ""), item["id"]))


def _is_resource(entry: object) -> bool:
    if not isinstance(entry, dict) or not isinstance(entry.get("resource"), dict):
        return False
    type = entry["resource"].get("resourceType")
    return isinstance(type, str) and type != "OperationOutcome" and isinstance(entry["resource"].get("id"), str)


def _base_in(entry: Resource) -> frozenset[str]:
    """The base URL that a fullUrl of the server's own resource begins with."""
    url, resource = entry.get("fullUrl"), entry["resource"]
    tail = f"/{resource['resourceType']}/{resource['id']}"
    if not isinstance(url, str) or "://" not in url or not url.endswith(tail):
        return frozenset()
    return frozenset({base_of(url.removesuffix(tail))})


def _issues_in(entry: object) -> list[str]:
    """Issue codes of an OperationOutcome in a Bundle; information is no issue."""
    resource = entry.get("resource") if isinstance(entry, dict) else None
    if not isinstance(resource, dict) or resource.get("resourceType") != "OperationOutcome":
        return []
    issues = [item for item in resource.get("issue") or [] if isinstance(item, dict)]
    return [str(item.get("code", "unknown")) for item in issues if item.get("severity") != "information"]


def _json(response: httpx.Response, what: str) -> Resource:
    try:
        body = response.json()
    except ValueError:
        raise PermanentError(f"{what}: the server's answer is not JSON") from None
    if not isinstance(body, dict):
        raise PermanentError(f"{what}: the server's answer is not a resource")
    return body


def _id_in(location: str, type: str) -> str:
    """`https://host/fhir/Task/123/_history/1` → `123`."""
    tokens = urlsplit(location).path.split("/")
    return tokens[tokens.index(type) + 1]


def _failure(response: httpx.Response, what: str) -> Failure:
    status = response.status_code
    reason = f"{what}: HTTP {status}{_issue_codes(response)}"
    if status == 429 or (status == 503 and "retry-after" in response.headers):
        return RateLimitedError(reason, retry_after(response.headers.get("retry-after"), datetime.now(UTC)))
    if status >= 500 or status in (408, 425):
        return TransientError(reason)
    if status in (404, 410):
        return NotFoundError(reason)
    if status == 412:
        return PreconditionFailedError(reason)
    return PermanentError(reason)


def _issue_codes(response: httpx.Response) -> str:
    """Issue codes of an OperationOutcome; its diagnostics may quote what was sent, so they stay out."""
    try:
        issues = response.json().get("issue") or []
        codes = sorted({str(issue["code"]) for issue in issues if "code" in issue})
    except (ValueError, AttributeError, TypeError):
        return ""
    return f" ({', '.join(codes)})" if codes else ""


def retry_after(value: str | None, now: datetime) -> float:
    """Seconds that a Retry-After header asks for: a number, or an HTTP date."""
    if value is None:
        return DEFAULT_RETRY_AFTER
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        return max(0.0, (parsedate_to_datetime(value) - now).total_seconds())
    except (TypeError, ValueError):
        return DEFAULT_RETRY_AFTER

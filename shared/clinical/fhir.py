"""A FHIR R4 client of what Countersign needs, written to the standard and not to one server.

Ids and ETags are opaque, pages are followed, `Bundle.total` is not relied on. Failures are sorted into the three kinds;
their words carry types, interactions, statuses and issue codes, never ids of patients or a server's free text.
https://hl7.org/fhir/R4/http.html
"""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

import httpx

from shared.clinical import fhir_json
from shared.clinical.answers import (
    BadRequestError,
    NotFoundError,
    NotTakenError,
    PreconditionFailedError,
    UnauthorizedError,
    failure,
    oldest,
    resource_in,
    retry_after,
    version_of,
    written,
)
from shared.clinical.authorization import Authorization
from shared.clinical.binaries import Content, bounded, content_of
from shared.clinical.capabilities import Capabilities, read_capabilities
from shared.clinical.paging import Pages, Place, SearchResult
from shared.clinical.references import base_of, parse_url
from shared.contracts.failures import PermanentError, TransientError
from shared.telemetry.calls import asked_http

__all__ = (
    "BadRequestError",
    "Capabilities",
    "Created",
    "FhirClient",
    "NotFoundError",
    "NotTakenError",
    "PreconditionFailedError",
    "Resource",
    "SearchResult",
    "UnauthorizedError",
    "oldest",
    "read_capabilities",
    "retry_after",
    "version_of",
)

Resource = dict[str, Any]

MEDIA_TYPE = "application/fhir+json"
# Resources a page. Servers give twenty or fewer unless they are asked, and cut what is too much for them.
PAGE = 200
# A server may answer from a search that it made a minute ago (HAPI does): https://hl7.org/fhir/R4/http.html#general
FRESH = {"Cache-Control": "no-cache"}


@dataclass(frozen=True, slots=True)
class Created:
    """What a create led to. `created` is false when a conditional create found the resource."""

    resource: Resource
    created: bool


class FhirClient:
    """Talks to one FHIR base; `requests` counts what was sent.

    `page_hosts` (`host` or `host:port`) may serve pages of a search, and are never sent the authorization.
    """

    def __init__(
        self,
        base_url: str,
        http: httpx.AsyncClient,
        authorization: Authorization | None = None,
        page_hosts: Collection[str] = (),
    ) -> None:
        base = base_url.rstrip("/") + "/"
        self._place = Place(base, frozenset(host.lower() for host in page_hosts))
        self._http = http
        self._authorization = authorization
        self._capabilities: Capabilities | None = None
        self._named_bases: frozenset[str] = frozenset()
        self._counts = True  # until the server has refused `_count`
        self.requests = 0

    async def read(self, type: str, id: str) -> Resource:
        """The resource `type/id`. Raises NotFoundError, PermanentError, TransientError."""
        what = f"read {type}"
        return resource_in(await self._send("GET", self._url(type, id), what, type), what, type)

    async def binary(self, id: str, most: int) -> Content:
        """The bytes of `Binary/id`, up to `most` of them, in whichever of FHIR's two ways the server sends them.

        Raises NotFoundError, PermanentError (more than `most` among it), TransientError.
        """
        what = "read Binary"
        headers = {"Accept": "*/*"}  # https://hl7.org/fhir/R4/binary.html#rest
        return content_of(await self._send("GET", self._url("Binary", id), what, "Binary", headers=headers, most=most))

    @property
    def base(self) -> str:
        """The base URL that this client was given, with a slash at its end."""
        return self._place.base

    @property
    def bases(self) -> frozenset[str]:
        """How this server's resources are named in absolute references, as `references.base_of` gives them."""
        return frozenset({base_of(self._place.base), *self._named_bases})

    async def search(self, type: str, params: Mapping[str, str], *, fresh: bool = False) -> list[Resource]:
        """Every match and included resource, all pages of it. Entries that are no resources are left out."""
        found = await self.find(type, params, fresh=fresh)
        return [*found.matches, *found.included]

    async def find(self, type: str, params: Mapping[str, str], *, fresh: bool = False) -> SearchResult:
        """As `search`, with the included resources apart and what the server said about the result.

        `fresh` asks the server not to answer from an earlier search: where the result decides about a write or follows
        one. An index that is behind may answer late nevertheless.
        """
        what = f"search {type}"
        if not self._counts or "_count" in params:
            return await self._pages(Pages(what), type, params, fresh)
        pages = Pages(what)
        try:
            return await self._pages(pages, type, {**params, "_count": str(PAGE)}, fresh)
        except BadRequestError:
            if len(pages.asked) > 1:
                raise
            found = await self._pages(Pages(what), type, params, fresh)
            self._counts = False  # taken without, so it was refused because of it
            return found

    async def _pages(self, pages: Pages, type: str, params: Mapping[str, str], fresh: bool) -> SearchResult:
        url: str | None = f"{self._url(type)}?{urlencode(params)}"
        while url is not None:
            response = await self._send("GET", pages.ask(url), pages.what, type, headers=FRESH if fresh else None)
            bundle = resource_in(response, pages.what, "Bundle")
            pages.add(bundle, len(response.content))
            self._named_bases |= pages.bases
            url = self._place.next_page(bundle, url, self._named_bases)
        return pages.result

    async def each_page(
        self, type: str, params: Mapping[str, str] | Sequence[tuple[str, str]]
    ) -> AsyncIterator[SearchResult]:
        """A search whose result may be larger than memory, one page of it at a time; what stands on two comes twice.

        The server is asked for pages of its own size, as it may not take `_count`.
        """
        what = f"search {type}"
        url: str | None = f"{self._url(type)}?{urlencode(params)}"
        asked = Pages(what)
        while url is not None:
            page = Pages(what)
            response = await self._send("GET", asked.ask(url), what, type, headers=FRESH)
            bundle = resource_in(response, what, "Bundle")
            page.add(bundle, len(response.content))
            self._named_bases |= page.bases
            yield page.result
            url = self._place.next_page(bundle, url, self._named_bases)

    async def create(self, resource: Resource, *, if_none_exist: Mapping[str, str] | None = None) -> Created:
        """Create; with `if_none_exist` only where nothing matches, and what matches is returned.

        Where a racing create made several, the oldest of them is returned: everybody picks the same one. What the
        server says of the resource that it made is taken as it is; a search may not show it yet.

        Raises TransientError where it is not known what was made or found: it may show later.
        """
        type = str(resource["resourceType"])
        headers = {"If-None-Exist": urlencode(if_none_exist)} if if_none_exist else {}
        try:
            response = await self._send(
                "POST", self._url(type), f"create {type}", type, resource=resource, headers=headers
            )
        except PreconditionFailedError:
            return Created(await self._existing(type, if_none_exist), created=False)
        created = response.status_code == httpx.codes.CREATED
        if (shown := written(response, type)) is not None:
            return Created(shown, created)
        named = parse_url(response.headers.get("location", ""))
        if named is None or named.type != type:
            return Created(await self._existing(type, if_none_exist), created)
        if created:  # a read may be too early for it
            return Created(resource | {"id": named.id}, created)
        return Created(await self.read(type, named.id), created)

    async def _existing(self, type: str, query: Mapping[str, str] | None) -> Resource:
        found = await self.search(type, query, fresh=True) if query else []
        if not found:
            raise TransientError(f"create {type}: the server does not show yet what it made or found")
        return oldest(found)

    async def update(self, resource: Resource, *, if_match: str | None = None) -> Resource:
        """Replace the resource, only while it is still the version `if_match` (an ETag as it was given).

        Where the server lets an update create (`Capabilities.update_creates`), it makes the resource with this id.
        """
        type = str(resource["resourceType"])
        headers = {"If-Match": if_match} if if_match else {}
        url = self._url(type, str(resource["id"]))
        response = await self._send("PUT", url, f"update {type}", type, resource=resource, headers=headers)
        return written(response, type) or resource

    async def delete(self, type: str, id: str) -> None:
        """The resource is gone, whether or not it was there."""
        try:
            await self._send("DELETE", self._url(type, id), f"delete {type}", type)
        except NotFoundError:
            return

    async def capabilities(self) -> Capabilities:
        """What the server says it supports; asked until it has said so."""
        if self._capabilities is None:
            what = "capabilities"
            try:
                response = await self._send("GET", self._place.url("metadata"), what, "metadata")
                statement = resource_in(response, what, "CapabilityStatement")
            except PermanentError:
                return read_capabilities({})
            self._capabilities = read_capabilities(statement)
            stated = (statement.get("implementation") or {}).get("url")
            self._named_bases |= {base_of(stated)} if isinstance(stated, str) else set()
        return self._capabilities

    async def ready(self) -> bool:
        """Whether the server can be used: it answers, and takes our token.

        `metadata` is open to everybody on most servers, so one Encounter is looked for that no server has: by its id,
        which costs no server much and shows nobody's data. A refusal of the search itself (400, 403) is an answer of a
        server that knows who asks.
        """
        what = "search Encounter"
        try:
            response = await self._send("GET", f"{self._url('Encounter')}?_id=none", what, "Encounter")
            resource_in(response, what, "Bundle")
        except NotFoundError:
            return await self._states_capabilities()  # or the base URL is wrong
        except PermanentError:
            return True
        except TransientError:
            return False
        return True

    async def _states_capabilities(self) -> bool:
        try:
            await self._send("GET", self._place.url("metadata"), "capabilities", "metadata")
        except (PermanentError, TransientError):
            return False
        return True

    async def close(self) -> None:
        await self._http.aclose()

    def _url(self, type: str, id: str | None = None) -> str:
        return self._place.url(quote(type) if id is None else f"{quote(type)}/{quote(id, safe='')}")

    async def _send(
        self,
        method: str,
        url: str,
        what: str,
        type: str,
        *,
        resource: Resource | None = None,
        headers: Mapping[str, str] | None = None,
        most: int | None = None,
    ) -> httpx.Response:
        """One interaction; with a token that was refused, once more with another. `most`: bytes of the answer."""
        sent = {"Accept": MEDIA_TYPE} | dict(headers or {})
        content = None
        if resource is not None:
            content = fhir_json.encode(resource)
            sent |= {"Content-Type": MEDIA_TYPE, "Prefer": "return=representation"}
        authorization = self._authorization if self._place.holds(url) else None
        value = await authorization.value() if authorization is not None else None
        response = await self._request(method, url, what, type, content, sent, value, most)
        if response.status_code == httpx.codes.UNAUTHORIZED and authorization is not None and value is not None:
            await authorization.renew(value)
            renewed = await authorization.value()
            if renewed != value:
                response = await self._request(method, url, what, type, content, sent, renewed, most)
        if response.is_success:
            return response
        raise failure(response, what)

    async def _request(
        self,
        method: str,
        url: str,
        what: str,
        type: str,
        content: bytes | None,
        headers: Mapping[str, str],
        authorization: str | None,
        most: int | None,
    ) -> httpx.Response:
        sent = dict(headers) | ({"Authorization": authorization} if authorization is not None else {})
        self.requests += 1
        with asked_http(method, type) as answer:
            try:
                response = await bounded(self._http, method, url, content, sent, what, most)
            except httpx.PoolTimeout:
                raise TransientError(f"{what}: every connection to the EHR is in use") from None
            except httpx.HTTPError as error:
                raise TransientError(f"{what}: {error.__class__.__name__}") from None
            except httpx.InvalidURL:
                raise PermanentError(f"{what}: a URL that is none") from None
            answer["http.response.status_code"] = response.status_code
        return response

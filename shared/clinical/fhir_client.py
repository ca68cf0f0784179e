"""FHIR R4 client for the interactions that Countersign uses, written to the standard and not to one server.

Ids and ETags are opaque, pages are followed, `Bundle.total` is not relied on. Errors are one of the three kinds; their
messages carry types, interactions, statuses and issue codes, never patient ids or a server's free text.
https://hl7.org/fhir/R4/http.html
"""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import quote, urlencode

import httpx

from shared.clinical.authorization import Authorization
from shared.clinical.binaries import BinaryContent, binary_content
from shared.clinical.capabilities import Capabilities, parse_capabilities
from shared.clinical.elements import Resource
from shared.clinical.paging import SearchPages, SearchResult, ServerAddress
from shared.clinical.references import normalized_base, parse_url
from shared.clinical.responses import (
    BadRequestError,
    NotFoundError,
    PreconditionFailedError,
    UnauthorizedError,
    UnprocessableError,
    etag_of,
    oldest,
    parse_resource,
    returned_resource,
)
from shared.clinical.transport import FhirTransport
from shared.contracts.errors import PermanentError, TransientError

__all__ = (
    "BadRequestError",
    "Capabilities",
    "CreateResult",
    "FhirClient",
    "NotFoundError",
    "PreconditionFailedError",
    "Resource",
    "SearchResult",
    "UnauthorizedError",
    "UnprocessableError",
    "etag_of",
    "oldest",
    "parse_capabilities",
)

# Resources per page. Servers return twenty or fewer by default, and reduce larger values.
PAGE_SIZE = 200
# A server may answer from a search that it made a minute ago (HAPI does): https://hl7.org/fhir/R4/http.html#general
NO_CACHE = {"Cache-Control": "no-cache"}


@dataclass(frozen=True, slots=True)
class CreateResult:
    """The resource of a create. `created` is false when a conditional create found an existing resource."""

    resource: Resource
    created: bool


class FhirClient:
    """Send FHIR interactions to one base URL.

    `page_hosts` (`host` or `host:port`) may serve pages of a search. They never receive the authorization.
    """

    def __init__(
        self,
        base_url: str,
        http: httpx.AsyncClient,
        authorization: Authorization | None = None,
        page_hosts: Collection[str] = (),
    ) -> None:
        base = base_url.rstrip("/") + "/"
        self._address = ServerAddress(base, frozenset(host.lower() for host in page_hosts))
        self._transport = FhirTransport(self._address, http, authorization)
        self._capabilities: Capabilities | None = None
        self._named_bases: frozenset[str] = frozenset()
        self._counts = True  # until the server has refused `_count`

    @property
    def requests(self) -> int:
        """Return the number of requests that were sent."""
        return self._transport.requests

    async def read(self, type: str, id: str) -> Resource:
        """Return the resource `type/id`.

        Raises NotFoundError, PermanentError, TransientError.
        """
        what = f"read {type}"
        return parse_resource(await self._transport.send("GET", self._url(type, id), what, type), what, type)

    async def operation(self, type: str, id: str, name: str, params: Mapping[str, str]) -> Resource:
        """Return the Bundle that the operation `$name` of a resource answers, by GET.

        Raises NotFoundError, PermanentError, TransientError.
        """
        what = f"${name} of {type}"
        url = f"{self._url(type, id)}/${name}" + (f"?{urlencode(params)}" if params else "")
        return parse_resource(await self._transport.send("GET", url, what, type), what, "Bundle")

    async def binary(self, id: str, most: int) -> BinaryContent:
        """Return the content of `Binary/id`, at most `most` bytes, in either form that FHIR allows.

        Raises NotFoundError, PermanentError (also for more than `most` bytes), TransientError.
        """
        what = "read Binary"
        headers = {"Accept": "*/*"}  # https://hl7.org/fhir/R4/binary.html#rest
        return binary_content(
            await self._transport.send("GET", self._url("Binary", id), what, "Binary", headers=headers, max_bytes=most)
        )

    @property
    def base(self) -> str:
        """Return the base URL of this client, with a slash at its end."""
        return self._address.base

    @property
    def bases(self) -> frozenset[str]:
        """Return the bases of absolute references to this server, in the form of `references.normalized_base`."""
        return frozenset({normalized_base(self._address.base), *self._named_bases})

    async def search(self, type: str, params: Mapping[str, str], *, fresh: bool = False) -> list[Resource]:
        """Return every match and included resource of all pages. Entries that are not resources are left out."""
        found = await self.search_with_issues(type, params, fresh=fresh)
        return [*found.matches, *found.included]

    async def search_with_issues(self, type: str, params: Mapping[str, str], *, fresh: bool = False) -> SearchResult:
        """Search all pages and return matches, included resources and the server's issues apart.

        `fresh` asks the server not to answer from a cached search, for a result that decides about a write or follows
        one. A search index that lags behind may still answer late.
        """
        what = f"search {type}"
        if not self._counts or "_count" in params:
            return await self._pages(SearchPages(what), type, params, fresh)
        pages = SearchPages(what)
        try:
            return await self._pages(pages, type, {**params, "_count": str(PAGE_SIZE)}, fresh)
        except BadRequestError:
            if len(pages.requested_urls) > 1:
                raise
            found = await self._pages(SearchPages(what), type, params, fresh)
            self._counts = False  # accepted without `_count`, so that was the reason
            return found

    async def _pages(self, pages: SearchPages, type: str, params: Mapping[str, str], fresh: bool) -> SearchResult:
        url: str | None = f"{self._url(type)}?{urlencode(params)}"
        while url is not None:
            response = await self._transport.send(
                "GET", pages.track_request(url), pages.interaction, type, headers=NO_CACHE if fresh else None
            )
            bundle = parse_resource(response, pages.interaction, "Bundle")
            pages.add(bundle, len(response.content))
            self._named_bases |= pages.bases
            url = self._address.next_page(bundle, url, self._named_bases)
        return pages.result

    async def each_page(
        self, type: str, params: Mapping[str, str] | Sequence[tuple[str, str]]
    ) -> AsyncIterator[SearchResult]:
        """Yield a search result that may not fit in memory page by page; a match may come twice.

        No `_count` is sent: servers may reject it.
        """
        what = f"search {type}"
        url: str | None = f"{self._url(type)}?{urlencode(params)}"
        asked = SearchPages(what)
        while url is not None:
            page = SearchPages(what)
            response = await self._transport.send("GET", asked.track_request(url), what, type, headers=NO_CACHE)
            bundle = parse_resource(response, what, "Bundle")
            page.add(bundle, len(response.content))
            self._named_bases |= page.bases
            yield page.result
            url = self._address.next_page(bundle, url, self._named_bases)

    async def create(self, resource: Resource, *, if_none_exist: Mapping[str, str] | None = None) -> CreateResult:
        """Create a resource; with `if_none_exist`, return the existing match instead.

        Where a racing create made several, the oldest is returned, so that all callers pick the same one. The
        response's resource is used as it is, as a search may not show it yet. Raises TransientError where it is unknown
        whether the resource was created or found.
        """
        type = str(resource["resourceType"])
        headers = {"If-None-Exist": urlencode(if_none_exist)} if if_none_exist else {}
        try:
            response = await self._transport.send(
                "POST", self._url(type), f"create {type}", type, resource=resource, headers=headers
            )
        except PreconditionFailedError:
            return CreateResult(await self._find_existing(type, if_none_exist), created=False)
        created = response.status_code == httpx.codes.CREATED
        if (shown := returned_resource(response, type)) is not None:
            return CreateResult(shown, created)
        named = parse_url(response.headers.get("location", ""))
        if named is None or named.type != type:
            return CreateResult(await self._find_existing(type, if_none_exist), created)
        if created:  # a replica may not have it yet
            return CreateResult(resource | {"id": named.id}, created)
        return CreateResult(await self.read(type, named.id), created)

    async def _find_existing(self, type: str, query: Mapping[str, str] | None) -> Resource:
        found = await self.search(type, query, fresh=True) if query else []
        if not found:
            raise TransientError(f"create {type}: the server does not show the created or matched resource yet")
        return oldest(found)

    async def update(self, resource: Resource, *, if_match: str | None = None) -> Resource:
        """Replace the resource if its version is still `if_match` (an ETag as the server gave it).

        Where a PUT may create (`Capabilities.update_creates`), the resource is created with this id.
        """
        type = str(resource["resourceType"])
        headers = {"If-Match": if_match} if if_match else {}
        url = self._url(type, str(resource["id"]))
        response = await self._transport.send("PUT", url, f"update {type}", type, resource=resource, headers=headers)
        return returned_resource(response, type) or resource

    async def delete(self, type: str, id: str) -> None:
        """Delete the resource; succeed also when it does not exist."""
        try:
            await self._transport.send("DELETE", self._url(type, id), f"delete {type}", type)
        except NotFoundError:
            return

    async def capabilities(self) -> Capabilities:
        """Return what the server supports. The request is repeated until one has succeeded."""
        if self._capabilities is None:
            what = "capabilities"
            try:
                response = await self._transport.send("GET", self._address.url("metadata"), what, "metadata")
                statement = parse_resource(response, what, "CapabilityStatement")
            except PermanentError:
                return parse_capabilities({})
            self._capabilities = parse_capabilities(statement)
            stated = (statement.get("implementation") or {}).get("url")
            self._named_bases |= {normalized_base(stated)} if isinstance(stated, str) else set()
        return self._capabilities

    async def ready(self) -> bool:
        """Return whether the server answers and accepts our token.

        `metadata` needs no token on most servers, so an Encounter that cannot exist is searched by its id, which is
        cheap and shows no data. A refusal of the search itself (400, 403) counts as an answer.
        """
        what = "search Encounter"
        try:
            response = await self._transport.send("GET", f"{self._url('Encounter')}?_id=none", what, "Encounter")
            parse_resource(response, what, "Bundle")
        except NotFoundError:
            return await self._states_capabilities()  # or the base URL is wrong
        except PermanentError:
            return True
        except TransientError:
            return False
        return True

    async def _states_capabilities(self) -> bool:
        try:
            await self._transport.send("GET", self._address.url("metadata"), "capabilities", "metadata")
        except (PermanentError, TransientError):
            return False
        return True

    async def close(self) -> None:
        await self._transport.close()

    def _url(self, type: str, id: str | None = None) -> str:
        return self._address.url(quote(type) if id is None else f"{quote(type)}/{quote(id, safe='')}")

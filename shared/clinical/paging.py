"""Collect the pages of a FHIR search: the next page's URL, the result, and the limits. Pure.

https://hl7.org/fhir/R4/http.html#paging
"""

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import SplitResult, urljoin, urlsplit, urlunsplit

from shared.clinical.elements import Resource
from shared.clinical.references import normalized_base
from shared.contracts.errors import PermanentError

# Bounds against endless pages, far beyond the size of a stay. The number of pages is not bounded, as their size is
# the server's choice.
MAX_RESOURCES = 100_000
MAX_BYTES = 200_000_000
# Consecutive pages without new entries; a server may filter a page until it is empty.
MAX_PAGES_WITHOUT_NEW = 10


@dataclass(frozen=True, slots=True)
class SearchResult:
    """Collect all pages of a search.

    `issues` are codes of the server's OperationOutcomes: `incomplete`, `not-supported`, …
    """

    matches: list[Resource]
    included: list[Resource]
    issues: tuple[str, ...] = ()


@dataclass(slots=True)
class SearchPages:
    """Collect the pages of one search.

    A resource on two pages (the result shifts while it is read) counts once.
    """

    interaction: str
    matches: dict[tuple[str, str], Resource] = field(default_factory=dict)
    included: dict[tuple[str, str], Resource] = field(default_factory=dict)
    issues: list[str] = field(default_factory=list)
    bases: set[str] = field(default_factory=set)
    requested_urls: set[str] = field(default_factory=set)
    size: int = 0
    pages_without_new: int = 0

    def add(self, bundle: Resource, size: int) -> None:
        """Add a page of `size` bytes.

        Raises PermanentError where the pages do not end.
        """
        before = len(self.matches) + len(self.included)
        entries = bundle.get("entry")
        for entry in entries if isinstance(entries, list) else ():
            self._add(entry)
        count = len(self.matches) + len(self.included)
        self.size += size
        self.pages_without_new = 0 if count > before else self.pages_without_new + 1
        if count > MAX_RESOURCES or self.size > MAX_BYTES:
            raise PermanentError(f"{self.interaction}: more than {MAX_RESOURCES} resources or {MAX_BYTES} bytes")
        if self.pages_without_new > MAX_PAGES_WITHOUT_NEW:
            raise PermanentError(
                f"{self.interaction}: {MAX_PAGES_WITHOUT_NEW} pages without new entries, and another follows"
            )

    def _add(self, entry: Any) -> None:
        if not _is_resource(entry):
            self.issues += _issues_in(entry)
            return
        resource = entry["resource"]
        search = entry.get("search")
        included = isinstance(search, dict) and search.get("mode") == "include"
        found = self.included if included else self.matches
        found.setdefault((resource["resourceType"], resource["id"]), resource)
        self.bases |= _base_of_entry(entry)

    def track_request(self, url: str) -> str:
        """Return `url` and remember that it was requested.

        Raises PermanentError where this search has requested it before.
        """
        if url in self.requested_urls:
            raise PermanentError(f"{self.interaction}: the pages form a cycle")
        self.requested_urls.add(url)
        return url

    @property
    def result(self) -> SearchResult:
        issues = tuple(dict.fromkeys(self.issues))
        return SearchResult(list(self.matches.values()), list(self.included.values()), issues)


@dataclass(frozen=True, slots=True)
class ServerAddress:
    """A server's base URL, ending with `/`, and the hosts that may serve pages of its searches."""

    base: str
    page_hosts: frozenset[str] = frozenset()  # `host` or `host:port`

    def url(self, path: str) -> str:
        """Return the URL of `path` below the base; it is never on another host, whatever the path is."""
        return self.base + path.lstrip("/")

    def is_same_origin(self, url: str) -> bool:
        """Return whether the URL has the scheme and host of the base: only then our token is sent."""
        return _origin(urlsplit(url)) == _origin(urlsplit(self.base))

    def next_page(self, bundle: Resource, asked: str, named: Collection[str]) -> str | None:
        """Return the URL of the page after `bundle`, which came from `asked`; None after the last one.

        A server behind a proxy may name itself by another host: `named` are the normalized bases of its fullUrls, and
        their pages are requested from our host. Raises PermanentError for an invalid link.
        """
        links = bundle.get("link")
        for link in links if isinstance(links, list) else ():
            if isinstance(link, dict) and link.get("relation") == "next":
                try:
                    return self._resolve_link(str(link.get("url") or ""), asked, named)
                except ValueError:
                    raise PermanentError("the link to the next page cannot be followed") from None
        return None

    def _resolve_link(self, link: str, asked: str, named: Collection[str]) -> str:
        if not link:
            raise ValueError("no URL")
        parts = urlsplit(urljoin(asked if link.startswith("?") else self.base, link))
        if parts.scheme not in ("http", "https"):
            raise ValueError("not HTTP")
        if self._is_page_host(parts):
            return str(urlunsplit(parts._replace(fragment="")))
        if self.is_same_origin(str(urlunsplit(parts))):
            return self._on_base_host(parts.path, parts.query)
        bare = normalized_base(str(urlunsplit(parts._replace(query="", fragment=""))))
        for base in sorted(named, key=len, reverse=True):
            if bare == base or bare.startswith(f"{base}/"):
                path = urlsplit(self.base).path.rstrip("/") + bare.removeprefix(base)
                return self._on_base_host(path, parts.query)
        return self._on_base_host(parts.path, parts.query)

    def _on_base_host(self, path: str, query: str) -> str:
        own = urlsplit(self.base)
        return str(urlunsplit((own.scheme, own.netloc, "/" + path.lstrip("/"), query, "")))

    def _is_page_host(self, parts: SplitResult) -> bool:
        """Return whether a page host is named, and encrypted unless the base is not either."""
        host, own = (parts.hostname or "").lower(), urlsplit(self.base).scheme
        named = {host, f"{host}:{parts.port}"} & self.page_hosts
        return bool(named) and (parts.scheme == "https" or own == "http")


def _origin(parts: SplitResult) -> tuple[str, str, int]:
    return parts.scheme, (parts.hostname or "").lower(), parts.port or (443 if parts.scheme == "https" else 80)


def _is_resource(entry: Any) -> bool:
    if not isinstance(entry, dict) or not isinstance(entry.get("resource"), dict):
        return False
    type = entry["resource"].get("resourceType")
    return isinstance(type, str) and type != "OperationOutcome" and isinstance(entry["resource"].get("id"), str)


def _base_of_entry(entry: Resource) -> frozenset[str]:
    """Return the base URL of the fullUrl of the server's own resource."""
    url, resource = entry.get("fullUrl"), entry["resource"]
    tail = f"/{resource['resourceType']}/{resource['id']}"
    if not isinstance(url, str) or "://" not in url or not url.endswith(tail):
        return frozenset()
    return frozenset({normalized_base(url.removesuffix(tail))})


def _issues_in(entry: Any) -> list[str]:
    """Return the issue codes of an OperationOutcome in a Bundle, without severity `information`."""
    resource = entry.get("resource") if isinstance(entry, dict) else None
    if not isinstance(resource, dict) or resource.get("resourceType") != "OperationOutcome":
        return []
    issues = [item for item in resource.get("issue") or [] if isinstance(item, dict)]
    return [str(item.get("code", "unknown")) for item in issues if item.get("severity") != "information"]

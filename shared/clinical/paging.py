"""The pages of a search: where the next one is, what they add up to, and when there have been enough. Pure.

https://hl7.org/fhir/R4/http.html#paging
"""

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import SplitResult, urljoin, urlsplit, urlunsplit

from shared.clinical.references import base_of
from shared.contracts.failures import PermanentError

Resource = dict[str, Any]

# Bounds against a server whose pages never end, far beyond what a stay holds. Neither is a number of pages: those are
# as large as the server likes.
MAX_RESOURCES = 100_000
MAX_BYTES = 200_000_000
MAX_FRUITLESS = 10  # pages one after the other that bring nothing new; a server may filter a page until it is empty


@dataclass(frozen=True, slots=True)
class SearchResult:
    """All pages of a search. `issues` are codes of what the server said about it: `incomplete`, `not-supported`, …"""

    matches: list[Resource]
    included: list[Resource]
    issues: tuple[str, ...] = ()


@dataclass(slots=True)
class Pages:
    """Adds up the pages of one search. What stands on two of them (a page shifts while it is read) counts once."""

    what: str
    matches: dict[tuple[str, str], Resource] = field(default_factory=dict)
    included: dict[tuple[str, str], Resource] = field(default_factory=dict)
    issues: list[str] = field(default_factory=list)
    bases: set[str] = field(default_factory=set)
    asked: set[str] = field(default_factory=set)
    size: int = 0
    fruitless: int = 0

    def add(self, bundle: Resource, size: int) -> None:
        """Take in a page of `size` bytes.

        Raises PermanentError where the pages have no end.
        """
        before = len(self.matches) + len(self.included)
        entries = bundle.get("entry")
        for entry in entries if isinstance(entries, list) else ():
            self._add(entry)
        count = len(self.matches) + len(self.included)
        self.size += size
        self.fruitless = 0 if count > before else self.fruitless + 1
        if count > MAX_RESOURCES or self.size > MAX_BYTES:
            raise PermanentError(f"{self.what}: more than {MAX_RESOURCES} resources or {MAX_BYTES} bytes")
        if self.fruitless > MAX_FRUITLESS:
            raise PermanentError(f"{self.what}: {MAX_FRUITLESS} pages with nothing new, and still a next one")

    def _add(self, entry: Any) -> None:
        if not _is_resource(entry):
            self.issues += _issues_in(entry)
            return
        resource = entry["resource"]
        search = entry.get("search")
        included = isinstance(search, dict) and search.get("mode") == "include"
        found = self.included if included else self.matches
        found.setdefault((resource["resourceType"], resource["id"]), resource)
        self.bases |= _base_in(entry)

    def ask(self, url: str) -> str:
        """`url`, unless it was asked before in this search.

        Raises PermanentError where it was.
        """
        if url in self.asked:
            raise PermanentError(f"{self.what}: the pages go round in a circle")
        self.asked.add(url)
        return url

    @property
    def result(self) -> SearchResult:
        issues = tuple(dict.fromkeys(self.issues))
        return SearchResult(list(self.matches.values()), list(self.included.values()), issues)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a server is: its base URL, with a `/` at the end, and the hosts that may serve pages of its searches."""

    base: str
    page_hosts: frozenset[str] = frozenset()  # `host` or `host:port`

    def url(self, path: str) -> str:
        """The URL of `path` below the base; never one of another host, whatever the path is."""
        return self.base + path.lstrip("/")

    def holds(self, url: str) -> bool:
        """Whether the URL is of the base's own scheme and host: only there our token may go."""
        return _origin(urlsplit(url)) == _origin(urlsplit(self.base))

    def next_page(self, bundle: Resource, asked: str, named: Collection[str]) -> str | None:
        """The URL of the page after `bundle`, which came from `asked`; None for the last one.

        A server behind a proxy names itself by another host (`named`: bases as `base_of` gives them, of its fullUrls):
        its pages are asked of ours. Raises PermanentError for a link that is none.
        """
        links = bundle.get("link")
        for link in links if isinstance(links, list) else ():
            if isinstance(link, dict) and link.get("relation") == "next":
                try:
                    return self._followed(str(link.get("url") or ""), asked, named)
                except ValueError:
                    raise PermanentError("the link to the next page cannot be followed") from None
        return None

    def _followed(self, link: str, asked: str, named: Collection[str]) -> str:
        if not link:
            raise ValueError("no URL")
        parts = urlsplit(urljoin(asked if link.startswith("?") else self.base, link))
        if parts.scheme not in ("http", "https"):
            raise ValueError("not HTTP")
        if self._allowed(parts):
            return str(urlunsplit(parts._replace(fragment="")))
        if self.holds(str(urlunsplit(parts))):
            return self._on_our_host(parts.path, parts.query)
        bare = base_of(str(urlunsplit(parts._replace(query="", fragment=""))))
        for base in sorted(named, key=len, reverse=True):
            if bare == base or bare.startswith(f"{base}/"):
                path = urlsplit(self.base).path.rstrip("/") + bare.removeprefix(base)
                return self._on_our_host(path, parts.query)
        return self._on_our_host(parts.path, parts.query)

    def _on_our_host(self, path: str, query: str) -> str:
        own = urlsplit(self.base)
        return str(urlunsplit((own.scheme, own.netloc, "/" + path.lstrip("/"), query, "")))

    def _allowed(self, parts: SplitResult) -> bool:
        """A named host; without encryption only where the base has none either."""
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


def _base_in(entry: Resource) -> frozenset[str]:
    """The base URL that a fullUrl of the server's own resource begins with."""
    url, resource = entry.get("fullUrl"), entry["resource"]
    tail = f"/{resource['resourceType']}/{resource['id']}"
    if not isinstance(url, str) or "://" not in url or not url.endswith(tail):
        return frozenset()
    return frozenset({base_of(url.removesuffix(tail))})


def _issues_in(entry: Any) -> list[str]:
    """Issue codes of an OperationOutcome in a Bundle; information is no issue."""
    resource = entry.get("resource") if isinstance(entry, dict) else None
    if not isinstance(resource, dict) or resource.get("resourceType") != "OperationOutcome":
        return []
    issues = [item for item in resource.get("issue") or [] if isinstance(item, dict)]
    return [str(item.get("code", "unknown")) for item in issues if item.get("severity") != "information"]

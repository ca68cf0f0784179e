"""HTTP requests to declared hosts only, protected against server-side request forgery.

The owner of a declared site can redirect it, and can change its DNS answers between two queries. So a redirect is
followed only where the source allows it, and the connection is made to the address that was checked
(`shared/outbound.py`).
https://cheatsheetseries.owasp.org/cheatsheets/Server_Side_Request_Forgery_Prevention_Cheat_Sheet.html
"""

import ipaddress
from dataclasses import dataclass

import httpx

from shared.knowledge.knowledge_file import GuidelineSource
from shared.outbound import DEFAULT_PORTS, NotAllowedError, is_address, port_of, unmapped

MAX_REDIRECTS = 5


@dataclass(frozen=True, slots=True)
class AllowedAddresses:
    """Addresses that requests of a source may reach.

    `places` are (host, port) pairs; `internal` hosts may be in a private network.
    """

    places: frozenset[tuple[str, int]]
    internal: frozenset[str]

    def check(self, url: httpx.URL, before: httpx.URL | None = None) -> None:
        """Check a URL.

        Raises NotAllowedError for an address that the source does not declare.
        """
        if url.scheme not in DEFAULT_PORTS:
            raise NotAllowedError(f"it redirects to another URL scheme ({url.scheme})")
        if before is not None and before.scheme == "https" and url.scheme == "http":
            raise NotAllowedError("it redirects from https to http")
        if (url.host.lower(), port_of(url)) not in self.places:
            raise NotAllowedError(
                f"it redirects to {_without_query(url)}: declare that under redirect_hosts, or the new URL under urls"
            )

    def check_address(self, host: str, found: str) -> None:
        """Check a resolved address.

        Raises NotAllowedError for a network that the host is not declared to be in.
        """
        address = unmapped(ipaddress.ip_address(found.partition("%")[0]))
        if is_address(host, address):
            return  # declared, or redirected to, as an address: `check` has checked it
        if address.is_global and not address.is_multicast:
            return
        ours = address.is_loopback or address.is_link_local or address.is_unspecified or address.is_multicast
        if host.lower() not in self.internal or (ours and host.lower() != "localhost"):
            raise NotAllowedError(
                f"the name {host} means an address of a private network: declare it under internal_hosts if it may"
            )


def allowed_addresses(source: GuidelineSource) -> AllowedAddresses:
    places: set[tuple[str, int]] = set()
    for declared in source.urls:
        url = httpx.URL(str(declared))
        places.add((url.host.lower(), port_of(url)))
        if port_of(url) == DEFAULT_PORTS["http"]:
            places.add((url.host.lower(), DEFAULT_PORTS["https"]))
    for name in (*source.redirect_hosts, *source.internal_hosts):
        host, port = _split_host_port(name)
        places |= {(host, port)} if port else {(host, port) for port in DEFAULT_PORTS.values()}
    return AllowedAddresses(frozenset(places), frozenset(_split_host_port(name)[0] for name in source.internal_hosts))


def _split_host_port(name: str) -> tuple[str, int]:
    """Split `a.example:8443` into host and port; port 0 where none is given."""
    url = httpx.URL(f"//{name}")
    return url.host.lower(), url.port or 0


def _without_query(url: httpx.URL) -> str:
    return url.host if url.port is None else f"{url.host}:{url.port}"

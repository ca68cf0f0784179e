"""HTTP requests to declared hosts only, protected against server-side request forgery.

The owner of a declared site can redirect it, and can change its DNS answers between two queries. So a redirect is
followed only where the source allows it, and the connection is made to the address that was checked.
https://cheatsheetseries.owasp.org/cheatsheets/Server_Side_Request_Forgery_Prevention_Cheat_Sheet.html
"""

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from urllib.request import getproxies, proxy_bypass

import httpx

from shared.knowledge.knowledge_file import GuidelineSource

MAX_REDIRECTS = 5
NO_KEEPALIVE = httpx.Limits(max_keepalive_connections=0)
DEFAULT_PORTS = {"http": 80, "https": 443}
Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Resolve = Callable[[str, int], Awaitable[Sequence[str]]]


class NotAllowedError(Exception):
    """The request was not sent. The message says why, for the maintainer of the source."""


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
        address = _unmapped(ipaddress.ip_address(found.partition("%")[0]))
        if _is_address(host, address):
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


class CheckedTransport(httpx.AsyncBaseTransport):
    """Check the resolved address and connect to exactly that one. `resolve` queries DNS.

    Behind a proxy (`HTTPS_PROXY` and the like) the proxy resolves names and decides what may be reached.
    """

    def __init__(
        self, allowed: AllowedAddresses, inner: httpx.AsyncBaseTransport | None = None, resolve: Resolve | None = None
    ):
        self._allowed = allowed
        # Connections are pooled by address: another host name on the same one would not be verified.
        self._inner = inner or httpx.AsyncHTTPTransport(limits=NO_KEEPALIVE)
        self._resolve = resolve or _resolve_host
        self._proxies = {
            scheme: httpx.AsyncHTTPTransport(proxy=proxy)
            for scheme, proxy in getproxies().items()
            if scheme in DEFAULT_PORTS and proxy.startswith("http")
        }

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        host = request.url.host
        proxy = self._proxies.get(request.url.scheme)
        if proxy is not None and not proxy_bypass(host):
            return await proxy.handle_async_request(request)
        try:
            found = await self._resolve(host, port_of(request.url))
        except OSError:
            raise httpx.ConnectError("its name is not known", request=request) from None
        for address in found:
            self._allowed.check_address(host, address)
        request.extensions = request.extensions | {"sni_hostname": host}  # TLS still verifies the name
        return await self._first(request, found)

    async def _first(self, request: httpx.Request, found: Sequence[str]) -> httpx.Response:
        """Return the response from the first address that accepts a connection."""
        url = request.url
        for number, address in enumerate(found, 1):
            request.url = url.copy_with(host=address)
            try:
                return await self._inner.handle_async_request(request)
            except (httpx.ConnectError, httpx.ConnectTimeout):
                if number == len(found):
                    raise
        raise httpx.ConnectError("its name has no address", request=request)

    async def aclose(self) -> None:
        for transport in (self._inner, *self._proxies.values()):
            await transport.aclose()


async def _resolve_host(host: str, port: int) -> list[str]:
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(item[4][0]) for item in found))


def port_of(url: httpx.URL) -> int:
    return url.port or DEFAULT_PORTS.get(url.scheme, 0)


def _split_host_port(name: str) -> tuple[str, int]:
    """Split `a.example:8443` into host and port; port 0 where none is given."""
    url = httpx.URL(f"//{name}")
    return url.host.lower(), url.port or 0


def _without_query(url: httpx.URL) -> str:
    return url.host if url.port is None else f"{url.host}:{url.port}"


def _is_address(host: str, address: Address) -> bool:
    try:
        return _unmapped(ipaddress.ip_address(host)) == address
    except ValueError:
        return False


def _unmapped(address: Address) -> Address:
    """Return the IPv4 address in an IPv6 one: `::ffff:10.0.0.1`, NAT64, 6to4."""
    if isinstance(address, ipaddress.IPv6Address):
        if address in ipaddress.ip_network("64:ff9b::/96"):
            return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        return address.ipv4_mapped or address.sixtofour or address
    return address

"""HTTP requests to checked addresses only, protected against server-side request forgery.

The owner of a host name can change its DNS answers between two queries. So the connection is made to the address that
was checked.
https://cheatsheetseries.owasp.org/cheatsheets/Server_Side_Request_Forgery_Prevention_Cheat_Sheet.html
"""

import asyncio
import ipaddress
import re
import socket
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol
from urllib.request import getproxies, proxy_bypass

import httpx

from shared.http import default_tls

NO_KEEPALIVE = httpx.Limits(max_keepalive_connections=0)
# Domains that no public name is in: RFC 6761, RFC 6762, RFC 8375, and ICANN's reservation of `internal`.
LOCAL_DOMAINS = ("localhost", "local", "internal", "home.arpa")
DEFAULT_PORTS = {"http": 80, "https": 443}
Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Resolve = Callable[[str, int], Awaitable[Sequence[str]]]


class NotAllowedError(Exception):
    """The request was not sent. The message says why, for the person who declared its address."""


class AddressPolicy(Protocol):
    def check_address(self, host: str, found: str) -> None:
        """Check an address that `host` was resolved to. Raises NotAllowedError."""
        ...


class CheckedTransport(httpx.AsyncBaseTransport):
    """Check the resolved address and connect to exactly that one. `resolve` queries DNS.

    Behind a proxy (`HTTPS_PROXY` and the like) the proxy resolves names and decides what may be reached.
    """

    def __init__(
        self, allowed: AddressPolicy, inner: httpx.AsyncBaseTransport | None = None, resolve: Resolve | None = None
    ):
        self._allowed = allowed
        # Connections are pooled by address: another host name on the same one would not be verified.
        self._inner = inner or httpx.AsyncHTTPTransport(verify=default_tls(), limits=NO_KEEPALIVE)
        self._resolve = resolve or _resolve_host
        self._proxies = {
            scheme: httpx.AsyncHTTPTransport(verify=default_tls(), proxy=proxy)
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


def is_address(host: str, address: Address) -> bool:
    """Return whether the host is this address, written as a literal."""
    try:
        return unmapped(ipaddress.ip_address(host)) == address
    except ValueError:
        return False


def unmapped(address: Address) -> Address:
    """Return the IPv4 address in an IPv6 one: `::ffff:10.0.0.1`, NAT64, 6to4."""
    if isinstance(address, ipaddress.IPv6Address):
        if address in ipaddress.ip_network("64:ff9b::/96"):
            return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        return address.ipv4_mapped or address.sixtofour or address
    return address


def is_remote(host: str) -> bool:
    """Return whether `host` may be outside of the hospital: no loopback or private address, and no local name.

    Names are not resolved: the answer must not depend on a DNS server.
    """
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        name = host.lower().rstrip(".")
    else:
        return not (getattr(address, "ipv4_mapped", None) or address).is_private
    if re.fullmatch(r"\d+|0x[0-9a-f]+", name):
        return True  # an IPv4 address as one number, which resolvers accept
    return "." in name and not name.endswith((".svc", *(f".{domain}" for domain in LOCAL_DOMAINS)))

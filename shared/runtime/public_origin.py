"""The public origin of a service, and the cookies and headers that follow from it.

A proxy terminates TLS, so the request that arrives does not show how the browser sent it.
https://www.rfc-editor.org/rfc/rfc6454, https://httpwg.org/http-extensions/draft-ietf-httpbis-rfc6265bis.html
"""

from dataclasses import dataclass
from urllib.parse import urlsplit

from fastapi import Request
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

RESOURCE_METADATA_PATH = "/.well-known/oauth-protected-resource"  # RFC 9728
LOOPBACK_HOSTS = ("localhost", "127.0.0.1", "::1")
DEFAULT_PORTS = {"http": 80, "https": 443}
HSTS_VALUE = "max-age=31536000"
# For responses that are no pages: rendered as one, they could load, submit and frame nothing.
DEFAULT_CSP = "default-src 'none'; object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"


def origin_of(url: str) -> str:
    """Return the origin of a URL: `https://review.hospital.example:443/inbox` → `https://review.hospital.example`.

    Returns an empty string for what is not a URL. Raises ValueError for an invalid port.
    """
    parts = urlsplit(url.strip())
    if parts.scheme not in DEFAULT_PORTS or not parts.hostname:
        return ""
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    port = "" if parts.port in (None, DEFAULT_PORTS[parts.scheme]) else f":{parts.port}"
    return f"{parts.scheme}://{host}{port}"


@dataclass(frozen=True, slots=True)
class PublicOrigin:
    """The service's public `url`, and further `origins` at which its pages are reached."""

    url: str = ""
    origins: tuple[str, ...] = ()

    @property
    def secure(self) -> bool:
        return origin_of(self.url).startswith("https:")

    def cookie_name(self, name: str) -> str:
        """Return the cookie's name.

        The `__Host-` prefix keeps other hosts of the domain, and plain HTTP, from setting it.
        """
        return f"__Host-{name}" if self.secure else name

    def requested(self, request: Request) -> str:
        """Return the origin that the caller addresses: the public ones count, and loopback (a forwarded port).

        A Host header that names none of them is not repeated: the public URL is returned, empty where it is not set.
        """
        asked = request.headers.get("host", "").lower()
        for url in (self.url, *self.origins):
            if origin_of(url).partition("://")[2] == asked:
                return origin_of(url)
        try:
            here = origin_of(f"http://{asked}")
            if urlsplit(here).hostname in LOOPBACK_HOSTS:
                return here
        except ValueError:
            pass
        return origin_of(self.url)

    def challenge(self, request: Request) -> str:
        """Return the parameter of `WWW-Authenticate` that names our metadata (RFC 9728, section 5.1); or nothing."""
        origin = self.requested(request)
        return f'resource_metadata="{origin}{RESOURCE_METADATA_PATH}"' if origin else ""

    def is_same_origin(self, request: Request) -> bool:
        """Return whether the browser states that one of our own pages sent the request.

        Without an https address, the origin that the request came to also counts: a stack on one machine is reached as
        localhost and as 127.0.0.1.
        """
        origin = request.headers.get("origin", "")
        ours = {origin_of(item) for item in (self.url, *self.origins)}
        if not self.secure:
            ours.add(f"{request.url.scheme}://{request.headers.get('host')}")
        return bool(origin) and origin in ours


class SecurityHeadersMiddleware:
    """Add security headers to every response unless its route sets them.

    Browsers and proxies must not store responses: most are about a patient. `hsts` tells browsers to use HTTPS only
    (RFC 6797).
    """

    def __init__(self, app: ASGIApp, *, hsts: bool = False) -> None:
        self._app = app
        self._headers = {
            "Cache-Control": "no-store",
            "X-Content-Type-Options": "nosniff",
            "Content-Security-Policy": DEFAULT_CSP,
            "Referrer-Policy": "no-referrer",
        }
        if hsts:
            self._headers["Strict-Transport-Security"] = HSTS_VALUE

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_safely(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in self._headers.items():
                    headers.setdefault(name, value)
            await send(message)

        await self._app(scope, receive, send_safely if scope["type"] == "http" else send)

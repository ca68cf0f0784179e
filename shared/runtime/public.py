"""Where browsers reach a service: which origins are its own, and what its cookies and answers have to say.

A proxy ends TLS in front of it, so what a request looks like here does not say how the browser sent it.
https://www.rfc-editor.org/rfc/rfc6454, https://httpwg.org/http-extensions/draft-ietf-httpbis-rfc6265bis.html
"""

from dataclasses import dataclass
from urllib.parse import urlsplit

from fastapi import Request
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

DEFAULT_PORTS = {"http": 80, "https": 443}
HSTS = "max-age=31536000"
# What is no page: were a browser to show it as one, it could load, send and be framed by nothing.
NO_PAGE = "default-src 'none'; object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"


def origin_of(url: str) -> str:
    """`https://review.hospital.example:443/inbox` → `https://review.hospital.example`; empty for what is no URL.

    Raises ValueError for a port that is none.
    """
    parts = urlsplit(url.strip())
    if parts.scheme not in DEFAULT_PORTS or not parts.hostname:
        return ""
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    port = "" if parts.port in (None, DEFAULT_PORTS[parts.scheme]) else f":{parts.port}"
    return f"{parts.scheme}://{host}{port}"


@dataclass(frozen=True, slots=True)
class Public:
    """`url` is the service's own address, `origins` are further ones under which its pages are reached."""

    url: str = ""
    origins: tuple[str, ...] = ()

    @property
    def secure(self) -> bool:
        return origin_of(self.url).startswith("https:")

    def cookie(self, name: str) -> str:
        """The cookie's name. `__Host-` keeps another host of the same domain, and plain HTTP, from setting it."""
        return f"__Host-{name}" if self.secure else name

    def sent_from_here(self, request: Request) -> bool:
        """Whether a browser says that one of our own pages sent the request.

        Without an https address, also the origin that the request itself came to is ours: a stack on one machine is
        reached as localhost and as 127.0.0.1.
        """
        origin = request.headers.get("origin", "")
        ours = {origin_of(item) for item in (self.url, *self.origins)}
        if not self.secure:
            ours.add(f"{request.url.scheme}://{request.headers.get('host')}")
        return bool(origin) and origin in ours


class SafeHeaders:
    """ASGI middleware: what every answer says unless its route says otherwise.

    Nothing that a service answers may be kept by a browser or a proxy: most of it is about a patient. `hsts`: tell
    browsers to come back by HTTPS only (RFC 6797).
    """

    def __init__(self, app: ASGIApp, *, hsts: bool = False) -> None:
        self._app = app
        self._headers = {
            "Cache-Control": "no-store",
            "X-Content-Type-Options": "nosniff",
            "Content-Security-Policy": NO_PAGE,
            "Referrer-Policy": "no-referrer",
        }
        if hsts:
            self._headers["Strict-Transport-Security"] = HSTS

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_safely(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in self._headers.items():
                    headers.setdefault(name, value)
            await send(message)

        await self._app(scope, receive, send_safely if scope["type"] == "http" else send)

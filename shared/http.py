"""HTTP client for requests that a service sends, and the wait that a server asks for."""

import math
import ssl
import sys
from datetime import datetime
from email.utils import parsedate_to_datetime
from functools import cache
from importlib.util import find_spec
from typing import Any

import httpx

DEFAULT_RETRY_AFTER_S = 5.0
# httpcore imports sniffio at each request to detect trio. When it is not installed, each import searches every folder
# of the path, which took a tenth of approval's CPU; None makes the import fail at once.
if find_spec("sniffio") is None:
    sys.modules["sniffio"] = None  # type: ignore[assignment]


class HttpClient(httpx.AsyncClient):
    """Provide httpx's client with its documented exceptions under uvloop too.

    When a server dies with a connection still in its backlog, that connection has no socket any more under uvloop.
    anyio asks the socket for its peer and raises AttributeError, which no caller handles as a network error.
    """

    async def send(self, request: httpx.Request, **options: Any) -> httpx.Response:
        try:
            return await super().send(request, **options)
        except AttributeError as error:
            if error.name != "getpeername":
                raise
            raise httpx.ConnectError("the connection was reset as it was made", request=request) from None


@cache
def tls_context() -> ssl.SSLContext:
    """Return the context of a client that is made for one request: to make a context reads every CA, in 30 ms."""
    return httpx.create_ssl_context()


def retry_after(value: str | None, now: datetime) -> float:
    """Return the delay in seconds that a Retry-After header asks for: a number, or an HTTP date."""
    if value is None:
        return DEFAULT_RETRY_AFTER_S
    try:
        seconds = float(value)
    except ValueError:
        pass
    else:
        return max(0.0, seconds) if math.isfinite(seconds) else DEFAULT_RETRY_AFTER_S
    try:
        return max(0.0, (parsedate_to_datetime(value) - now).total_seconds())
    except (TypeError, ValueError):
        return DEFAULT_RETRY_AFTER_S

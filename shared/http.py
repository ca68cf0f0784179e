"""HTTP client for requests that a service sends."""

import sys
from importlib.util import find_spec
from typing import Any

import httpx

# httpcore imports it at each request to learn whether it runs under trio. Where it is not installed, every folder of
# the path was searched each time, a tenth of approval's processor; None says at once that it is not there.
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

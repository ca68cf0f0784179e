"""HTTP client for requests that a service sends."""

import sys
from importlib.util import find_spec
from typing import Any

import httpx

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

"""Outgoing HTTP."""

import sys
from importlib.util import find_spec
from typing import Any

import httpx

# httpcore imports it at each request to learn whether it runs under trio. Where it is not installed, every folder of
# the path was searched each time, a tenth of approval's processor; None says at once that it is not there.
if find_spec("sniffio") is None:
    sys.modules["sniffio"] = None  # type: ignore[assignment]


class HttpClient(httpx.AsyncClient):
    """An httpx client that raises what httpx says it raises, on uvloop too.

    A connection that is reset just as it was made (its server died with it in the backlog) has no socket any more on
    uvloop, and anyio asks that socket for its peer: an AttributeError came out, which nobody takes for a network's.
    """

    async def send(self, request: httpx.Request, **options: Any) -> httpx.Response:
        try:
            return await super().send(request, **options)
        except AttributeError as error:
            if error.name != "getpeername":
                raise
            raise httpx.ConnectError("the connection was reset as it was made", request=request) from None

"""The bytes of a Binary, and answers that may not grow beyond a size.

https://hl7.org/fhir/R4/binary.html
"""

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass

import httpx

from shared.clinical import fhir_json
from shared.contracts.failures import PermanentError

_OF_THE_WIRE = frozenset({"content-encoding", "content-length", "transfer-encoding"})


@dataclass(frozen=True, slots=True)
class Content:
    """What a Binary holds."""

    data: bytes
    media_type: str | None


async def bounded(
    http: httpx.AsyncClient,
    method: str,
    url: str,
    content: bytes | None,
    headers: Mapping[str, str],
    what: str,
    most: int | None,
) -> httpx.Response:
    """One request. With `most`, the answer is read up to so many bytes, counted as they are after unpacking.

    Raises PermanentError for a longer one, and what httpx raises.
    """
    if most is None:
        return await http.request(method, url, content=content, headers=headers)
    async with http.stream(method, url, content=content, headers=headers) as response:
        found = bytearray()
        async for part in response.aiter_bytes():
            found += part
            if len(found) > most:
                raise PermanentError(f"{what}: larger than {most // 1_000_000} MB")
        kept = [(name, value) for name, value in response.headers.items() if name not in _OF_THE_WIRE]
        return httpx.Response(response.status_code, headers=kept, content=bytes(found), request=response.request)


def content_of(response: httpx.Response) -> Content:
    """Of a FHIR Binary its `data`; of any other answer the answer itself, as servers send what a client can show.

    Raises PermanentError for a Binary without readable data.
    """
    media_type = response.headers.get("content-type")
    if "json" not in (media_type or "").lower():
        return Content(response.content, media_type)
    try:
        body = fhir_json.decode(response.content)
        if not isinstance(body, dict) or body.get("resourceType") != "Binary":
            return Content(response.content, media_type)
        stated = body.get("contentType")
        data = base64.b64decode("".join(str(body.get("data") or "").split()), validate=True)
    except (ValueError, binascii.Error):
        raise PermanentError("read Binary: it is damaged") from None
    return Content(data, stated if isinstance(stated, str) else None)

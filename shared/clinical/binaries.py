"""Read the content of a FHIR Binary, and responses up to a maximum size.

https://hl7.org/fhir/R4/binary.html
"""

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass

import httpx

from shared.clinical import fhir_json
from shared.contracts.errors import PermanentError

_TRANSPORT_HEADERS = frozenset({"content-encoding", "content-length", "transfer-encoding"})


@dataclass(frozen=True, slots=True)
class BinaryContent:
    """The bytes of a Binary and their media type."""

    data: bytes
    media_type: str | None


async def request_bounded(
    http: httpx.AsyncClient,
    method: str,
    url: str,
    content: bytes | None,
    headers: Mapping[str, str],
    interaction: str,
    max_bytes: int | None,
) -> httpx.Response:
    """Send one request and read at most `max_bytes` of the response, counted after decompression.

    Without `max_bytes` the response is read whole. Raises PermanentError for a longer one, and what httpx raises.
    """
    if max_bytes is None:
        return await http.request(method, url, content=content, headers=headers)
    async with http.stream(method, url, content=content, headers=headers) as response:
        found = bytearray()
        async for part in response.aiter_bytes():
            found += part
            if len(found) > max_bytes:
                raise PermanentError(f"{interaction}: larger than {max_bytes // 1_000_000} MB")
        kept = [(name, value) for name, value in response.headers.items() if name not in _TRANSPORT_HEADERS]
        return httpx.Response(response.status_code, headers=kept, content=bytes(found), request=response.request)


def binary_content(response: httpx.Response) -> BinaryContent:
    """Return the `data` of a FHIR Binary, or the body of any other response.

    Servers may send the content itself instead of the resource. Raises PermanentError for a Binary without readable
    data.
    """
    media_type = response.headers.get("content-type")
    if "json" not in (media_type or "").lower():
        return BinaryContent(response.content, media_type)
    try:
        body = fhir_json.decode(response.content)
        if not isinstance(body, dict) or body.get("resourceType") != "Binary":
            return BinaryContent(response.content, media_type)
        stated = body.get("contentType")
        data = base64.b64decode("".join(str(body.get("data") or "").split()), validate=True)
    except (ValueError, binascii.Error):
        raise PermanentError("read Binary: it is damaged") from None
    return BinaryContent(data, stated if isinstance(stated, str) else None)

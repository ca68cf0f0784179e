"""A list of addresses: conditional requests, so that what has not changed is not sent. RFC 9110, section 13."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence

import httpx
from pydantic import HttpUrl

from services.ingest.connectors.sighting import Fingerprint, Sighting
from services.ingest.documents import formats
from services.ingest.documents.blocks import UnreadableError
from shared.contracts.envelope import digest
from shared.http import HttpClient

AT_ONCE = 4
TIMEOUT = 30.0
GONE = (404, 410)


class WebConnector:
    """Documents are named by their address."""

    def __init__(self, urls: Sequence[HttpUrl], transport: httpx.AsyncBaseTransport | None = None) -> None:
        self._urls = [str(url) for url in urls]
        self._transport = transport

    async def look(self, known: Mapping[str, Fingerprint]) -> AsyncIterator[Sighting]:
        async with HttpClient(timeout=TIMEOUT, follow_redirects=True, transport=self._transport) as http:
            for start in range(0, len(self._urls), AT_ONCE):
                part = self._urls[start : start + AT_ONCE]
                for seen in await asyncio.gather(*(_fetch(http, url, known.get(url)) for url in part)):
                    yield seen


async def _fetch(http: httpx.AsyncClient, url: str, before: Fingerprint | None) -> Sighting:
    nothing = before or Fingerprint()
    headers = {}
    if before is not None:
        if before.etag:
            headers["If-None-Match"] = before.etag
        if before.last_modified:
            headers["If-Modified-Since"] = before.last_modified
    try:
        response = await http.get(url, headers=headers)
    except httpx.HTTPError as error:
        return Sighting(url, nothing, problem=f"it cannot be reached ({type(error).__name__})", url=url)
    if response.status_code == httpx.codes.NOT_MODIFIED:
        return Sighting(url, nothing, url=url)
    if response.status_code in GONE:
        return Sighting(
            url, nothing, problem=f"it is no longer there (HTTP {response.status_code})", gone=True, url=url
        )
    if not response.is_success:
        return Sighting(url, nothing, problem=f"its server answered HTTP {response.status_code}", url=url)
    return await asyncio.to_thread(_read, url, response, before)


def _read(url: str, response: httpx.Response, before: Fingerprint | None) -> Sighting:
    seen = Fingerprint(
        digest=digest(response.content),
        size=len(response.content),
        etag=response.headers.get("ETag"),
        last_modified=response.headers.get("Last-Modified"),
    )
    if before is not None and before.digest == seen.digest:
        return Sighting(url, seen, url=url)
    try:
        text = formats.read(response.url.path, response.content, response.headers.get("Content-Type"))
    except UnreadableError as error:
        return Sighting(url, seen, problem=str(error), url=url)
    return Sighting(url, seen, text=text, url=url)

"""Scan a list of URLs by conditional requests, so that unchanged documents are not sent (RFC 9110, section 13)."""

import asyncio
import zlib
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass

import httpx

from services.ingest.connectors.outbound import (
    MAX_REDIRECTS,
    AllowedAddresses,
    allowed_addresses,
)
from services.ingest.connectors.scanned_document import Fingerprint, ScannedDocument
from services.ingest.documents.blocks import UnreadableDocumentError
from services.ingest.documents.formats import MAX_DOCUMENT_BYTES
from services.ingest.documents.reader import DocumentReader
from shared.contracts.envelope import sha256_hex
from shared.http import HttpClient
from shared.knowledge.knowledge_file import GuidelineSource
from shared.outbound import CheckedTransport, NotAllowedError

MAX_CONCURRENT_REQUESTS = 2  # as many documents of maximum size are in memory
TIMEOUT_S = 30.0
TOTAL_TIMEOUT_S = 300.0  # for one document, even if data keeps arriving
GONE_STATUSES = (404, 410)
PIECE_BYTES = 2**20  # decoded at a time
GZIP_WINDOW_BITS = 31  # zlib's wbits for gzip with the largest window
DAMAGED = "what its server sends is damaged"
TOO_LARGE = f"it is larger than {MAX_DOCUMENT_BYTES // 2**20} MB"


@dataclass(frozen=True, slots=True)
class FetchedPage:
    """A response with its body decoded."""

    url: httpx.URL
    status: int
    headers: httpx.Headers
    body: bytes = b""


class WebConnector:
    """Scan URLs. Documents are named by their URL."""

    def __init__(
        self, source: GuidelineSource, reader: DocumentReader, transport: httpx.AsyncBaseTransport | None = None
    ) -> None:
        self._urls = [str(url) for url in source.urls]
        self._allowed = allowed_addresses(source)
        self._reader = reader
        self._transport = transport

    async def scan(self, known: Mapping[str, Fingerprint]) -> AsyncIterator[ScannedDocument]:
        transport = self._transport or CheckedTransport(self._allowed)
        async with HttpClient(timeout=TIMEOUT_S, follow_redirects=False, transport=transport) as http:
            for start in range(0, len(self._urls), MAX_CONCURRENT_REQUESTS):
                part = self._urls[start : start + MAX_CONCURRENT_REQUESTS]
                for seen in await asyncio.gather(*(self._fetch(http, url, known.get(url)) for url in part)):
                    yield seen

    async def _fetch(self, http: httpx.AsyncClient, url: str, before: Fingerprint | None) -> ScannedDocument:
        nothing = before or Fingerprint()
        try:
            async with asyncio.timeout(TOTAL_TIMEOUT_S):
                page = await _get(http, url, self._allowed, _conditions(before))
        except httpx.HTTPError as error:
            return ScannedDocument(url, nothing, problem=f"it cannot be reached ({type(error).__name__})", url=url)
        except TimeoutError:
            return ScannedDocument(url, nothing, problem=f"it does not come within {TOTAL_TIMEOUT_S:.0f} s", url=url)
        except (NotAllowedError, UnreadableDocumentError) as error:
            return ScannedDocument(url, nothing, problem=str(error), url=url)
        if page.status == httpx.codes.NOT_MODIFIED:
            return ScannedDocument(url, nothing, url=url)
        if page.status in GONE_STATUSES:
            return ScannedDocument(
                url, nothing, problem=f"it is no longer there (HTTP {page.status})", deleted=True, url=url
            )
        if not 200 <= page.status < 300:
            return ScannedDocument(url, nothing, problem=f"its server answered HTTP {page.status}", url=url)
        return await self._read(url, page, before)

    async def _read(self, url: str, page: FetchedPage, before: Fingerprint | None) -> ScannedDocument:
        seen = Fingerprint(
            digest=sha256_hex(page.body),
            size=len(page.body),
            etag=page.headers.get("ETag"),
            last_modified=page.headers.get("Last-Modified"),
        )
        if before is not None and before.digest == seen.digest:
            return ScannedDocument(url, seen, url=url)
        try:
            text = await self._reader.read(page.url.path, page.body, page.headers.get("Content-Type"))
        except UnreadableDocumentError as error:
            return ScannedDocument(url, seen, problem=str(error), url=url)
        return ScannedDocument(url, seen, text=text, url=url)


def _conditions(before: Fingerprint | None) -> dict[str, str]:
    headers = {"Accept-Encoding": "gzip"}
    if before is not None and before.etag:
        headers["If-None-Match"] = before.etag
    if before is not None and before.last_modified:
        headers["If-Modified-Since"] = before.last_modified
    return headers


async def _get(
    http: httpx.AsyncClient, address: str, allowed: AllowedAddresses, headers: dict[str, str]
) -> FetchedPage:
    """Return the response at `address`, following redirects as far as the source allows.

    Raises NotAllowedError, UnreadableDocumentError for a body that is too large, httpx.HTTPError.
    """
    url = httpx.URL(address)
    for _ in range(MAX_REDIRECTS + 1):
        async with http.stream("GET", url, headers=headers) as response:
            if not response.has_redirect_location:
                body = await _body(response) if response.is_success else b""
                return FetchedPage(url, response.status_code, response.headers, body)
            following = url.join(response.headers["Location"])
        allowed.check(following, before=url)
        url = following
    raise NotAllowedError(f"it redirects more than {MAX_REDIRECTS} times")


async def _body(response: httpx.Response) -> bytes:
    """Return the decoded body, up to the size limit of a document.

    Raises UnreadableDocumentError.
    """
    declared = response.headers.get("Content-Length", "")
    if declared.isdigit() and int(declared) > MAX_DOCUMENT_BYTES:
        raise UnreadableDocumentError(TOO_LARGE)
    found = bytearray()
    unpacked = ContentDecoder(response.headers.get("Content-Encoding", ""))
    async for raw in response.aiter_raw():
        for piece in unpacked.pieces(raw):
            found += piece
            if len(found) > MAX_DOCUMENT_BYTES:
                raise UnreadableDocumentError(TOO_LARGE)
    if not unpacked.whole:
        raise UnreadableDocumentError(DAMAGED)
    return bytes(found)


class ContentDecoder:
    """Decode a Content-Encoding piece by piece; httpx decodes everything that it has received at once."""

    def __init__(self, encoding: str) -> None:
        self._encoding = encoding.strip().lower()
        if self._encoding not in ("", "identity", "gzip", "x-gzip"):
            raise UnreadableDocumentError(f"its server has packed it in a way that was not asked for ({encoding[:40]})")
        self._packed = self._encoding in ("gzip", "x-gzip")
        self._state = zlib.decompressobj(GZIP_WINDOW_BITS)
        self._begun = False

    @property
    def whole(self) -> bool:
        return not self._packed or not self._begun or self._state.eof

    def pieces(self, raw: bytes) -> Iterator[bytes]:
        """Yield decoded pieces.

        Raises UnreadableDocumentError for content that is not encoded as stated.
        """
        if not self._packed:
            yield raw
            return
        while raw:
            self._begun = True
            if self._state.eof:  # gzip may have several members
                self._state = zlib.decompressobj(GZIP_WINDOW_BITS)
            try:
                yield self._state.decompress(raw, PIECE_BYTES)
            except zlib.error:
                raise UnreadableDocumentError(DAMAGED) from None
            raw = self._state.unused_data if self._state.eof else self._state.unconsumed_tail

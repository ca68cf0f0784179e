"""Scan the sources and enqueue changed chunks in batches of twenty, streaming.

Memory holds a batch, a document, and a fingerprint for each document of one source. Preparation may be interrupted
anywhere: a batch carries the entries of documents that are complete with it, which are written after it. A restart
writes those of the last batch, skips documents that are done, and continues.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from services.ingest.connectors import connect
from services.ingest.connectors.scanned_document import ScannedDocument
from services.ingest.documents.chunking import TokenCounter, chunk
from services.ingest.documents.reader import DocumentReader
from services.ingest.refresh.plan import (
    DocumentChange,
    Fingerprints,
    KnownDocument,
    TargetVersion,
    change_of,
    removed_entry,
    to_known,
    unreadable_entry,
    updated_entry,
)
from shared.contracts.knowledge import BATCH_SIZE, Chunk, DocumentCounts, DocumentEntry, UnreadableDocument
from shared.contracts.refresh import BatchReady, Planned, RefreshRef, Skipped
from shared.knowledge.document_index import DocumentIndex
from shared.knowledge.knowledge_file import KnowledgeFile, Source
from shared.messaging.refreshes import RefreshLog

MAX_LISTED = 200  # unreadable documents named in an event; the others are counted
MAX_BATCH_BYTES = 400_000  # text of one batch: messages have a maximum size


@dataclass(slots=True)
class PreparationCounts:
    """Counts of the scan so far."""

    new: int = 0
    changed: int = 0
    removed: int = 0
    unchanged: int = 0
    unreadable: list[UnreadableDocument] = field(default_factory=list)
    chunks_new: int = 0
    chunks_kept: int = 0
    chunks_removed: int = 0

    @property
    def counts(self) -> DocumentCounts:
        return DocumentCounts(
            new=self.new,
            changed=self.changed,
            removed=self.removed,
            unchanged=self.unchanged,
            unreadable=len(self.unreadable),
        )

    @property
    def anything(self) -> bool:
        return bool(self.new or self.changed or self.removed)

    def add(self, change: DocumentChange) -> None:
        match change.kind:
            case "new":
                self.new += 1
            case "changed":
                self.changed += 1
            case "removed":
                self.removed += 1
            case None:
                self.unchanged += 1
        self.chunks_new += change.fresh
        self.chunks_kept += change.kept
        self.chunks_removed += change.retired


class RefreshPreparation:
    """Prepare one refresh."""

    def __init__(
        self,
        ref: RefreshRef,
        target: TargetVersion,
        file: KnowledgeFile,
        count: TokenCounter,
        log: RefreshLog,
        index: DocumentIndex,
        reader: DocumentReader,
    ) -> None:
        self._ref = ref
        self._target = target
        self._file = file
        self._count = count
        self._log = log
        self._index = index
        self._reader = reader
        self._counts = PreparationCounts()
        self._chunks: list[Chunk] = []
        self._entries: list[tuple[int, DocumentEntry]] = []  # number of chunks to publish before it, and the entry
        self._queued = 0  # chunks added to `_chunks` so far
        self._published = 0  # of them, those that are out
        self._number = 0

    async def run(self) -> None:
        """Prepare up to `planned` or `skipped`.

        Raises PermanentError when a source as a whole cannot be scanned.
        """
        last = await self._log.last_batch(self._ref, "batch-ready")
        finished = False
        if last is not None and isinstance(last.body, BatchReady):
            await self._index.put(last.body.entries)
            self._number, finished = last.body.number, last.body.last
        covered = self._target.started.sources
        declared = [source for source in self._file.sources if not covered or source.name in covered]
        await self._index.add_sources(source.name for source in declared)
        for source in declared:
            await self._scan_source(source, finished)
        if not covered:
            for name in set(await self._index.sources()) - {source.name for source in self._file.sources}:
                await self._remove_missing(name, await self._known(name), set(), finished=finished)
        if not finished and not self._counts.anything:
            await self._log.append(self._ref, self._skipped())
            return
        if not finished:
            await self._publish(last=True)
        await self._log.append(self._ref, self._planned())

    async def _known(self, source: str) -> dict[str, KnownDocument]:
        return {item.document: to_known(item, self._target) async for item in self._index.entries(source)}

    async def _scan_source(self, source: Source, finished: bool) -> None:
        known = await self._known(source.name)
        seen: set[str] = set()
        if not finished:
            async for scanned in connect(source, self._reader).scan(Fingerprints(known)):
                if not scanned.deleted:
                    seen.add(scanned.document)
                    await self._process_document(source.name, scanned, known.get(scanned.document))
        await self._remove_missing(source.name, known, seen, finished=finished)

    async def _process_document(self, source: str, scanned: ScannedDocument, known: KnownDocument | None) -> None:
        if known is not None and known.done:
            return  # counted among the processed ones
        if scanned.problem is not None:
            await self._record_unreadable(source, scanned, known)
        elif scanned.text is None:
            await self._keep_unchanged(source, scanned, known)
        else:
            before = await self._index.get(source, scanned.document) if known is not None else None
            made = await asyncio.to_thread(self._chunk_document, source, scanned)
            entry, fresh = updated_entry(source, scanned.document, scanned.fingerprint, before, made, self._target)
            await self._enqueue_chunks(entry, fresh)

    def _chunk_document(self, source: str, scanned: ScannedDocument) -> list[Chunk]:
        assert scanned.text is not None  # noqa: S101 - the caller has looked
        whole = self._file.source(source)
        # A medicine is always one chunk.
        tokens = 100_000 if whole is not None and whole.kind == "formulary" else self._file.chunk_tokens
        return chunk(source, scanned.document, scanned.text, tokens=tokens, count=self._count, url=scanned.url)

    async def _keep_unchanged(self, source: str, scanned: ScannedDocument, known: KnownDocument | None) -> None:
        """Keep a document without new content; its fingerprint may have changed."""
        if known is None:
            return
        if known.unreadable is not None:
            self._counts.unreadable.append(_unreadable_document(source, scanned.document, known.unreadable))
        else:
            self._counts.add(known.change)
        if scanned.fingerprint != known.fingerprint:
            before = await self._index.get(source, scanned.document)
            if before is not None:
                await self._index.put([before.model_copy(update={"fingerprint": scanned.fingerprint})])

    async def _record_unreadable(self, source: str, scanned: ScannedDocument, known: KnownDocument | None) -> None:
        reason = scanned.problem or ""
        self._counts.unreadable.append(_unreadable_document(source, scanned.document, reason))
        before = await self._index.get(source, scanned.document) if known is not None else None
        if before is not None and not before.removed and self._target.started.fill:
            # Its chunks are not in the new collection and cannot be made, so it is not in this version.
            return
        entry = unreadable_entry(source, scanned.document, scanned.fingerprint, before, reason, self._target)
        await self._index.put([entry])

    async def _remove_missing(
        self, source: str, known: dict[str, KnownDocument], seen: set[str], *, finished: bool
    ) -> None:
        """Remove documents that no longer exist, and count those done before an interruption."""
        gone: list[DocumentEntry] = []
        for document, item in known.items():
            if item.done or (finished and item.there):
                self._counts.add(item.change)
            elif not finished and document not in seen and item.there:
                before = await self._index.get(source, document)
                if before is not None:
                    gone.append(removed_entry(before, self._target))
        for entry in gone:
            self._counts.add(change_of(entry, self._target.version))
        await self._index.put(gone)

    async def _enqueue_chunks(self, entry: DocumentEntry, fresh: list[Chunk]) -> None:
        self._counts.add(change_of(entry, self._target.version))
        self._chunks += fresh
        self._queued += len(fresh)
        self._entries.append((self._queued, entry))
        while len(self._chunks) > BATCH_SIZE or sum(len(item.text) for item in self._chunks) > MAX_BATCH_BYTES:
            await self._publish(last=False)
        if not fresh and not self._chunks:
            await self._index.put(self._completed_entries())

    def _completed_entries(self) -> list[DocumentEntry]:
        """Return the entries whose chunks are all published."""
        ready = [entry for needed, entry in self._entries if needed <= self._published]
        self._entries = [item for item in self._entries if item[0] > self._published]
        return ready

    async def _publish(self, *, last: bool) -> None:
        """Publish the next batch, then write the entries that are complete with it."""
        taken = _batch_length(self._chunks)
        batch, self._chunks = self._chunks[:taken], self._chunks[taken:]
        self._number += 1
        self._published += len(batch)
        entries = self._completed_entries()
        started = self._target.started
        ready = BatchReady(
            number=self._number,
            last=last and not self._chunks,
            target=self._target.version,
            embedder=started.embedder,
            collection=started.collection,
            chunks=tuple(batch),
            entries=tuple(entries),
        )
        await self._log.append(self._ref, ready, number=self._number)
        await self._index.put(entries)
        if last and self._chunks:
            await self._publish(last=True)

    def _planned(self) -> Planned:
        return Planned(
            target=self._target.version,
            documents=self._counts.counts,
            unreadable=tuple(self._counts.unreadable[:MAX_LISTED]),
            chunks_new=self._counts.chunks_new,
            chunks_kept=self._counts.chunks_kept,
            chunks_removed=self._counts.chunks_removed,
            batches=self._number,
        )

    def _skipped(self) -> Skipped:
        return Skipped(
            documents=self._counts.counts,
            unreadable=tuple(self._counts.unreadable[:MAX_LISTED]),
            reason="nothing has changed",
        )


def _unreadable_document(source: str, document: str, reason: str) -> UnreadableDocument:
    return UnreadableDocument(source=source, document=document, reason=reason)


def _batch_length(chunks: list[Chunk]) -> int:
    """Return how many chunks the next batch takes."""
    size = 0
    for index, item in enumerate(chunks[:BATCH_SIZE]):
        size += len(item.text)
        if size > MAX_BATCH_BYTES and index > 0:
            return index
    return min(len(chunks), BATCH_SIZE)


def token_counter(path: str) -> Callable[[str], int]:
    """Return a function that counts tokens as the embedding model does.

    Raises PermanentError when its tokenizer cannot be read.
    """
    from tokenizers import Tokenizer  # a heavy import, needed only here

    from shared.contracts.errors import PermanentError

    try:
        tokenizer = Tokenizer.from_file(path)
    except Exception:  # noqa: BLE001 - the library has no error type of its own
        raise PermanentError(f"the embedding model's tokenizer cannot be read: {path}") from None
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return lambda text: len(tokenizer.encode(text, add_special_tokens=False).ids)

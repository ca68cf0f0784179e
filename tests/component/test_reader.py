"""Documents that were made to take a process down are refused with a reason; ingest keeps its memory, and reads on."""

import asyncio
import resource
import time
from collections.abc import AsyncIterator
from pathlib import Path

import psutil
import pytest

from services.ingest.documents import formats
from services.ingest.documents.blocks import Paragraph, UnreadableDocumentError
from services.ingest.documents.formats import MAX_DOCUMENT_BYTES
from services.ingest.documents.reader import DocumentReader
from services.ingest.documents.reader_protocol import ReaderLimits
from shared.contracts.errors import TransientError
from shared.runtime.worker_process import PACKAGES
from tests.support.malicious_input import MB, PARAGRAPH, many_files, nested_pdf, table_row, understated, word, zip_of
from tests.support.stack import until
from tests.unit.test_formats import pdf

pytestmark = pytest.mark.slow


@pytest.fixture
async def reader() -> AsyncIterator[DocumentReader]:
    found = DocumentReader(ReaderLimits(cpu=4, seconds=20))
    yield found
    await found.close()


BOMBS = {
    "300 kB that are 160 MB": lambda: ("x.docx", word(PARAGRAPH * 150_000)),
    "eight files of 20 MB": lambda: ("x.docx", many_files()),
    "600,000 columns": lambda: ("x.docx", word(f"<w:tbl>{table_row(600_000)}</w:tbl>")),
    "two thousand million columns": lambda: ("x.docx", word(f"<w:tbl>{table_row(2_000_000_000)}</w:tbl>")),
    "a million cells": lambda: ("x.docx", word(f"<w:tbl>{table_row(400) * 2500}</w:tbl>")),
    "a size that is not so": lambda: ("x.docx", understated(word(PARAGRAPH * 1000))),
    "a zip in a zip": lambda: ("x.docx", zip_of(zip_of(zip_of(bytes(20 * MB))))),
    "a deep PDF": lambda: ("x.pdf", nested_pdf(10_000, objects=1000)),
    "deep HTML": lambda: ("x.html", b"<div>" * 2_000_000 + b"x"),
    "deep Markdown": lambda: ("x.md", b"> " * 500_000 + b"x"),
    "more text than fits": lambda: ("x.txt", b"words and words\n\n" * 3_000_000),
}


@pytest.mark.usefixtures("prompt_gc")
@pytest.mark.parametrize("bomb", BOMBS)
async def test_a_bomb_is_refused_and_the_next_document_is_read(reader: DocumentReader, bomb: str) -> None:
    name, data = BOMBS[bomb]()
    assert len(data) < MAX_DOCUMENT_BYTES
    used, began = psutil.Process().memory_info().rss, time.monotonic()
    with pytest.raises(UnreadableDocumentError) as refused:
        await reader.read(name, data)
    assert str(refused.value)
    assert "<w:" not in str(refused.value)
    assert time.monotonic() - began < 30
    assert psutil.Process().memory_info().rss - used < 100 * MB
    assert (await reader.read("x.md", b"words")).blocks == (Paragraph("words"),)


ENTITIES = {
    "of a file": '<!ENTITY x SYSTEM "file:///etc/passwd">',
    "of an address": '<!ENTITY x SYSTEM "http://127.0.0.1:9/x">',
    "of itself, ten times ten": '<!ENTITY a "secret"><!ENTITY x "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">',
}


@pytest.mark.parametrize("entity", ENTITIES)
async def test_entities_of_xml_mean_nothing(reader: DocumentReader, entity: str) -> None:
    """Neither another file's words nor one's own, many times, come in by a name."""
    data = word("<w:p><w:r><w:t>before &x; after</w:t></w:r></w:p>", f"<!DOCTYPE w [{ENTITIES[entity]}]>")
    try:
        found = str((await reader.read("x.docx", data)).blocks)
    except UnreadableDocumentError as refused:
        found = str(refused)
    assert "root:" not in found
    assert "secret" not in found


async def test_a_page_of_400_mb_is_not_even_sent(reader: DocumentReader) -> None:
    with pytest.raises(UnreadableDocumentError, match="larger than 50 MB"):
        await reader.read("x.html", bytes(400 * MB))
    assert reader.worker.process is None


async def test_what_takes_too_long_is_ended_and_said() -> None:
    reader = DocumentReader(ReaderLimits(cpu=1, seconds=20))
    with pytest.raises(UnreadableDocumentError, match="takes more than 1 seconds"):
        await reader.read("x.md", b"[" * 300_000)
    assert (await reader.read("x.md", b"words")).blocks == (Paragraph("words"),)
    await reader.close()


async def test_what_needs_too_much_memory_is_ended_and_said() -> None:
    reader = DocumentReader(ReaderLimits(memory=150 * MB))
    with pytest.raises(UnreadableDocumentError, match=r"memory|not HTML|failed over it"):
        await reader.read("x.html", b"<p>x</p>" * 3_000_000)
    assert (await reader.read("x.md", b"words")).blocks == (Paragraph("words"),)
    await reader.close()


async def test_every_format_comes_back_as_it_was_read(reader: DocumentReader) -> None:
    table = "<w:tbl><w:tblGrid><w:gridCol/></w:tblGrid>" + table_row(1) + "</w:tbl>"
    for name, data in (
        ("x.docx", word(f"<w:p><w:r><w:t>Grüße</w:t></w:r></w:p>{table}")),
        ("x.md", b"# A\n\nb\n\n| c |\n|---|\n| d |\n"),
        ("x.pdf", pdf("Gout is painful.")),
        ("x.html", "<h1>Ü</h1><p>ß</p>".encode()),
        ("x.txt", b"1.2 Care\nwords"),
    ):
        assert await reader.read(name, data) == formats.parse_document(name, data)


async def test_a_formulary_is_read_there_too(reader: DocumentReader) -> None:
    assert await reader.rows("m.csv", b"name;dose\naspirin;81 mg\n;\n") == [{"name": "aspirin", "dose": "81 mg"}]
    assert await reader.rows("m.JSON", b'[{"name": "aspirin"}, {}]') == [{"name": "aspirin"}]
    for name, data in (
        ("m.json", b"[" * 10_000_000),
        ("m.json", b"[" + b"{}," * 6_000_000 + b"1]"),
        ("m.json", b"[" + b'{"a":1},' * 200_000 + b"{}]"),
        ("m.csv", b"name\n" + b"a\n" * 3_000_000),
        ("m.csv", b'name\n"' + b"a" * 10_000_000),
        ("m.csv", "name\nü".encode("utf-16")),
    ):
        with pytest.raises(UnreadableDocumentError):
            await reader.rows(name, data)


async def test_it_has_no_secrets_and_no_modules_of_where_it_was_started(
    reader: DocumentReader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran = tmp_path / "ran"
    for name in ("json.py", "docx.py", "signal.py", "dis.py"):
        (tmp_path / name).write_text(f"open({str(ran)!r}, 'w')\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COUNTERSIGN_NATS_SEED", "SUAX")
    await reader.read("x.md", b"words")
    assert reader.worker.process is not None
    assert set(psutil.Process(reader.worker.process.pid).environ()) <= {"PYTHONPATH", "LANG", "LC_CTYPE"}
    assert not ran.exists()
    assert (PACKAGES / "services").is_dir()


async def test_its_child_has_its_limits(reader: DocumentReader) -> None:
    """Looked at from outside, while it reads."""
    task = asyncio.create_task(reader.read("x.md", b"[" * 300_000))
    await until(lambda: _begun(reader), "the process to be there")
    assert reader.worker.process is not None
    parent = psutil.Process(reader.worker.process.pid)

    async def limited() -> bool:
        return any(resource.prlimit(child.pid, resource.RLIMIT_FSIZE)[0] == 0 for child in parent.children())

    await until(limited, "the child to have limited itself")
    (child,) = parent.children()
    assert resource.prlimit(child.pid, resource.RLIMIT_AS)[0] == ReaderLimits().memory
    assert resource.prlimit(child.pid, resource.RLIMIT_CPU)[0] == 4
    assert resource.prlimit(child.pid, resource.RLIMIT_CORE)[0] == 0
    assert await asyncio.to_thread(Path(f"/proc/{child.pid}/oom_score_adj").read_text) == "1000\n"
    await reader.close()
    with pytest.raises((UnreadableDocumentError, TransientError)):
        await task


async def test_one_document_at_a_time(reader: DocumentReader) -> None:
    texts = await asyncio.gather(*(reader.read(f"{n}.md", f"words {n}".encode()) for n in range(20)))
    assert [text.blocks for text in texts] == [(Paragraph(f"words {n}"),) for n in range(20)]


async def test_whoever_gives_up_leaves_nothing_for_the_next(reader: DocumentReader) -> None:
    task = asyncio.create_task(reader.read("x.html", b"<p>y</p>" * 500_000))
    await until(lambda: _begun(reader), "the process to be there")
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (await reader.read("x.md", b"words")).blocks == (Paragraph("words"),)


async def _begun(reader: DocumentReader) -> bool:
    return reader.worker.process is not None


async def test_a_process_that_cannot_work_is_no_fault_of_the_document(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.ingest.documents.reader.WORKER", "services.ingest.documents.nowhere")
    reader = DocumentReader()
    with pytest.raises(TransientError):
        await reader.read("x.md", b"words")
    await reader.close()
    monkeypatch.setattr("sys.executable", "/nowhere/python")
    with pytest.raises(TransientError, match="No such file"):
        await reader.read("x.md", b"words")


async def test_it_ends_with_whoever_started_it(reader: DocumentReader) -> None:
    await reader.read("x.md", b"words")
    assert reader.worker.process is not None
    process = psutil.Process(reader.worker.process.pid)
    reader.worker.writer.close()
    assert await asyncio.to_thread(process.wait, 10) in (0, None)

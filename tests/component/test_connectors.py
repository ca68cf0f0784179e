"""Connectors: new, changed, unchanged and unreadable are told apart, cheaply where nothing has changed."""

import http.server
import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest

from services.ingest import connectors
from services.ingest.connectors import Connector
from services.ingest.connectors.scanned_document import Fingerprint, ScannedDocument
from services.ingest.documents.reader import DocumentReader
from shared.contracts.errors import PermanentError
from shared.knowledge.knowledge_file import FormularySource, GuidelineSource

pytestmark = pytest.mark.slow


def connect(source: GuidelineSource | FormularySource) -> Connector:
    return connectors.connect(source, DocumentReader())


async def look(connector: Connector, known: dict[str, Fingerprint] | None = None) -> dict[str, ScannedDocument]:
    return {item.document: item async for item in connector.scan(known or {})}


def prints(seen: dict[str, ScannedDocument]) -> dict[str, Fingerprint]:
    return {name: item.fingerprint for name, item in seen.items()}


async def test_a_folder_is_read_once_and_then_only_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "deep" / "er").mkdir(parents=True)
    for name in ("a.md", "deep/b.txt", "deep/er/c.html", ".hidden.md", "picture.png"):
        (tmp_path / name).write_text(f"words of {name}")
    connector = connect(GuidelineSource(name="x", kind="guideline", folder=tmp_path))
    first = await look(connector)
    assert sorted(first) == ["a.md", "deep/b.txt", "deep/er/c.html"]
    assert all(item.text is not None for item in first.values())
    with monkeypatch.context() as patch:
        patch.setattr(os, "open", lambda *_: pytest.fail("nothing has changed"))
        second = await look(connector, prints(first))
    assert all(item.text is None and item.problem is None for item in second.values())
    (tmp_path / "a.md").write_text("other words")
    (tmp_path / "deep" / "b.txt").write_text("words of deep/b.txt")  # touched, and the same
    third = await look(connector, prints(first))
    assert {name for name, item in third.items() if item.text is not None} == {"a.md"}


async def test_a_folder_that_is_not_there_is_not_an_empty_folder(tmp_path: Path) -> None:
    connector = connect(GuidelineSource(name="x", kind="guideline", folder=tmp_path / "no"))
    with pytest.raises(PermanentError, match="is not there"):
        await look(connector)


async def test_links_that_lead_round_in_circles_end_nothing(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "a.md").write_text("words")
    (tmp_path / "deep" / "up").symlink_to(tmp_path)
    (tmp_path / "itself").symlink_to(tmp_path / "itself")
    (tmp_path / "itself.md").symlink_to(tmp_path / "itself.md")
    (tmp_path / "nowhere.md").symlink_to(tmp_path / "nowhere")
    (tmp_path / "b.md").symlink_to(tmp_path / "deep" / "a.md")
    found = await look(connect(GuidelineSource(name="x", kind="guideline", folder=tmp_path)))
    assert {name for name, item in found.items() if item.text is not None} == {"b.md", "deep/a.md"}
    assert {name: item.problem for name, item in found.items() if item.text is None} == {
        "itself": "it cannot be opened (Too many levels of symbolic links)",
        "itself.md": "it cannot be opened (Too many levels of symbolic links)",
    }


async def test_links_do_not_lead_out_of_the_folder(tmp_path: Path) -> None:
    """Or whoever may put a file there reads what ingest may read."""
    folder, elsewhere = tmp_path / "folder", tmp_path / "elsewhere"
    for place in (folder / "..data", elsewhere):
        place.mkdir(parents=True)
    (elsewhere / "seed").write_text("SUASECRET")
    (elsewhere / "a.md").write_text("words of another folder")
    (folder / "seed.md").symlink_to(elsewhere / "seed")
    (folder / "again.md").symlink_to("seed.md")
    (folder / "deep").symlink_to(elsewhere)
    (folder / "..data" / "map.md").write_text("words")
    (folder / "map.md").symlink_to("..data/map.md")  # as Kubernetes mounts a ConfigMap
    (tmp_path / "shown").symlink_to(folder)  # the folder that is declared may be a link itself
    for declared in (folder, tmp_path / "shown"):
        found = await look(connect(GuidelineSource(name="x", kind="guideline", folder=declared)))
        assert {name for name, item in found.items() if item.text is not None} == {"map.md"}
        out = "it cannot be opened (it leads out of the folder)"
        assert {name: item.problem for name, item in found.items() if item.text is None} == {
            "again.md": out,
            "deep": out,
            "seed.md": out,
        }


async def test_what_is_no_file_is_no_document_and_nobody_waits_for_it(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.md")
    (tmp_path / "zero.txt").symlink_to("/dev/zero")
    (tmp_path / "a.md").write_text("words")
    assert sorted(await look(connect(GuidelineSource(name="x", kind="guideline", folder=tmp_path)))) == ["a.md"]


async def test_a_file_that_is_too_large_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / "large.html").open("wb") as file:
        file.truncate(400 * 2**20)
    (tmp_path / "a.md").write_text("words")
    formulary = FormularySource(name="y", kind="formulary", file=tmp_path / "large.html")
    with pytest.raises(PermanentError, match="larger than 20 MB"):
        await look(connect(formulary))
    found = await look(connect(GuidelineSource(name="x", kind="guideline", folder=tmp_path)))
    assert found["large.html"].problem == "it is larger than 50 MB"
    assert found["a.md"].text is not None


async def test_what_is_below_a_folder_that_cannot_be_looked_into_is_not_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "a.md").write_text("words")
    (tmp_path / "b.md").write_text("words")
    connector = connect(GuidelineSource(name="x", kind="guideline", folder=tmp_path))
    first = await look(connector)
    scan = os.scandir

    def refuse(path: Path) -> Any:
        if str(path).endswith("deep"):  # root may look into everything, so no mode of the folder would do
            raise PermissionError(13, "Permission denied")
        return scan(path)

    monkeypatch.setattr(os, "scandir", refuse)
    found = await look(connector, prints(first))
    assert found["b.md"].problem is None
    assert found["deep"].problem == "it cannot be opened (Permission denied)"
    assert found["deep/a.md"].problem == "its folder deep: it cannot be opened (Permission denied)"
    assert found["deep/a.md"].fingerprint == first["deep/a.md"].fingerprint


class Site(http.server.BaseHTTPRequestHandler):
    """Pages with an ETag; `status` answers something else."""

    pages: ClassVar[dict[str, str]] = {}
    status: ClassVar[dict[str, int]] = {}
    sent: ClassVar[list[int]] = []

    def do_GET(self) -> None:
        page = self.pages.get(self.path)
        status = self.status.get(self.path, 200 if page is not None else 404)
        etag = f'"{hash(page)}"'
        if status == 200 and self.headers.get("If-None-Match") == etag:
            status = 304
        self.sent.append(status)
        self.send_response(status)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        if status in (200, 304):
            self.send_header("ETag", etag)
        body = (page or "").encode() if status == 200 else b""
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def site() -> Iterator[str]:
    Site.pages, Site.status = {"/a": "<h1>A</h1><p>one</p>", "/b": "<p>two</p>"}, {}
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Site)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


async def test_addresses_are_asked_for_conditionally(site: str) -> None:
    urls = [f"{site}/a", f"{site}/b"]
    connector = connect(GuidelineSource.model_validate({"name": "x", "kind": "guideline", "urls": urls}))
    first = await look(connector)
    assert [item.text is not None for item in first.values()] == [True, True]
    assert first[urls[0]].text is not None
    assert first[urls[0]].text.title == "A"
    Site.sent.clear()
    second = await look(connector, prints(first))
    assert Site.sent == [304, 304]
    assert all(item.text is None and item.problem is None for item in second.values())
    Site.pages["/a"] = "<p>other</p>"
    Site.status["/b"] = 503
    third = await look(connector, prints(first))
    assert third[urls[0]].text is not None
    assert third[urls[1]].problem == "its server answered HTTP 503"
    assert third[urls[1]].fingerprint == first[urls[1]].fingerprint
    del Site.pages["/a"]
    Site.status.clear()
    assert (await look(connector, prints(first)))[urls[0]].deleted


async def test_an_address_that_cannot_be_reached_is_a_problem_of_that_document(site: str) -> None:
    urls = ["http://127.0.0.1:9/x", f"{site}/b"]
    seen = await look(connect(GuidelineSource.model_validate({"name": "x", "kind": "guideline", "urls": urls})))
    assert "cannot be reached" in (seen[urls[0]].problem or "")
    assert seen[urls[1]].text is not None


CSV = "code,name,dose\nA1,aspirin,81 mg\nA2,heparin,5000 units\n,,\nA3,,1 mg\nA1,again,2 mg\n"


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("m.csv", CSV),
        ("m.csv", CSV.replace(",", ";")),
        ("m.csv", CSV.replace(",", "\t")),
        (
            "m.json",
            json.dumps(
                [
                    {"code": "A1", "name": "aspirin", "dose": "81 mg"},
                    {"code": "A2", "name": "heparin", "dose": "5000 units"},
                    {"code": "A3", "dose": "1 mg"},
                    {"code": "A1", "name": "again"},
                ]
            ),
        ),
    ],
    ids=["comma", "semicolon", "tab", "json"],
)
async def test_a_formulary_is_one_document_a_medicine(tmp_path: Path, file: str, content: str) -> None:
    (tmp_path / file).write_text(content)
    source = FormularySource(name="x", kind="formulary", file=tmp_path / file, id_column="code")
    seen = await look(connect(source))
    text = seen["A1"].text
    assert text is not None
    assert text.title == "aspirin"
    assert "dose: 81 mg" in str(text.blocks)
    assert sorted(item.problem for item in seen.values() if item.problem) == [
        "row 3 has no 'name'",
        "row 4 repeats 'A1'",
    ]
    assert all(item.text is None for item in (await look(connect(source), prints(seen))).values() if not item.problem)


@pytest.mark.parametrize("content", ["", "a,b\n1,2\n", "{}", "nonsense"])
async def test_a_formulary_without_medicines_is_a_failure_or_empty(tmp_path: Path, content: str) -> None:
    file = tmp_path / ("m.json" if content in ("{}", "nonsense") else "m.csv")
    file.write_text(content)
    connector = connect(FormularySource(name="x", kind="formulary", file=file))
    if content == "":
        assert await look(connector) == {}
    else:
        with pytest.raises(PermanentError, match="formulary"):
            await look(connector)

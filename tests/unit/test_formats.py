"""Documents of every format become the same blocks; what cannot be read says why."""

import io
from contextlib import suppress

import docx
import pypdfium2
import pytest

from services.ingest.documents import formats
from services.ingest.documents.blocks import Heading, Paragraph, Table, UnreadableDocumentError

HTML = """<html><head><title>Site: Gout</title><style>x{}</style></head><body><nav><a>Home</a></nav>
<main><h1>Gout</h1><p>Gout is <b>painful</b>.<br>Very.</p><h2>Care</h2><ul><li>Rest</li>
<li>Ice<ul><li>not too cold</li></ul></li></ul>
<table><tr><th>drug</th><th>dose</th></tr><tr><td>colchicine</td><td>0.5 mg</td></tr></table>
<div>Loose words <span>in a span</span></div></main><footer>© nobody</footer><script>alert(1)</script></body></html>"""
MARKDOWN = """---
author: x
---
# Gout

Gout is **painful**.

## Care

- Rest
- Ice

| drug | dose |
|---|---|
| colchicine | 0.5 mg |
"""


def test_html_without_its_frame() -> None:
    text = formats.parse_document("gout.html", HTML.encode())
    assert text.title == "Gout"
    assert text.blocks == (
        Heading(1, "Gout"),
        Paragraph("Gout is painful. Very."),
        Heading(2, "Care"),
        Paragraph("Rest"),
        Paragraph("Ice"),
        Paragraph("not too cold"),
        Table("drug | dose", ("colchicine | 0.5 mg",)),
        Paragraph("Loose words in a span"),
    )


def test_markdown_with_front_matter_and_table() -> None:
    text = formats.parse_document("gout.md", MARKDOWN.encode())
    assert (text.title, text.blocks[-1]) == ("Gout", Table("drug | dose", ("colchicine | 0.5 mg",)))
    assert Paragraph("Rest") in text.blocks
    assert "author" not in str(text.blocks)


def test_docx_with_styles_and_table() -> None:
    document = docx.Document()
    document.add_heading("Gout", 0)
    document.add_heading("Care", 2)
    document.add_paragraph("Rest and ice.")
    table = document.add_table(rows=2, cols=2)
    for index, value in enumerate(("drug", "dose", "colchicine", "0.5 mg")):
        table.rows[index // 2].cells[index % 2].text = value
    file = io.BytesIO()
    document.save(file)
    text = formats.parse_document("gout.docx", file.getvalue())
    assert text.title == "Gout"
    assert text.blocks[1:] == (
        Heading(2, "Care"),
        Paragraph("Rest and ice."),
        Table("drug | dose", ("colchicine | 0.5 mg",)),
    )


def test_plain_text_by_empty_lines_and_numbered_headings() -> None:
    text = formats.parse_document("gout_care.txt", b"1.2 Care of gout\nRest\nand ice.\n\nMore words.\r\n")
    assert text.title == "gout care"
    assert text.blocks == (Heading(3, "1.2 Care of gout"), Paragraph("Rest and ice."), Paragraph("More words."))


def pdf(words: str | None) -> bytes:
    """A PDF by hand: one page, with or without text."""
    stream = f"BT /F1 12 Tf 72 700 Td ({words}) Tj ET".encode() if words else b"0 0 100 100 re f"
    parts = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 612 792]/Contents 4 0 R/Resources<</Font<</F1 5 0 R>>>>>>",
        b"<</Length %d>>stream\n%s\nendstream" % (len(stream), stream),
        b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
    ]
    out, offsets = b"%PDF-1.4\n", []
    for number, part in enumerate(parts, 1):
        offsets.append(len(out))
        out += b"%d 0 obj%s endobj\n" % (number, part)
    table = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    return out + b"xref\n0 6\n0000000000 65535 f \n%strailer<</Size 6/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF" % (
        table,
        len(out),
    )


def test_a_pdf_with_text() -> None:
    text = formats.parse_document("gout.pdf", pdf("Gout is painful."))
    assert text.blocks == (Paragraph("Gout is painful."),)


def test_a_password_is_named() -> None:
    class Locked:
        def __init__(self, *_: object) -> None:
            raise pypdfium2.PdfiumError("Failed to load document (PDFium: Incorrect password error).")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pypdfium2, "PdfDocument", Locked)
        with pytest.raises(UnreadableDocumentError, match="password"):
            formats.parse_document("x.pdf", b"%PDF-1.7")


@pytest.mark.parametrize(
    ("name", "data", "reason"),
    [
        ("scan.pdf", pdf(None), "it is a scan: its pages are pictures without text"),
        ("x.pdf", b"nothing", "it is not a PDF, or damaged"),
        ("x.docx", b"nothing", "it is not a DOCX file, or damaged"),
        ("x.html", b"", "it is empty"),
        ("x.md", b"  \n", "it is empty"),
        ("x.html", b"<html><body><img src=x></body></html>", "there is no text in it"),
        ("x.txt", b"\n\n", "there is no text in it"),
        ("x.exe", b"x", "its format is not one of HTML, PDF, DOCX, Markdown and text"),
    ],
)
def test_what_cannot_be_read_says_why(name: str, data: bytes, reason: str) -> None:
    with pytest.raises(UnreadableDocumentError) as error:
        formats.parse_document(name, data)
    assert str(error.value) == reason


@pytest.mark.parametrize("encoding", ["utf-8", "cp1252", "utf-8-sig"])
def test_encodings_are_found(encoding: str) -> None:
    (paragraph,) = formats.parse_document("x.txt", "Ménière’s disease".encode(encoding)).blocks
    assert paragraph == Paragraph("Ménière’s disease")


@pytest.mark.parametrize("data", [bytes(range(256)) * 20, b"<" * 5000, b"# " * 5000, b"|" * 5000, b"<p>" * 5000])
@pytest.mark.parametrize("name", ["x.html", "x.md", "x.txt", "x.pdf", "x.docx"])
def test_dirt_is_read_or_refused_and_nothing_else(name: str, data: bytes) -> None:
    with suppress(UnreadableDocumentError):
        formats.parse_document(name, data)

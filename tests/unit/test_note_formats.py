"""The text of a note from whatever it is kept in; what cannot be read says why, and takes nobody with it."""

import base64
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.drafter.notes import formats, html_text, pdf, rtf
from services.drafter.notes.formats import UnreadableAttachmentError
from tests.stays.notes.writing import encoded
from tests.stays.notes.writing import pdf as written_pdf

LINES = "Assessment:\nSeen by Dr. Müller – afebrile, “better”.\n- {bracket} \\slash 50 %"


@pytest.mark.parametrize("form", ["text", "html", "xhtml", "rtf"])
def test_each_form_gives_the_same_words(form: formats.Format) -> None:
    data = encoded(LINES, form)  # type: ignore[arg-type]
    kind = formats.detect_format(data, {"text": "text/plain", "rtf": "application/rtf"}.get(form, "text/html"))
    assert kind == ("html" if form == "xhtml" else form)
    assert formats.text_of(data, kind, None).split() == LINES.split()


async def test_a_pdf_gives_the_same_words() -> None:
    assert (await pdf.text_of(written_pdf("Assessment:\nPneumonia, improving.\n" * 60))).split()[:3] == [
        "Assessment:", "Pneumonia,", "improving.",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"%PDF-1.7 nothing", "damaged"),
        (b"", "damaged"),
        (written_pdf(""), "scan"),
        (written_pdf("\n".join(["line"] * 201), per_page=1), "too long"),
    ],
)
async def test_a_pdf_without_text_says_why(data: bytes, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        await pdf.text_of(data)


async def test_a_pdf_that_takes_too_long_is_given_up() -> None:
    with pytest.raises(ValueError, match="too long"):
        await pdf.text_of(written_pdf("text"), seconds=0.0001)


def test_the_reader_of_pdf_imports_nothing_of_countersign() -> None:
    source = (pdf._CHILD_PROGRAM).read_text()
    assert not [line for line in source.splitlines() if line.strip().startswith(("from services", "from shared"))]
    assert sys.executable


@pytest.mark.parametrize(
    ("source", "text"),
    [
        (r"{\rtf1\ansi\ansicpg1252 caf\'e9 \u8220?x\u8221?\par next}", "café “x”\nnext"),
        (r"{\rtf1\uc2 \u946xxa}", "βa"),
        (r"{\rtf1\u-10179?\u-8704?}", "\U0001f600"),
        (r"{\rtf1{\fonttbl{\f0 Arial;}}{\colortbl;\red1;}{\*\secret hidden}{\info{\title T}}said}", "said"),
        (r"{\rtf1 a{\v unseen}b\v0 c}", "abc"),
        (r"{\rtf1 one\cell two\cell\row three}", "one | two | \nthree"),
        ("{\\rtf1 before{\\pict\\bin4 }}}}} after}", "before after"),
        (r"{\rtf1\ansicpg1251\'ef\'f0\'e8}", "при"),
        ("{\\rtf1 wrapped\r\nword}", "wrappedword"),
        ("{\\rtf1 cut off \\", "cut off "),
    ],
)
def test_rtf(source: str, text: str) -> None:
    assert rtf.text_of(source) == text


@pytest.mark.parametrize("source", ["", "plain", "{\\rtf1" + "{" * 5000, "{\\rtf1 " + "a" * (rtf.MAX_CHARACTERS + 1)])
def test_what_is_no_rtf_or_a_bomb_is_refused(source: str) -> None:
    with pytest.raises(ValueError):
        rtf.text_of(source)


@given(st.text(alphabet=st.sampled_from("\\{}'*u19 ab~\n-cpg"), max_size=200))
def test_no_rtf_breaks_the_reader(text: str) -> None:
    rtf.text_of("{\\rtf1" + text)


@given(st.text(max_size=200))
def test_no_markup_breaks_the_reader(text: str) -> None:
    html_text.lines_of(f"<div>{text}</div>")


def test_html_keeps_lines_items_and_cells_apart_and_drops_what_is_not_shown() -> None:
    source = (
        "<html><head><style>p{}</style></head><body><p>One <b>two</b></p><ul><li>a</li><li>b</li></ul>"
        "<table><tr><td>K</td><td>4.1</td></tr></table><p style='display: none'>hidden</p><script>x()</script>"
        "first<br>second<!-- comment --></body></html>"
    )
    assert html_text.lines_of(source).split("\n") == ["One two", "- a", "- b", "K | 4.1", "first", "second"]


def test_markup_that_is_nested_without_end_is_no_end_of_the_reader() -> None:
    html_text.lines_of("<div>" * 20_000 + "deep")


@pytest.mark.parametrize(
    ("attachment", "reason"),
    [
        ({"data": "not base64!"}, "damaged"),
        ({"data": "A" * (formats.MAX_ATTACHMENT_BYTES * 4 // 3 + 2000)}, "larger than 5 MB"),
    ],
)
def test_inline_data_that_cannot_be_used(attachment: dict[str, str], reason: str) -> None:
    with pytest.raises(UnreadableAttachmentError, match=reason):
        formats.data_of(attachment)


@pytest.mark.parametrize("stated", ["text/plain", "application/rtf", "text/html"])
def test_a_format_is_told_by_its_first_bytes(stated: str) -> None:
    assert formats.detect_format(b"%PDF-1.4", stated) == "pdf"
    assert formats.detect_format(b"\xef\xbb\xbf{\\rtf1", stated) == "rtf"


@pytest.mark.parametrize("stated", ["image/png", "application/msword", "application/xml", None])
def test_other_formats_are_not_guessed_and_named_only_if_they_are_types(stated: str | None) -> None:
    assert formats.detect_format(b"hello", stated) is None
    assert str(formats.unknown_format_reason("evil <b>")) == "its format is not one of text, HTML, RTF and PDF"
    assert "(image/png)" in str(formats.unknown_format_reason("image/png; x=1"))


def test_office_files_that_are_called_text_are_not_read_as_text() -> None:
    assert formats.detect_format(b"\xd0\xcf\x11\xe0" + bytes(100), "text/plain") is None


@pytest.mark.parametrize(
    ("data", "stated", "text"),
    [
        ("naïve".encode(), "text/plain", "naïve"),
        ("naïve".encode("cp1252"), "text/plain", "naïve"),
        ("naïve".encode("utf-16"), "text/plain", "naïve"),
        ("при".encode("cp1251"), 'text/plain; charset="windows-1251"', "при"),
        ("naïve".encode("cp1252"), "text/plain; charset=nonsense", "naïve"),
    ],
)
def test_characters_are_read_by_mark_then_utf8_then_the_stated_charset(data: bytes, stated: str, text: str) -> None:
    assert formats.text_of(data, "text", stated) == text


def test_a_text_that_is_empty_or_too_long_says_so() -> None:
    with pytest.raises(UnreadableAttachmentError, match="no text"):
        formats.text_of(b" \n--\n", "text", None)
    with pytest.raises(UnreadableAttachmentError, match="longer than"):
        formats.text_of(b"word " * formats.MAX_TEXT_CHARACTERS, "text", None)


def test_of_several_formats_text_comes_first_and_pictures_last() -> None:
    kinds = ["image/png", "application/pdf", "text/html", "text/plain", "text/rtf"]
    document = {
        "content": [{"attachment": {"contentType": kind, "data": base64.b64encode(b"x").decode()}} for kind in kinds]
    }
    assert [part["contentType"] for part in formats.attachments_of(document)] == [
        kinds[3],
        kinds[2],
        kinds[4],
        kinds[1],
        kinds[0],
    ]

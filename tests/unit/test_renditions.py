"""The signed text as XHTML and PDF: all of it, nothing else, whatever is written in it."""

import io
import re
from collections.abc import Iterator
from itertools import pairwise

import pikepdf
import pypdfium2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lxml import etree

from services.approval.filing.renditions import signed
from services.approval.filing.renditions.make import CONTENT_TYPES, FHIR, PDF, TEXT, XHTML, make
from services.approval.filing.renditions.xhtml import NAMESPACE
from services.approval.settings import parse_content_types
from tests.support.renditions import IDENTITY, source, text_of, words

HTML = f"{{{NAMESPACE}}}"
HOSTILE = '#panic("x") *bold* $x$ `code` <script>alert(1)</script> &amp; ]]> \\ @ref // --'


def page(text: str | None = None) -> etree._Element:
    """The XHTML, read by a parser that fetches nothing."""
    return etree.fromstring(make(source(text), [XHTML], "a4")[XHTML], etree.XMLParser(resolve_entities=False))


def printed(text: str | None = None) -> bytes:
    return make(source(text), [PDF], "a4")[PDF]


def words_in(root: etree._Element) -> str:
    (main,) = root.iter(f"{HTML}main")
    return " ".join(main.itertext())


def lines_of(read: signed.SignedText) -> Iterator[signed.Line]:
    return (line for section in read.sections for block in section.blocks for line in block.lines)


def test_the_same_source_gives_the_same_bytes() -> None:
    assert make(source(), CONTENT_TYPES, "a4") == make(source(), CONTENT_TYPES, "a4")
    assert list(make(source(), reversed(CONTENT_TYPES), "a4")) == [TEXT, XHTML, PDF, FHIR]


def test_parts_groups_and_facts_are_found_in_the_text() -> None:
    read = signed.read(text_of(), source().draft)
    assert read.title == "DISCHARGE SUMMARY"
    assert [section.code for section in read.sections][:2] == [None, "reason-for-hospitalization"]
    assert {line.source for line in lines_of(read) if line.source} >= {"Condition/c1", "MedicationRequest/m2"}


def test_a_line_that_was_changed_or_moved_is_no_fact_any_more() -> None:
    text = text_of().replace("Penicillin: rash", "Penicillin: no rash").replace("  - Blood culture\n", "")
    text = text.replace("Follow-up:\n", "Follow-up:\n  - Blood culture\n")
    read = signed.read(text, source().draft)
    sources = {line.text: line.source for line in lines_of(read)}
    assert sources["Penicillin: no rash"] == sources["Blood culture"] == ""
    assert not any("AllergyIntolerance" in found for found in sources.values())


def test_a_table_says_no_more_than_the_line_that_was_signed() -> None:
    (table,) = page().iter(f"{HTML}table")
    rows = [[cell.text for cell in row] for row in table.iter(f"{HTML}tr")]
    assert rows[1:] == [
        ["Lisinopril", "10 mg PO daily", None, "new"],
        ["Warfarin", "5 mg PO daily", "PO", "stopped"],
    ]
    assert {cell.get("scope") for cell in table.iter(f"{HTML}th")} == {"col", "row"}


@pytest.mark.parametrize("changed", ["Warfarin, 5 mg PO daily — continued", "Warfarin is stopped"])
def test_a_row_that_was_changed_makes_its_table_a_list(changed: str) -> None:
    text = text_of().replace("Warfarin, 5 mg PO daily — stopped", changed)
    root = page(text)
    assert not list(root.iter(f"{HTML}table"))
    assert words(words_in(root)) == words(text)


def test_the_page_is_strict_has_a_language_and_headings_in_order() -> None:
    data = make(source(), [XHTML], "a4")[XHTML]
    root = page()
    assert data.startswith(b"<?xml")
    assert root.tag == f"{HTML}html"
    assert root.get("lang") == root.get("{http://www.w3.org/XML/1998/namespace}lang") == "en"
    levels = [int(item.tag[-1]) for item in root.iter() if re.fullmatch(r"h[1-6]", item.tag.removeprefix(HTML))]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    assert not list(root.iter(f"{HTML}script"))
    (footer,) = root.iter(f"{HTML}footer")
    assert "Signed by Dr. Ada Moss, NPI 1234567893, 2026-11-23 09:00 UTC." in "".join(footer.itertext())


def test_what_looks_like_markup_is_text_in_every_rendition() -> None:
    text = text_of().replace("She was treated for pneumonia.", HOSTILE)
    root = page(text)
    assert not list(root.iter(f"{HTML}script"))
    assert HOSTILE in words_in(root)
    assert HOSTILE.replace(" ", "") in re.sub(r"\s", "", extracted(printed(text)))


EDITED = st.lists(
    st.tuples(st.integers(0, 60), st.sampled_from(["remove", "double", "replace"]), st.text(max_size=40)), max_size=8
)


@given(EDITED)
@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None, max_examples=150)
def test_whatever_is_edited_all_words_are_there_and_no_others(edits: list[tuple[int, str, str]]) -> None:
    lines = text_of().replace("  - Lisinopril, 10 mg PO daily — new\n", "").replace("Warfarin", "Wafarin").split("\n")
    for at, how, words_typed in edits:
        index = at % len(lines)
        new = {"remove": [], "double": [lines[index]] * 2, "replace": [words_typed]}[how]
        lines[index : index + 1] = new or [""]
    text = "\n".join(lines)
    expected, found = words(signed.writable(text)), words(words_in(page(text)))
    found.subtract(expected)
    added = +found
    assert not -found
    assert added in ({}, words("Discharge summary"))  # its title, where the text has none


def extracted(pdf: bytes) -> str:
    document = pypdfium2.PdfDocument(pdf)
    return "\n".join(page.get_textpage().get_text_range() for page in document)


def test_the_pdf_says_what_it_conforms_to_and_is_tagged() -> None:
    with pikepdf.open(io.BytesIO(printed())) as pdf:
        root = pdf.Root
        assert bool(root.MarkInfo.Marked)
        assert str(root.Lang) == "en"
        assert bool(root.ViewerPreferences.DisplayDocTitle)
        with pdf.open_metadata() as metadata:
            assert metadata["dc:title"] == "DISCHARGE SUMMARY"
            assert (metadata["pdfaid:part"], metadata["pdfaid:conformance"]) == ("2", "A")
            assert metadata["pdfuaid:part"] == "1"
        tags = set(structure(root.StructTreeRoot))
    assert {"/H1", "/H2", "/H3", "/P", "/L", "/LI", "/Table", "/TH", "/TD"} <= tags


def structure(element: pikepdf.Object) -> Iterator[str]:
    """The tags below an element of the structure tree."""
    children = element.get("/K", [])
    for child in children if isinstance(children, pikepdf.Array) else [children]:
        if isinstance(child, pikepdf.Dictionary) and "/S" in child:
            yield str(child.S)
            yield from structure(child)


def test_every_page_has_the_patient_the_hospital_and_its_number() -> None:
    text = text_of().replace("She was treated for pneumonia.", "\n  ".join(f"Day {n}: better." for n in range(150)))
    document = pypdfium2.PdfDocument(printed(text))
    assert len(document) > 2
    for number, sheet in enumerate(document, start=1):
        found = sheet.get_textpage().get_text_range()
        assert IDENTITY in found
        assert "Elm Hospital" in found
        assert f"Page {number} of {len(document)}" in found


def test_all_words_are_in_the_pdf() -> None:
    text = text_of()
    found = set(words(extracted(printed())))
    assert set(words(text)) <= found


@pytest.mark.parametrize("name", ["王小明", "محمد علي", "Łukasz Żółć", "Ελένη", "Ольга", "김민수", "Nguyễn Văn Hà"])
def test_names_in_other_scripts_are_printed(name: str) -> None:
    text = text_of().replace("She was treated", f"{name} was treated")
    assert PDF in make(source(text), [PDF], "a4")
    assert name in words_in(page(text))


def test_a_character_that_no_font_has_leaves_the_pdf_out_and_nothing_else() -> None:
    text = text_of().replace("She was treated", "😀 was treated")
    found = make(source(text), CONTENT_TYPES, "a4")
    assert list(found) == [TEXT, XHTML, FHIR]
    assert make(source(text), [PDF], "a4") == {TEXT: text.encode()}


def test_a_pdf_that_is_too_large_for_the_store_is_left_out() -> None:
    ideographs = "".join(chr(0x4E00 + n) for n in range(6000))
    found = make(source(text_of().replace("She was treated", ideographs)), CONTENT_TYPES, "a4")
    assert list(found) == [TEXT, XHTML, FHIR]


def test_a_word_longer_than_a_line_stays_on_the_page() -> None:
    word = "".join(chr(ord("a") + n % 26) for n in range(600))
    document = pypdfium2.PdfDocument(printed(text_of().replace("pneumonia.", word)))
    found = [sheet.get_textpage() for sheet in document]
    right = max(sheet.get_charbox(n)[2] for sheet in found for n in range(sheet.count_chars()))
    assert right < document[0].get_width()
    assert word in re.sub(r"\W", "", "".join(sheet.get_text_range() for sheet in found))


def test_characters_that_xml_does_not_have_are_seen_as_such() -> None:
    text = text_of().replace("She was treated", "She\x00 was\ufeff trea\x07ted")
    assert "She\ufffd was trea\ufffdted" in words_in(page(text))
    assert make(source(text), [PDF], "a4")[PDF]


def test_a_setting_names_the_contents_that_an_ehr_takes() -> None:
    assert parse_content_types("application/pdf, text/plain") == (TEXT, PDF)
    with pytest.raises(ValueError, match="text/plain"):
        parse_content_types("text/rtf")

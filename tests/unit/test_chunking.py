"""Chunks by structure: what stays together, what is never cut, and ids that stay."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.ingest.documents.blocks import Block, Heading, Paragraph, ParsedDocument, Table
from services.ingest.documents.chunking import chunk
from shared.contracts.knowledge import Chunk


def words(text: str) -> int:
    return len(text.split())


def cut(*blocks: Block, tokens: int = 12, title: str = "Guide") -> list[Chunk]:
    return chunk("s", "d.md", ParsedDocument(title, blocks), tokens=tokens, count=words)


def test_headings_are_the_path_of_what_stands_below_them() -> None:
    chunks = cut(
        Heading(1, "Guide"),
        Heading(2, "Care"),
        Heading(3, "Dose"),
        Paragraph("one"),
        Heading(2, "Risk"),
        Paragraph("two"),
    )
    assert [(item.path, item.text) for item in chunks] == [(("Care", "Dose"), "one"), (("Risk",), "two")]
    assert chunks[0].text_to_embed == "Guide > Care > Dose\none"


def test_short_paragraphs_go_together_and_long_ones_are_cut_between_sentences() -> None:
    chunks = cut(
        Paragraph("a b c"), Paragraph("d e f"), Paragraph("One two three four. Five six seven eight. Nine ten.")
    )
    assert [item.text for item in chunks] == ["a b c\nd e f", "One two three four. Five six seven eight. Nine ten."]
    (first, second) = cut(
        Paragraph("One two three four five six seven. Eight nine ten eleven twelve thirteen fourteen.")
    )
    assert (first.text, second.text) == (
        "One two three four five six seven.",
        "Eight nine ten eleven twelve thirteen fourteen.",
    )


@pytest.mark.parametrize(
    "grade",
    ["Grade 1B", "(Class I, Level of evidence A)", "Strength of recommendation: strong", "[Quality of evidence: low]"],
)
def test_a_recommendation_and_its_grade_stay_together(grade: str) -> None:
    before, recommendation = "a b c d e f g h", "Give x when y is z."
    chunks = cut(Paragraph(before), Paragraph(recommendation), Paragraph(grade), tokens=10)
    assert [item.text for item in chunks] == [before, f"{recommendation}\n{grade}"]


def test_a_table_is_cut_between_rows_and_its_header_repeated() -> None:
    rows = tuple(f"drug{number} | dose{number} | watch{number}" for number in range(5))
    chunks = cut(Paragraph("intro"), Table("name | dose | watch", rows), tokens=16)
    texts = [item.text for item in chunks]
    assert texts[0].startswith("intro\nname | dose | watch\ndrug0")
    assert all("name | dose | watch" in text for text in texts)
    assert [line for text in texts for line in text.splitlines() if line.startswith("drug")] == list(rows)


def test_the_same_words_under_the_same_heading_are_one_chunk() -> None:
    assert (
        len(cut(Heading(2, "A"), Paragraph("x"), Heading(2, "B"), Paragraph("y"), Heading(2, "A"), Paragraph("x"))) == 2
    )


def test_an_id_changes_with_what_is_embedded_and_with_nothing_else() -> None:
    before = {item.text: item.id for item in cut(Heading(2, "A"), Paragraph("x"), Heading(2, "B"), Paragraph("y"))}
    after = {item.text: item.id for item in cut(Heading(2, "C"), Paragraph("z"), Heading(2, "B"), Paragraph("y"))}
    assert before["y"] == after["y"]
    assert cut(Paragraph("x"))[0].id != cut(Paragraph("x"), title="Other")[0].id
    assert cut(Heading(2, "A"), Paragraph("x"))[0].id != cut(Heading(2, "B"), Paragraph("x"))[0].id


texts = st.lists(st.sampled_from("abcdefgh"), min_size=1, max_size=40).map(" ".join)


@given(st.lists(st.one_of(texts.map(Paragraph), st.builds(Heading, st.integers(2, 4), texts)), max_size=20))
def test_no_word_is_lost(blocks: list[Block]) -> None:
    wanted = " ".join(block.text for block in blocks if isinstance(block, Paragraph))
    chunks = chunk("s", "d", ParsedDocument("t", tuple(blocks)), tokens=12, count=words)
    assert set(wanted.split()) == {word for item in chunks for word in item.text.split()}
    assert all(words(item.text) <= 24 for item in chunks)

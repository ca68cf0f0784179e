"""Texts compared: every word of both is there, what differs is named, and no text makes it slow."""

import random
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.approval.review.text_diff import (
    MAX_SHOWN_CHARACTERS,
    MAX_WORD_COMPARISONS,
    Diff,
    DiffRow,
    diff,
    side_by_side,
)

LINES = st.lists(
    st.sampled_from(["A:", "  - one", "two words here", "two other words", "", "three.", "Ünï 漢"]), max_size=12
)


def test_a_diff_says_what_went_and_what_came_and_leaves_the_rest_out() -> None:
    pieces = diff("one\ntwo words here\nthree\n", "one\ntwo other words here\nthree\n").segments
    assert "".join(piece.text for piece in pieces if piece.kind != "added") == "two words here\n"
    assert "".join(piece.text for piece in pieces if piece.kind != "removed") == "two other words here\n"
    assert [piece.text.strip() for piece in pieces if piece.kind == "added"] == ["other"]
    assert diff("one\n", "one\n") == Diff()


def test_a_changed_line_stands_beside_what_it_was_and_below_its_heading() -> None:
    before = "COURSE\nShe came on Monday.\nShe slept.\nEND\n"
    after = "COURSE\nShe came on Tuesday.\nShe was given oxygen by mask.\nEND\nMore.\n"
    rows = side_by_side(before, after, frozenset({"COURSE", "END"}))
    assert [(row.kind, row.under, row.lines) for row in rows] == [
        ("same", "", 1),
        ("changed", "COURSE", 1),
        ("removed", "COURSE", 1),
        ("added", "COURSE", 1),
        ("same", "COURSE", 1),
        ("added", "END", 1),
    ]
    assert [(piece.kind, piece.text) for piece in rows[1].before] == [("same", "She came on "), ("removed", "Monday.")]
    assert [(piece.kind, piece.text) for piece in rows[1].after] == [("same", "She came on "), ("added", "Tuesday.")]


def side(rows: list[DiffRow], which: str) -> list[str]:
    """The words of one side, without the runs that are the same in both."""
    return ["".join(piece.text for piece in getattr(row, which)).strip() for row in rows if getattr(row, which)]


@given(LINES, LINES)
def test_nothing_is_lost_on_either_side(before: list[str], after: list[str]) -> None:
    old, new = ["\n".join(lines) for lines in (before, after)]
    pieces = diff(old, new, most=10**6).segments
    for kind, text in (("added", old), ("removed", new)):
        shown = "".join(piece.text for piece in pieces if piece.kind != kind).splitlines()
        assert set(shown) <= set(text.splitlines()) | {""}
    rows = side_by_side(old, new)
    same = sum(row.lines for row in rows if row.kind == "same")
    for which, lines in (("before", before), ("after", after)):
        words = [line.strip() for line in lines if line.strip()]
        shown = side(rows, which)
        assert len(shown) + same == len(words), "each line is in a row, or in a run of the same ones"
        left = iter(words)
        assert all(line in left for line in shown), "in the order of the text"


def words(seed: int, number: int, between: str) -> str:
    chosen = random.Random(seed)
    return between.join(chosen.choices([f"w{index}" for index in range(5000)], k=number))


@pytest.mark.parametrize("between", [" ", "\n", " \n"])
@pytest.mark.parametrize("number", [300, 3_000, 34_000])
def test_texts_that_have_nothing_in_common_are_compared_at_once(number: int, between: str) -> None:
    """34,000 words are the 200 kB that a text may have; word by word they took minutes."""
    one, other = words(1, number, between), words(2, number, between)
    start = time.process_time()
    pieces, rows = diff(one, other, most=10**6).segments, side_by_side(one, other)
    assert time.process_time() - start < 3.0
    left = iter(one.split())
    assert all(word in left for word in "".join(piece.text for piece in pieces if piece.kind != "added").split())
    same = sum(row.lines for row in rows if row.kind == "same")
    assert len(side(rows, "after")) + same == len(other.splitlines())


def test_one_change_in_a_long_text_is_found_word_by_word() -> None:
    long = "".join(f"  - line {number} of the record\n" for number in range(5000))
    assert len(long.split()) ** 2 > MAX_WORD_COMPARISONS
    changed = long.replace("line 2500 ", "row 2500 ")
    assert len(diff(long, changed).segments) == 4
    assert [row.kind for row in side_by_side(long, changed)] == ["same", "changed", "same"]


def test_a_page_shows_the_beginning_of_a_long_difference_and_says_how_much_follows() -> None:
    before, after = words(1, 10_000, " "), words(2, 10_000, "\n")
    segments, left_out = diff(before, after)
    shown = "".join(piece.text for piece in segments)
    assert len(shown) == MAX_SHOWN_CHARACTERS
    assert (before + after).startswith(shown)
    assert left_out == len(before + after) - len(shown)

"""Edits to a prepared draft in the draft that follows it: none is lost, and none is where its facts have changed."""

from hypothesis import given
from hypothesis import strategies as st

from services.approval.review.merge import Conflict, merge

BASE = "Reason\n  - Pneumonia\nCourse\n  Given amoxicillin 500 mg.\n  Oxygen was stopped on day 2.\nFollow-up\n  None."
WORDS = st.sampled_from(["a", "b", "c", "", "given amoxicillin", "given amoxicillin 500 mg"])


def test_an_edit_stays_where_its_lines_are_the_same() -> None:
    edited = BASE.replace("on day 2", "on day two")
    now = BASE.replace("None.", "Cardiology in a week.")
    found = merge(BASE, edited, now)
    assert found.text == now.replace("on day 2", "on day two")
    assert found.conflicts == ()


def test_an_edit_whose_line_has_changed_is_shown_beside_the_new_line() -> None:
    edited = BASE.replace("500 mg", "500 mg three times a day").replace("on day 2", "on day two")
    now = BASE.replace("500 mg", "875 mg")
    found = merge(BASE, edited, now)
    assert found.text == now.replace("on day 2", "on day two"), "its neighbour stays"
    assert found.conflicts == (
        Conflict(
            "  Given amoxicillin 500 mg.",
            "  Given amoxicillin 500 mg three times a day.",
            "  Given amoxicillin 875 mg.",
        ),
    )


def test_lines_that_both_add_at_one_place_stand_after_each_other() -> None:
    found = merge("a\nb", "a\nmine\nb", "a\nnew\nb")
    assert (found.text, found.conflicts) == ("a\nnew\nmine\nb", ())


def test_a_line_that_was_removed_and_has_changed_is_named() -> None:
    found = merge("a\nGiven amoxicillin 500 mg.\nb", "a\nb", "a\nGiven amoxicillin 875 mg.\nb")
    assert found.text == "a\nGiven amoxicillin 875 mg.\nb"
    assert found.conflicts == (Conflict("Given amoxicillin 500 mg.", "", "Given amoxicillin 875 mg."),)


@given(st.lists(WORDS, max_size=8), st.lists(WORDS, max_size=8), st.lists(WORDS, max_size=8))
def test_no_line_is_lost(base: list[str], edited: list[str], now: list[str]) -> None:
    before, mine, new = ("\n".join(lines) for lines in (base, edited, now))
    found = merge(before, mine, new)
    there = set(found.text.split("\n")) | {line for item in found.conflicts for line in item.edited.split("\n")}
    assert set(mine.split("\n")) - set(before.split("\n")) <= there, "what was written is in the text or beside it"
    assert set(new.split("\n")) - set(before.split("\n")) <= set(found.text.split("\n")), "what is new is in the text"
    assert merge(before, before, new).text == new
    assert merge(before, mine, before).text == mine
    assert merge(before, new, new).text == new

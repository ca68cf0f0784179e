"""Pages of lists in memory."""

import pytest

from shared.runtime.list_pages import page_of
from shared.runtime.problems import ProblemError

LINES = [(3.0, "c"), (1.0, "b"), (2.0, "a"), (1.0, "a")]
ORDER = [(1.0, "a"), (1.0, "b"), (2.0, "a"), (3.0, "c")]


def test_pages_follow_one_another_in_order() -> None:
    found, after = list[tuple[float, str]](), None
    while True:
        page, after = page_of(LINES, lambda line: line, after, 3)
        found += page
        if after is None:
            break
    assert found == ORDER


def test_a_page_that_ends_with_the_list_has_no_next() -> None:
    assert page_of(LINES, lambda line: line, None, 4) == (ORDER, None)
    assert page_of([], lambda line: line, None, 4) == ([], None)


def test_lines_that_go_move_no_others() -> None:
    _, after = page_of(LINES, lambda line: line, None, 2)
    assert page_of(LINES[:1], lambda line: line, after, 2) == (LINES[:1], None)
    assert page_of(ORDER[2:], lambda line: line, after, 2)[0] == ORDER[2:]


@pytest.mark.parametrize("after", ["x", "é", "W10x", "eyJhIjoxfQ", "WzEsMl0", "W251bGxd", "WyJhIiwgMS4wXQ"])
def test_a_cursor_of_something_else_is_refused(after: str) -> None:
    with pytest.raises(ProblemError) as refused:
        page_of(LINES, lambda line: line, after, 2)
    assert refused.value.status == 422

"""Values of a JSON body are counted as it comes in, wherever it is cut."""

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.runtime.json_values import JsonValueCounter

PLAIN = st.recursive(
    st.none() | st.integers() | st.text(max_size=8) | st.sampled_from(['"', "\\", '\\"', "a, b", "[{", '\\\\",']),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=12,
)


def counted(body: bytes, *cuts: int) -> int:
    values, at = JsonValueCounter(), sorted({0, *cuts, len(body)})
    for start, end in pairwise(at):
        values.feed(body[start:end])
    return values.count


def expected(value: object) -> int:
    """Commas, lists and objects of what json.dumps writes."""
    if isinstance(value, dict):
        return 1 + max(len(value) - 1, 0) + sum(map(expected, value.values()))
    if isinstance(value, list):
        return 1 + max(len(value) - 1, 0) + sum(map(expected, value))
    return 0


@given(PLAIN, st.booleans(), st.data())
def test_what_stands_in_strings_counts_nothing_wherever_the_body_is_cut(
    value: object, ascii: bool, data: st.DataObject
) -> None:
    body = json.dumps(value, ensure_ascii=ascii).encode()
    cuts = data.draw(st.lists(st.integers(0, len(body)), max_size=6))
    assert counted(body, *cuts) == expected(value)


@pytest.mark.parametrize(
    ("body", "count"),
    [(b"", 0), (b'{"a":1}', 1), (b"[[],[]]", 4), (b'["a,[{\\",",1]', 2), (b'"' * 100_000, 0), (b"\\" * 99_999, 0)],
)
def test_counts(body: bytes, count: int) -> None:
    assert counted(body) == count
    assert counted(body, *range(0, len(body), 777)) == count

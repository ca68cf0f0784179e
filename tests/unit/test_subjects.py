"""How filters take subjects: https://docs.nats.io/nats-concepts/subjects#wildcards."""

import pytest

from shared.contracts.subjects import fill_wildcards, has_wildcards, subject_matches


@pytest.mark.parametrize(
    ("filter", "subject", "taken"),
    [
        ("a.b", "a.b", True),
        ("a.b", "a.c", False),
        ("a.b", "a.b.c", False),
        ("a.b.c", "a.b", False),
        ("a.*", "a.b", True),
        ("a.*.c", "a.b.c", True),
        ("*.b", "a.b", True),
        ("a.*", "a", False),
        ("a.*", "a.b.c", False),
        ("a.>", "a.b", True),
        ("a.>", "a.b.c.d", True),
        ("a.>", "a", False),  # `>` is one token at least
        ("a.*.>", "a.b", False),
        ("a.*.>", "a.b.c", True),
        (">", "a", True),
        (">", "a.b", True),
        ("a.>", "b.c", False),
        ("a*", "ab", False),  # a wildcard is a whole token
        ("A.b", "a.b", False),
        # Filters within filters.
        ("a.*", "a.*", True),
        ("a.>", "a.*", True),
        ("a.>", "a.>", True),
        ("a.*", "a.>", False),
        ("a.b", "a.*", False),
        ("*.*", "a.>", False),
        (">", ">", True),
        ("*", ">", False),
    ],
)
def test_a_filter_takes_subjects_as_the_server_does(filter: str, subject: str, taken: bool) -> None:
    assert subject_matches(filter, subject) is taken


@pytest.mark.parametrize("filter", ["a.*.c", "a.>", "*.*", ">", "a.b"])
def test_a_filter_takes_the_subject_that_is_made_of_it(filter: str) -> None:
    made = fill_wildcards(filter, "x")
    assert not has_wildcards(made)
    assert subject_matches(filter, made)
    assert has_wildcards(filter) == (made != filter)

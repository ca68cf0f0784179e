"""Names of practitioners as servers send them."""

from typing import Any

import pytest

from services.approval.web.practitioner_search import name_of


@pytest.mark.parametrize(
    ("practitioner", "name"),
    [
        ({"name": [{"prefix": ["Dr."], "given": ["Ann", "B."], "family": "Doe"}]}, "Dr. Ann B. Doe"),
        ({"name": [{"given": None, "prefix": None, "family": "Doe"}]}, "Doe"),
        ({"name": [{"given": [None, "Ann"], "family": None}]}, "Ann"),
        ({"name": None}, ""),
        ({"name": "Doe"}, ""),
        ({"name": [None, {"family": "Doe"}]}, "Doe"),
        ({}, ""),
    ],
)
def test_a_name_is_what_there_is_of_it(practitioner: dict[str, Any], name: str) -> None:
    assert name_of(practitioner) == name

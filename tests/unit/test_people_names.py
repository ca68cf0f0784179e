"""Names of practitioners as servers send them."""

from typing import Any

import pytest

from shared.clinical.elements import person_name


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
    assert (person_name(practitioner, prefixes=True) or "") == name

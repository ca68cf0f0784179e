"""The table of the ASVS leaves no section out, names tests that exist, and says what is missing where it has to."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TABLE = ROOT / "docs/security/asvs.md"
# How many sections each chapter of ASVS 5.0 has.
CHAPTERS = {
    1: 5,
    2: 4,
    3: 7,
    4: 4,
    5: 4,
    6: 8,
    7: 6,
    8: 4,
    9: 2,
    10: 7,
    11: 7,
    12: 3,
    13: 4,
    14: 3,
    15: 4,
    16: 5,
    17: 3,
}
STATES = {"met", "partly", "not met", "n/a", "level 3"}
ROW = re.compile(r"^\| V(\d+\.\d+) ([^|]+)\|([^|]*)\|([^|]*)\|([^|]*)\|([^|]*)\|$", re.MULTILINE)
Row = tuple[str, str, str, str, str]


def rows() -> dict[str, Row]:
    found: dict[str, Row] = {}
    for section, *cells in ROW.findall(TABLE.read_text()):
        assert section not in found, section
        name, state, holds, missing, tests = (cell.strip() for cell in cells)
        found[section] = (name, state, holds, missing, tests)
    return found


def test_every_section_is_there_in_its_order() -> None:
    assert list(rows()) == [f"{chapter}.{n}" for chapter, count in CHAPTERS.items() for n in range(1, count + 1)]


@pytest.mark.parametrize("section", list(rows()))
def test_a_row_says_what_holds_by_which_test_and_what_is_missing(section: str) -> None:
    name, state, holds, missing, tests = rows()[section]
    assert name
    assert state in STATES
    if state in ("met", "partly"):
        assert holds
    if state in ("partly", "not met"):
        assert missing
    assert all(re.fullmatch(r"`tests/[\w/]+\.py`", item) for item in tests.split(", ") if item), tests


@pytest.mark.parametrize("page", sorted((ROOT / "docs/security").glob("*.md")))
def test_every_test_that_is_named_exists(page: Path) -> None:
    named = re.findall(r"`(tests/[\w/]+\.py)`", page.read_text())
    assert [item for item in named if not (ROOT / item).is_file()] == []


@pytest.mark.parametrize("page", [*sorted((ROOT / "docs/security").glob("*.md")), ROOT / "SECURITY.md"])
def test_every_link_leads_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", page.read_text())
    assert [link for link in links if not (page.parent / link).exists()] == []


def test_most_rows_have_a_test() -> None:
    """Where something is claimed of the program; a page of documentation is its own evidence."""
    claimed = [row for row in rows().values() if row[1] in ("met", "partly") and "Written down" not in row[0]]
    assert sum(bool(row[4]) for row in claimed) / len(claimed) > 0.9


def test_the_findings_of_the_first_review_name_tests_that_exist() -> None:
    page = (ROOT / "docs/security/findings.md").read_text()
    rows = re.findall(r"^\| ([SM]\d+) \|.*\| ([^|]*) \|$", page, re.MULTILINE)
    assert [name for name, _ in rows] == [*(f"S{n}" for n in range(1, 21)), *(f"M{n}" for n in range(1, 25))]
    for name, tests in rows:
        found = re.findall(r"`([\w/]+\.py)`", tests)
        assert found, name
        assert all((ROOT / "tests" / path).is_file() for path in found), name

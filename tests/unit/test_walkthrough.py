"""The walkthrough and the glossary name functions, classes and files that exist."""

import importlib
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/explanation/walkthrough.md"
TEXT = PAGE.read_text()
BOTH = TEXT + (ROOT / "docs/glossary.md").read_text()
NAMES = sorted(set(re.findall(r"`((?:services|shared|cli)(?:\.\w+)+)`", BOTH)))
FILES = sorted(set(re.findall(r"`((?:services|shared|cli|tests|deploy|sandbox_ehr|tools)/[\w./]+)`", BOTH)))


def resolve(name: str) -> object:
    """Import the longest module of `name`, and look up the rest as attributes."""
    parts = name.split(".")
    for length in range(len(parts), 0, -1):
        try:
            found: object = importlib.import_module(".".join(parts[:length]))
        except ModuleNotFoundError:
            continue
        for part in parts[length:]:
            found = getattr(found, part)
        return found
    raise ModuleNotFoundError(name)


@pytest.mark.parametrize("name", NAMES)
def test_every_name_can_be_imported(name: str) -> None:
    assert resolve(name) is not None


@pytest.mark.parametrize("file", FILES)
def test_every_file_exists(file: str) -> None:
    assert (ROOT / file).exists()


def test_the_page_names_every_step_of_a_discharge() -> None:
    assert {name.rsplit(".", 1)[1] for name in NAMES if name in TEXT} >= {
        "open",
        "extract",
        "draft",
        "request_review",
        "approve",
        "file",
    }


def test_a_name_that_does_not_exist_is_found() -> None:
    with pytest.raises(AttributeError):
        resolve("shared.contracts.case.no_such_function")
    with pytest.raises(ModuleNotFoundError):
        resolve("no_such_package.module")

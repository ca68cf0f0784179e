"""What the hook accepts as the subject of a commit."""

import importlib.util
from pathlib import Path

import pytest

SPEC = importlib.util.spec_from_file_location("commit_message", Path(__file__).parents[2] / ".ci/commit_message.py")
assert SPEC is not None
assert SPEC.loader is not None
commit_message = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(commit_message)


@pytest.mark.parametrize(
    "subject",
    [
        "messaging: define a step once",
        "approval/web: process forms in one place",
        "docs: embed the glossary",
        "Merge branch 'docs'",
        'Revert "docs: add a page"',
        "drafter: " + "x" * 63,
    ],
)
def test_is_accepted(subject: str) -> None:
    assert commit_message.complaint(f"{subject}\n\nWhy it was done.\n") is None


@pytest.mark.parametrize(
    ("subject", "because"),
    [
        ("Say who read the drafts", "area"),
        ("docs: Add a page", "area"),
        ("docs: add a page.", "area"),
        ("docs: added a page", "imperative"),
        ("docs: adding a page", "imperative"),
        ("docs: adds a page", "imperative"),
        ("drafter: " + "x" * 64, "73 characters"),
        ("", "area"),
    ],
)
def test_is_refused(subject: str, because: str) -> None:
    assert because in commit_message.complaint(f"# a comment\n{subject}\n")


def test_the_subject_is_the_first_line_that_is_no_comment() -> None:
    assert commit_message.complaint("# Please enter the message\n\ndocs: add a page\n") is None

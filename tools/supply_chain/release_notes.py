"""The notes of a release: its part of the changelog, for the text of its signed tag."""

import re
from hashlib import sha256

HEADING = re.compile(r"^## (?P<name>\S+).*$", re.MULTILINE)
SECURITY = "### Security"


def releases(changelog: str) -> dict[str, str]:
    """Return the text of each release by its version, newest first."""
    marks = list(HEADING.finditer(changelog))
    ends = [mark.start() for mark in marks[1:]] + [len(changelog)]
    return {mark["name"]: changelog[mark.end() : end].strip() for mark, end in zip(marks, ends, strict=True)}


def release_notes(changelog: str, version: str, bill: bytes) -> str:
    """Return the message of the release's tag. `bill` is the bill of materials that is published with it.

    Raises ValueError for a version that has no text, or none about security.
    """
    if (text := releases(changelog).get(version)) is None:
        raise ValueError(f"CHANGELOG.md has no part for {version}")
    if SECURITY not in text:
        raise ValueError(f"CHANGELOG.md says nothing about security for {version}: {SECURITY}")
    return f"Countersign {version}\n\n{text}\n\ncountersign.cdx.json SHA-256 {sha256(bill).hexdigest()}\n"

"""Pseudonyms of whole records: what their texts have of their own identifiers, and of clinical words."""

import json
import re
from collections import defaultdict
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from services.drafter.pseudonyms.known_names import name_words
from services.drafter.pseudonyms.pseudonyms import Pseudonyms
from services.drafter.pseudonyms.word_lists import words_of
from services.drafter.record.identifiers import read_identifiers
from services.drafter.source_record import SourceRecord

SHARED = Path(__file__).parents[3] / "shared" / "data"
FILES = [item for item in sorted(SHARED.glob("stays/*.json")) if ".facts." not in item.name]
TEXTS = frozenset(
    [
        "text",
        "display",
        "div",
        "summary",
        "valueString",
        "conclusion",
        "note",
        "patientInstruction",
        "description",
        "name",
    ]
)
CHUNK = 3000  # characters: more than a prompt has


def _texts(value: object, name: str = "") -> Iterator[str]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _texts(item, key)
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item, name)
    elif isinstance(value, str) and name in TEXTS:
        yield re.sub(r"<[^>]*>", " ", value)


def _record(resources: list[dict[str, Any]]) -> SourceRecord:
    entries: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
    for item in resources:
        entries[item["resourceType"]].append(item)
    found = SourceRecord(entries["Encounter"][0], entries["Patient"][0], {})
    found.entries = dict(entries)
    return found


@pytest.mark.skipif(not FILES, reason=f"{SHARED} is not there")
@pytest.mark.parametrize("file", FILES, ids=lambda item: item.stem)
def test_the_texts_of_a_record_leave_without_its_names_and_numbers(file: Path) -> None:
    resources = [item.get("resource", item) for item in json.loads(file.read_text())["entry"]]
    identifiers = read_identifiers(_record(resources))
    assert identifiers
    words = {word.text for item in identifiers if item.kind == "person" for word in name_words(item.text)}
    unmistakable = {item for item in words if len(item) > 4 and item.casefold() not in words_of("common")}
    numbers = {item.text for item in identifiers if item.kind == "number" and len(item.text) > 5}
    text = "\n".join(dict.fromkeys(_texts(resources)))
    for start in range(0, len(text), CHUNK):
        part = text[start : start + CHUNK]
        found = Pseudonyms(b"k" * 32, "case", date(2026, 6, 30), identifiers)
        sent = found.replace(part)
        assert found.restore(sent) == part
        left = [item for item in unmistakable if re.search(rf"(?<![^\W_]){re.escape(item)}(?![^\W_])", sent)]
        assert not left
        assert not [item for item in numbers if item in sent]

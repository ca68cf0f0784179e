"""Stays that stand beside the checkout as Bundles in the shapes of other systems; their sheets are judged elsewhere."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tests.stays.elements import BASE
from tests.stays.model import Stay

FOLDER = Path(__file__).parents[3] / "shared" / "data" / "stays"
PLACEHOLDER = "http://fhir.example.test/r4"  # stands in the files for the server's own address


def stays(tell: Callable[[str], None]) -> Iterator[Stay]:
    """Each Bundle with the encounter that its sheet names; none, told in words, where the folder is absent."""
    if not FOLDER.is_dir():
        tell("the shared stays are not here (../shared/data/stays): they are left out")
        return
    for sheet in sorted(FOLDER.glob("*.facts.json")):
        named: dict[str, Any] = json.loads(sheet.read_text())
        text = sheet.with_name(sheet.name.replace(".facts.json", ".json")).read_text()
        bundle: dict[str, Any] = json.loads(text.replace(PLACEHOLDER, BASE))
        resources = tuple(entry["resource"] for entry in bundle["entry"])
        name = sheet.name.removesuffix(".facts.json")
        yield Stay(name, "shared stays", named.get("about", ""), named["encounter"], resources)

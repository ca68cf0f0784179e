"""The authors of the development split: ways of writing, each in a text file of `authors/`.

`[type]` is followed by its templates, `[= part]` by rows `key = word | word` of a part of `Wording`, `[whole: kind]` by
sentences that no record supports, each with words that the record must not have.
"""

from collections.abc import Iterator
from pathlib import Path

from tests.claims.model import Wording

FOLDER = Path(__file__).parent / "authors"


def authors() -> tuple[Wording, ...]:
    """All of them, by their names."""
    return tuple(_wording(path) for path in sorted(FOLDER.glob("*.txt")))


def _wording(path: Path) -> Wording:
    templates: dict[str, tuple[str, ...]] = {"whole": ("{sentence}",)}
    whole: dict[str, tuple[tuple[str, ...], ...]] = {}
    parts: dict[str, dict[str, tuple[str, ...]]] = {}
    for name, lines in _sections(path.read_text()):
        if name.startswith("whole: "):
            whole[name.removeprefix("whole: ")] = tuple(_cells(line) for line in lines)
        elif name.startswith("= "):
            rows = (line.partition(" = ") for line in lines)
            parts[name.removeprefix("= ")] = {key: _cells(words) for key, _, words in rows}
        else:
            templates[name] = tuple(lines)
    return Wording(
        templates=templates,
        frequency=parts["frequency"],
        route=parts["route"],
        tests=parts["tests"],
        findings=parts["findings"],
        ways=parts["ways"],
        whole=whole,
        number=0,
        author=path.stem,
    )


def _cells(line: str) -> tuple[str, ...]:
    return tuple(cell.strip() for cell in line.split(" | "))


def _sections(text: str) -> Iterator[tuple[str, list[str]]]:
    for section in text.split("\n[")[1:]:
        name, _, rest = section.partition("]\n")
        yield name, [line for line in rest.splitlines() if line.strip()]

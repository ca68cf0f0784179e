"""How a canary is printed beside the live configuration."""

from typing import Any

from cli.edits_view import ratings_in_words
from cli.output import make_table, print_table

SIDES = ("canary", "live")


def print_comparison(found: dict[str, Any]) -> None:
    """Print an answer of `GET /v1/drafters/{digest}/comparison`."""
    table = make_table("", "decisions", "rejected", "edited", "sentences replaced", "characters changed")
    for side in SIDES:
        item = found[side]
        means = f"{item['replaced']:.1%}", f"{item['distance']:.0f}"
        table.add_row(side, *(str(item[name]) for name in ("decisions", "rejected", "edited")), *means)
    print_table(table)
    print_table(_signals(found["signals"]))
    if found["parts"]:
        print_table(_parts(found["parts"]))
    for side in SIDES:
        print(f"{side:<8}  rated {ratings_in_words(found[side]['ratings'])}")
    print(f"pairs     canary worse {found['worse']}, better {found['better']}, same {found['same']}")
    print(f"evidence  {found['evidence']:.3g} against the canary")


def _signals(items: list[dict[str, Any]]) -> Any:
    table = make_table("signal", "canary", "decisions", "live", "decisions")
    for item in items:
        cells = ((_share(item[side]), str(item[f"{side}_decisions"])) for side in SIDES)
        table.add_row(item["name"], *(cell for pair in cells for cell in pair))
    return table


def _parts(items: list[dict[str, Any]]) -> Any:
    """Return the edits by part: the share of the signed drafts that have one, and their number a draft."""
    table = make_table("part", "canary edited", "edits a draft", "live edited", "edits a draft")
    for item in items:
        cells = ((_share(item[side]), _number(item[f"{side}_edits"])) for side in SIDES)
        table.add_row(item["part"], *(cell for pair in cells for cell in pair))
    return table


def _share(value: float | None) -> str:
    return "" if value is None else f"{value:.1%}"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.1f}"

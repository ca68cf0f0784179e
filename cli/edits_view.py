"""What physicians change in the drafts of a configuration, and how they rate them, for a terminal."""

from typing import Any

from cli.output import make_table, print_table


def ratings_in_words(counts: dict[str, int]) -> str:
    return ", ".join(f"{number} {name.replace('_', ' ')}" for name, number in counts.items())


def print_edits(found: dict[str, Any], *, cases: bool) -> None:
    """Print the answer of the API; with `cases`, also the cases in which each kind of edit was made last."""
    print(f"signed       {found['signed']}, of them {found['unchanged']} unchanged")
    print(f"rated        {ratings_in_words(found['ratings'])}")
    print(f"compared     {found['compared']}")
    if found["rewritten"] or found["uncounted"]:
        print(f"left out     {found['rewritten']} written anew, {found['uncounted']} signed before edits were counted")
    if found["items"]:
        table = make_table("part", "kind", "count", "drafts", "share")
        for item in found["items"]:
            figures = str(item["count"]), str(item["drafts"]), f"{item['share']:.0%}"
            table.add_row(item["part"], item["kind"], *figures)
        print_table(table)
    for item in found["items"] if cases else ():
        print(f"{item['part']}, {item['kind']}:")
        print("".join(f"  {case}\n" for case in item["examples"]), end="")

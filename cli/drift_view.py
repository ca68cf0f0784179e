"""How the watch of a live configuration is printed."""

from typing import Any

from cli.output import make_table, print_table


def print_drift(found: dict[str, Any]) -> None:
    """Print a report of `GET /v1/drafters/{digest}/drift`."""
    table = make_table("signal", "decisions", "at first", "tolerated", "of late", "of the threshold")
    for item in found["signals"]:
        tolerated = f"{item['tolerated']:.1%}" if item["tolerated"] is not None and item["tested"] else ""
        share = f"{item['share']:.1%}" if item["share"] is not None else "shown only"
        means = f"{item['baseline']:.1%}", tolerated, f"{item['recent']:.1%}"
        table.add_row(item["name"], str(item["decisions"]), *means, share)
    print_table(table)
    if len(found["knowledge"]) > 1:
        print_table(_by_knowledge(found["knowledge"]))
    print(f"decisions  {found['decisions']}, of which the first {found['baseline']} are the baseline")
    print(f"drift      {_drift(found['drifted'])}")


def _by_knowledge(items: list[dict[str, Any]]) -> Any:
    counts = ("knowledge", "decisions", "rejected", "edited", "sentences replaced", "characters changed")
    shares = ("contradicted", "redraft", "unread")
    table = make_table(*counts, *shares)
    for item in items:
        version = "none" if item["version"] is None else str(item["version"])
        means = f"{item['replaced']:.1%}", f"{item['distance']:.0f}"
        table.add_row(
            version,
            *(str(item[name]) for name in ("decisions", "rejected", "edited")),
            *means,
            *(_share(item[name]) for name in shares),
        )
    return table


def _share(value: float | None) -> str:
    return "" if value is None else f"{value:.1%}"


def _drift(found: dict[str, Any] | None) -> str:
    if found is None:
        return "none"
    return (
        f"{found['signal']}, found {found['time'][:19]} at decision {found['decisions']}: "
        f"{found['recent']:.1%}, at first {found['baseline']:.1%}"
    )

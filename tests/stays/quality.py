"""The corpus drafted and judged: results, and the tables that tell how much of what should be said is said."""

from collections import defaultdict
from collections.abc import Callable, Iterable

from tests.stays.draft import drafted
from tests.stays.model import SEVERITIES, Document, Row, Stay, evaluate

COLUMNS = ("should be there", "are there", "should not", "are wrongly", "right %")


async def judged(stays: Iterable[Stay]) -> tuple[list[Row], dict[str, Document]]:
    """Every fact of every stay with its result, and the documents by the stay's name."""
    rows: list[Row] = []
    documents: dict[str, Document] = {}
    for stay in stays:
        documents[stay.name] = document = await drafted(stay)
        rows += evaluate(stay, document)
    return rows, documents


def failing(rows: Iterable[Row]) -> list[Row]:
    """What is missing or wrong, the critical first."""
    return sorted((row for row in rows if row.result != "right"), key=lambda row: SEVERITIES.index(row.fact.severity))


def share(rows: Iterable[Row]) -> float:
    """How many of the facts are right, 0 to 1."""
    results = [row.result == "right" for row in rows]
    return sum(results) / len(results) if results else 1.0


def tables(rows: list[Row]) -> str:
    """Facts that should be there, are there, are wrong: by severity, kind, source, and over all stays."""
    cuts: tuple[tuple[str, Callable[[Row], str]], ...] = (
        ("severity", lambda row: row.fact.severity),
        ("kind", lambda row: row.fact.kind),
        ("source", lambda row: row.stay.source),
        ("all", lambda row: f"{len({row.stay.name for row in rows})} stays"),
    )
    return "\n\n".join(_table(title, rows, key) for title, key in cuts)


def _table(title: str, rows: list[Row], key: Callable[[Row], str]) -> str:
    groups: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        groups[key(row)].append(row)
    head = f"{title:28}" + "".join(f"{column:>17}" for column in COLUMNS)
    return "\n".join([head, *(_line(name, groups[name]) for name in sorted(groups, key=_order))])


def _line(name: str, rows: list[Row]) -> str:
    must = [row for row in rows if not row.fact.never]
    never = [row for row in rows if row.fact.never]
    there, wrong = sum(row.result == "right" for row in must), sum(row.result == "wrong" for row in never)
    cells = (f"{len(must)}", f"{there}", f"{len(never)}", f"{wrong}", f"{100 * share(rows):.1f}")
    return f"{name:28}" + "".join(f"{cell:>17}" for cell in cells)


def _order(name: str) -> tuple[int, str]:
    return (SEVERITIES.index(name), name) if name in SEVERITIES else (len(SEVERITIES), name)

"""Build Markdown: tables, escaped cells, page heads."""

from collections.abc import Iterable, Sequence


def cell(text: object) -> str:
    """Return `text` as one table cell: no line breaks, no bare pipes, no HTML."""
    return " ".join(str(text).split()).replace("|", "\\|").replace("<", "&lt;").replace(">", "&gt;")


def code(text: object) -> str:
    """Return `text` as inline code for a table cell; an empty text stays empty."""
    return f"`{' '.join(str(text).split())}`".replace("|", "\\|") if str(text) else ""


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table. Cells are expected to be escaped already."""
    lines = [f"| {' | '.join(heads)} |", f"|{'---|' * len(heads)}"]
    lines += [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join(lines) + "\n"


def page(title: str, audience: str, source: str, *parts: str) -> str:
    """Return a whole page. `source` says what it is generated from."""
    head = f"# {title}\n\n*For {audience}. Generated from {source} when the site is built.*\n"
    return "\n".join((head, *parts))

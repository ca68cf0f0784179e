"""Medicines in the hospital course: given, ordered, and what changes at discharge. Pure."""

from collections.abc import Iterable, Iterator

from services.drafter.course.words import clean, listed, sentence
from shared.contracts.context import EncounterContext, Medicine
from shared.contracts.draft import Sentence
from shared.grounding.reconciliation import Row, reconcile

MOST = 8  # medicines of the stay named one by one; the number of the others is told


def in_hospital(context: EncounterContext) -> Iterator[Sentence]:
    """What was given, and apart from it what was only ordered: an order is not an administration."""
    given = _names(context.given_medicines)
    ordered = {name: item for name, item in _names(context.hospital_medicines).items() if name not in given}
    for found, verb in ((given, "given"), (ordered, "ordered")):
        if not found:
            continue
        items = list(found.values())
        shown, rest = items[:MOST], len(items) - len(items[:MOST])
        words = [clean(item.name) + (f" (for {clean(item.reason)})" if item.reason else "") for item in shown]
        more = f"; {rest} further {'medicine is' if rest == 1 else 'medicines are'} listed above" if rest else ""
        yield sentence("hospital-course", f"Medicines {verb} in hospital: {listed(words)}{more}", _evidence(shown))


def changes(context: EncounterContext) -> Iterator[Sentence]:
    """Every change of the reconciliation; a kind of change is one sentence."""
    rows = reconcile(context)
    titles = {
        "new": "Started",
        "changed": "Changed",
        "stopped": "Stopped",
        "on hold": "On hold",
        "do not give": "Not to be given",
        "unclear": "Not clear from the record, to be confirmed",
        "continued": "Continued unchanged",
    }
    for change, title in titles.items():
        found = [row for row in rows if row.change == change]
        if found:
            words = list(dict.fromkeys(_row(row) for row in found))
            evidence = [pair for row in found for pair in _evidence((row.medicine, *row.before))]
            yield sentence("hospital-course", f"{title}: {'; '.join(words)}", evidence)


def _row(row: Row) -> str:
    item = row.medicine
    reason = f" (for {clean(item.reason)})" if item.reason and row.change == "new" else ""
    if row.change == "changed":
        before = listed([_order(old) for old in row.before])
        return f"{clean(item.name)} from {before} to {_order(item)}" if before else _full(item)
    return clean(item.name) if row.change == "continued" else f"{_full(item)}{reason}"


def _order(item: Medicine) -> str:
    return f"{clean(item.dose) or 'a dose not recorded'} ({clean(item.name)})"


def _full(item: Medicine) -> str:
    return f"{clean(item.name)}, {clean(item.dose)}" if item.dose else clean(item.name)


def _names(medicines: Iterable[Medicine]) -> dict[str, Medicine]:
    found: dict[str, Medicine] = {}
    for item in medicines:
        found.setdefault(item.name.lower(), item)
    return found


def _evidence(medicines: Iterable[Medicine]) -> list[tuple[str, str]]:
    return [(item.source, item.text) for item in medicines]

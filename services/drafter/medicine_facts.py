"""Render medicines: given ones, the reconciliation as a table, those to avoid."""

from collections.abc import Iterable

from shared.contracts.context import EncounterContext, Medicine
from shared.contracts.draft import Fact, FactGroup
from shared.grounding.reconciliation import ReconciliationRow, reconcile

COLUMNS = ("Medicine", "Dose and directions", "Route", "Frequency", "Change", "Reason")


def medicine_line(item: Medicine) -> Fact:
    """Return a medicine with its directions and reason."""
    reason = f"for: {item.reason}" if item.reason and item.status == "active" else ""
    ended = f"ended: {item.ended}" if item.ended else ""
    more = "; ".join(part for part in (reason, item.note, ended) if part)
    return Fact(text=f"{item.text} ({more})" if more else item.text, source=item.source)


def given_medicine_facts(medicines: Iterable[Medicine]) -> list[Fact]:
    """Return one fact for each medicine and dose that was given, with number and times."""
    found: dict[str, list[Medicine]] = {}
    for item in medicines:
        found.setdefault(item.text, []).append(item)
    facts = []
    for text, same in found.items():
        days = sorted(item.on for item in same if item.on)
        span = f"{days[0]} to {days[-1]}" if days and days[0] != days[-1] else days[0] if days else ""
        times = f"{len(same)} times" if len(same) > 1 else ""
        more = ", ".join(part for part in (times, span) if part)
        facts.append(Fact(text=f"{text} ({more})" if more else text, source=same[0].source))
    return facts


def reconciliation_table(context: EncounterContext) -> tuple[FactGroup, ...]:
    """Return the table of all medicines: continued, changed, ended, unclear."""
    rows = reconcile(context)
    if not rows:
        return (FactGroup(title="Medication reconciliation", facts=(Fact(text="None recorded", source=""),)),)
    return (
        FactGroup(title="Medication reconciliation", columns=COLUMNS, facts=tuple(_table_row(row) for row in rows)),
    )


def _table_row(row: ReconciliationRow) -> Fact:
    item = row.medicine
    change = _change(row)
    directions = item.dose or "not recorded"
    why = _reason_and_note(item)
    text = f"{item.text} — {change}" + (f" ({why})" if why else "")
    cells = (
        item.name,
        item.amount if _is_fully_coded(item) else directions,
        item.route,
        item.frequency if _is_fully_coded(item) else "",
        change,
        why,
    )
    return Fact(text=text, source=item.source, cells=cells)


def _reason_and_note(item: Medicine) -> str:
    """Return the reason of an order and the prescriber's note."""
    stated = (f"reason: {item.reason}" if item.reason else "", f"note: {item.note}" if item.note else "")
    return "; ".join(part for part in stated if part)


def _is_fully_coded(item: Medicine) -> bool:
    """Return whether an order states nothing but amount, route and frequency: only then it is split into columns."""
    coded = " ".join(part for part in (item.amount, item.route, item.frequency) if part)
    return bool(item.amount and item.frequency) and item.dose == coded


def _change(row: ReconciliationRow) -> str:
    before = "; ".join(item.dose or "dose not recorded" for item in row.before)
    if row.change == "changed":
        return f"changed (before: {_maybe_before(row, before)})"
    if row.change == "ended":
        return f"ended before the discharge ({row.medicine.ended})"
    if row.change == "unclear":
        if row.before:
            return f"unclear: compare with the order of before ({_maybe_before(row, before)})" + (
                f": {row.why}" if row.why else ""
            )
        if row.why:  # it is to be taken, only whether it is new is open
            return f"new or continued, to be confirmed: {row.why}"
        return "unclear: at home before, no order at discharge: confirm"
    return row.change


def _maybe_before(row: ReconciliationRow, before: str) -> str:
    """Return the possible previous order, with its name where that differs (a brand, another strength)."""
    names = {item.name for item in row.before}
    return before if names == {row.medicine.name} else f"{'; '.join(sorted(names))}, {before}"


def avoided_medicine_facts(medicines: Iterable[Medicine]) -> list[Fact]:
    """Return held, stopped and avoided medicines; each names its status first."""
    words = {
        "on-hold": "On hold, do not take for now",
        "stopped": "Stopped, do not take any more",
        "avoid": "Do not take",
    }
    return [
        Fact(text=f"{words[item.status]}: {item.text}" + (f" ({why})" if why else ""), source=item.source)
        for item in medicines
        if item.status in words
        for why in ["; ".join(part for part in (item.reason, item.note) if part)]
    ]

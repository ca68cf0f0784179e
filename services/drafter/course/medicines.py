"""Sentences on medicines: given, ordered, and changed at discharge. Pure."""

from collections.abc import Iterable, Iterator

from services.drafter.course.diagnoses import qualified
from services.drafter.course.phrases import composed_sentence, join_list, without_full_stop
from shared.contracts.context import EncounterContext, Medicine
from shared.contracts.draft import Sentence
from shared.grounding.reconciliation import ReconciliationRow, reconcile

MAX_MEDICINES = 8  # medicines named; the others are counted
CHANGE_TITLES = {
    "new": "Started",
    "changed": "Changed",
    "stopped": "Stopped",
    "on hold": "On hold",
    "do not give": "Not to be given",
    "ended": "Over before the discharge",
    "unclear": "Not clear from the record, to be confirmed",
    "continued": "Continued unchanged",
}
# Without a list of before nothing says that a medicine is new; a held or stopped order may be the hospital's own.
UNCOMPARED_TITLE = "Medicines at discharge, without a current list of before to compare with"


def hospital_medicine_sentences(context: EncounterContext) -> Iterator[Sentence]:
    """Yield what was given and, separately, what was only ordered: an order is no administration."""
    given = _by_name(context.given_medicines)
    ordered = {name: item for name, item in _by_name(context.hospital_medicines).items() if name not in given}
    for medicines, verb in ((given, "given"), (ordered, "ordered")):
        if not medicines:
            continue
        items = list(medicines.values())
        shown, rest = items[:MAX_MEDICINES], len(items) - len(items[:MAX_MEDICINES])
        reasons = {qualified(item.reason, context) if item.reason else "" for item in shown}
        same = reasons.pop() if len(shown) > 1 and len(reasons) == 1 else ""
        words = [without_full_stop(item.name) + ("" if same else _quoted_reason(item, context)) for item in shown]
        more = f"; {rest} further {'medicine is' if rest == 1 else 'medicines are'} listed above" if rest else ""
        why = f" (reason recorded for each: {same})" if same else ""
        yield composed_sentence(
            "hospital-course", f"Medicines {verb} in hospital{why}: {join_list(words)}{more}", _evidence(shown)
        )


def change_sentences(context: EncounterContext) -> Iterator[Sentence]:
    """Yield one sentence for each kind of change, and one for each order that is unclear."""
    rows = reconcile(context)
    asked = [row for row in rows if row.change == "new" and row.medicine.question]
    for change, title in CHANGE_TITLES.items():
        changed = [row for row in rows if row.change == change and row not in asked]
        title = UNCOMPARED_TITLE if change == "new" and not context.home_medicines else title
        yield from _change_sentence(title, changed, context)
        if change == "new":
            for question in dict.fromkeys(row.medicine.question for row in asked):
                same = [row for row in asked if row.medicine.question == question]
                yield from _change_sentence(f"To be confirmed, as {without_full_stop(question)}", same, context)


def _change_sentence(title: str, rows: list[ReconciliationRow], context: EncounterContext) -> Iterator[Sentence]:
    words = list(dict.fromkeys(_row_text(row, context) for row in rows))
    if words:
        evidence = [pair for row in rows for pair in _evidence((row.medicine, *row.before))]
        yield composed_sentence("hospital-course", f"{title}: {'; '.join(words)}", evidence)


def _row_text(row: ReconciliationRow, context: EncounterContext) -> str:
    item = row.medicine
    if row.change == "continued":
        return without_full_stop(item.name)
    if row.change == "changed":
        names = {without_full_stop(one.name).lower() for one in (item, *row.before)}
        before = join_list([_quoted_order(old, named=len(names) > 1) for old in row.before])
        return (
            f"{without_full_stop(item.name)} from {before} to {_quoted_order(item, named=False)}"
            if before
            else _full_order(item)
        )
    if row.change == "unclear":
        return f"{_full_order(item)} ({_unclear_sentence(row)})"
    if row.change == "ended":
        return f"{_full_order(item)} ({without_full_stop(item.ended)})" if item.ended else _full_order(item)
    note = (
        f" ({without_full_stop(item.note)})"
        if row.change in ("stopped", "on hold", "do not give") and without_full_stop(item.note)
        else ""
    )
    return f"{_full_order(item)}{_quoted_reason(item, context)}{note}"


def _unclear_sentence(row: ReconciliationRow) -> str:
    """Return what is unclear about an order: a list of names would leave the physician to guess."""
    if row.before:
        before = join_list([_quoted_order(old, named=True) for old in row.before])
        return f"before: {before}" + (f"; {without_full_stop(row.why)}" if row.why else "")
    return without_full_stop(row.why) or "taken before, no order at discharge"


def _quoted_order(item: Medicine, *, named: bool) -> str:
    """Return an order with its dosage in quotes: parts of it could be read as the next medicine."""
    dose = f"“{without_full_stop(item.dose)}”" if without_full_stop(item.dose) else "a dose not recorded"
    return f"{without_full_stop(item.name)} {dose}" if named else dose


def _full_order(item: Medicine) -> str:
    return (
        f"{without_full_stop(item.name)}, {without_full_stop(item.dose)}" if item.dose else without_full_stop(item.name)
    )


def _quoted_reason(item: Medicine, context: EncounterContext) -> str:
    """Return the order's own reason, quoted: `Preventer` is one, and `for Preventer` is no English."""
    return f" (reason: {qualified(item.reason, context)})" if without_full_stop(item.reason) else ""


def _by_name(medicines: Iterable[Medicine]) -> dict[str, Medicine]:
    by_name: dict[str, Medicine] = {}
    for item in medicines:
        by_name.setdefault(item.name.lower(), item)
    return by_name


def _evidence(medicines: Iterable[Medicine]) -> list[tuple[str, str]]:
    return [(item.source, item.text) for item in medicines]

"""Open points on the orders of a stay: missing, doubtful, or only stated per kg. Pure."""

from collections.abc import Iterator

from shared.contracts.context import EncounterContext, Medicine
from shared.contracts.draft import OpenPoint
from shared.grounding.reconciliation import ReconciliationRow, reconcile, same_medicine


def medicine_points(context: EncounterContext) -> Iterator[OpenPoint]:
    """Yield one point for each thing that the discharge orders leave open."""
    if not context.needs_instructions:
        return
    if not context.discharge_medicines and (context.home_medicines or context.hospital_medicines):
        yield OpenPoint(
            text="No prescription for the time after the discharge is recorded: confirm which medicines go on"
        )
    yield from _contradictions(context)
    yield from _questions(context)
    yield from (OpenPoint(text=item.text, source=item.source) for item in context.questions)
    for row in reconcile(context):
        yield from _of_row(row, context)
    for medicine in context.discharge_medicines:
        if medicine.doubt and not medicine.ambiguous:
            yield OpenPoint(
                text=f"{medicine.name}: the words and the structure of the order differ ({medicine.dose})",
                source=medicine.source,
            )


def _of_row(row: ReconciliationRow, context: EncounterContext) -> Iterator[OpenPoint]:
    medicine = row.medicine
    lack = missing_parts_text(medicine)
    if row.why:
        before = ", ".join(dict.fromkeys(item.text for item in row.before))
        text = f"{medicine.text}: {row.why}" + (f" (before: {before})" if before else "")
        yield OpenPoint(text=text, source=medicine.source)
    if row.change == "unclear" and not row.before and not row.why and context.discharge_medicines:
        also = f"; {lack}" if lack and medicine.dose else ""
        text = f"{medicine.name}: taken at home before, no order at discharge: confirm whether it goes on{also}"
        yield OpenPoint(text=text, source=medicine.source)
    elif row.change in ("new", "changed", "unclear", "continued"):
        if lack:
            yield OpenPoint(text=f"{medicine.name}: {lack}", source=medicine.source)
        if medicine.ambiguous:
            words = f"“{medicine.ambiguous}” in the words of the order may have a decimal point or mark thousands"
            yield OpenPoint(
                text=f"{medicine.name}: {words}: confirm the dose ({medicine.dose})", source=medicine.source
            )
        if medicine.steps:
            twice = "(stated twice)" in medicine.dose
            open_ = (
                "whether a dosage that is stated twice is one" if twice else "when one dosage ends and the next begins"
            )
            words = f"the record does not say {open_}: confirm ({medicine.dose})"
            yield OpenPoint(text=f"{medicine.name}: {words}", source=medicine.source)
        if medicine.by_body:
            yield OpenPoint(text=f"{medicine.name}: {_dose_by_weight(medicine, context)}", source=medicine.source)


def _contradictions(context: EncounterContext) -> Iterator[OpenPoint]:
    """Yield medicines that are both to take and not to take, where no order replaces the other."""
    words = {"on-hold": "on hold", "stopped": "stopped", "avoid": "not to be given"}
    for other in context.other_medicines:
        for medicine in context.discharge_medicines:
            if other.source not in medicine.replaces and same_medicine(other, medicine):
                text = f"{medicine.text}: to be taken, and {other.text}: {words.get(other.status, other.status)}"
                yield OpenPoint(text=f"{text}: confirm which of the two holds", source=medicine.source)


def _questions(context: EncounterContext) -> Iterator[OpenPoint]:
    """Yield one point for each question: an EHR without categories leaves the same open for all orders."""
    asked: dict[str, list[Medicine]] = {}
    lists = (context.discharge_medicines, context.home_medicines, context.hospital_medicines, context.other_medicines)
    for medicine in (item for medicines_of_list in lists for item in medicines_of_list):
        if medicine.question:
            asked.setdefault(medicine.question, []).append(medicine)
    for question, medicines in asked.items():
        names = ", ".join(dict.fromkeys(item.name for item in medicines))
        yield OpenPoint(text=f"{names}: {question}: confirm", source=medicines[0].source)


def missing_parts_text(medicine: Medicine) -> str:
    """Return what an order does not state, in words; empty where it has amount and frequency."""
    lacks = set(medicine.lacks)
    if not medicine.dose or lacks >= {"amount", "frequency"}:
        words = f" (only “{medicine.dose}”): confirm amount and frequency" if medicine.dose else ""
        return f"the order says neither dose nor how often{words}"
    missing = [
        "the amount (how much)" if "amount" in lacks else "",
        "the frequency (how often)" if "frequency" in lacks else "",
        "the frequency of doses as needed (how often at most)" if "limit" in lacks else "",
    ]
    named = " and ".join(part for part in missing if part)
    return f"the order does not say {named}: confirm ({medicine.dose})" if named else ""


def _dose_by_weight(medicine: Medicine, context: EncounterContext) -> str:
    """Return the last recorded weight beside a dose per kg; nothing is computed."""
    measured = [item for item in context.vitals if item.name in ("Body weight", "Body height")]
    known = [f"{item.name.lower()} {item.last.value} on {item.last.on or ''}".removesuffix(" on ") for item in measured]
    last = f"last recorded {', '.join(known)}" if known else "no body weight is recorded"
    return f"the dose is only stated as {medicine.by_body}, without the computed one; {last}: confirm the dose"

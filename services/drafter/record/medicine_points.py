"""What the orders of a stay leave open: what is missing, doubtful, or only stated per kg. Pure."""

from collections.abc import Iterator

from services.drafter.reconciliation import Row, reconcile
from shared.contracts.context import EncounterContext, Medicine
from shared.contracts.draft import OpenPoint


def of_medicines(context: EncounterContext) -> Iterator[OpenPoint]:
    """One point for each thing that the orders for the time after the stay leave open."""
    if not context.instructs:
        return
    if not context.discharge_medicines and (context.home_medicines or context.hospital_medicines):
        yield OpenPoint(
            text="No prescription for the time after the discharge is recorded: confirm which medicines go on"
        )
    for row in reconcile(context):
        yield from _of_row(row, context)
    for medicine in context.discharge_medicines:
        if medicine.doubt and not medicine.ambiguous:
            yield OpenPoint(
                text=f"{medicine.name}: the words and the structure of the order differ ({medicine.dose})",
                source=medicine.source,
            )


def _of_row(row: Row, context: EncounterContext) -> Iterator[OpenPoint]:
    medicine = row.medicine
    lack = missing(medicine)
    if row.change == "unclear" and not row.before and context.discharge_medicines:
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
            yield OpenPoint(text=f"{medicine.name}: {_uncomputed(medicine, context)}", source=medicine.source)


def missing(medicine: Medicine) -> str:
    """What an order does not say, in words; empty where it says how much and how often."""
    lacks = set(medicine.lacks)
    if not medicine.dose or lacks >= {"amount", "frequency"}:
        words = f" (only “{medicine.dose}”): confirm amount and frequency" if medicine.dose else ""
        return f"the order says neither dose nor how often{words}"
    found = [
        "the amount (how much)" if "amount" in lacks else "",
        "the frequency (how often)" if "frequency" in lacks else "",
        "the frequency of doses as needed (how often at most)" if "limit" in lacks else "",
    ]
    named = " and ".join(part for part in found if part)
    return f"the order does not say {named}: confirm ({medicine.dose})" if named else ""


def _uncomputed(medicine: Medicine, context: EncounterContext) -> str:
    """The last recorded weight beside a dose per kg; nothing is computed."""
    measured = [item for item in context.vitals if item.name in ("Body weight", "Body height")]
    known = [f"{item.name.lower()} {item.last.value} on {item.last.on or ''}".removesuffix(" on ") for item in measured]
    last = f"last recorded {', '.join(known)}" if known else "no body weight is recorded"
    return f"the dose is only stated as {medicine.by_body}, without the computed one; {last}: confirm the dose"

"""The patient's instructions in plain words: what to take, what not, whom to see. Only what the record has. Pure."""

from collections.abc import Iterator

from services.drafter.course.prose import different, listed, lowered, sentence
from shared.contracts.context import EncounterContext, Entry, Medicine
from shared.contracts.draft import Sentence

NAME = "patient-instructions"


def patient_instructions(context: EncounterContext) -> tuple[Sentence, ...]:
    """One sentence for each thing to do."""
    return tuple(_sentences(context))


def _sentences(context: EncounterContext) -> Iterator[Sentence]:
    for medicine in context.discharge_medicines:
        yield sentence(NAME, _take(medicine), [medicine])
    if barred := [item for item in context.other_medicines if item.status != "active"]:
        words = [f"{item.name}{f' ({item.reason})' if item.reason else ''}" for item in barred]
        yield sentence(NAME, f"Do not take: {listed(words)}", barred)
    if visits := different(context.follow_up):
        words = [f"{lowered(item.text)}{f' on {item.on}' if item.on else ''}" for item in visits]
        yield sentence(NAME, f"Your visits to come: {listed(words)}", visits)
    for title, entries in (("Eating, drinking and moving", context.diet), ("Care that was ordered for you", context.services)):
        if found := different(entries):
            yield sentence(NAME, f"{title}: {_all(found)}", found)
    if pending := different(context.pending):
        yield sentence(NAME, f"Results that are still to come: {_all(pending)}", pending)


def _all(entries: list[Entry]) -> str:
    return "; ".join(lowered(item.text.rstrip(".")) for item in entries)


def _take(medicine: Medicine) -> str:
    how = f": {medicine.dose}" if medicine.dose else ", as it was explained to you: the order has no directions"
    why = f" (for {lowered(medicine.reason)})" if medicine.reason else ""
    return f"Take {medicine.name}{why}{how}"

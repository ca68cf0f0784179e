"""The patient's instructions in plain words: what to take, what not, whom to see. Only what the record has. Pure."""

import re
from collections.abc import Iterator

from services.drafter.course.prose import different, listed, lowered, sentence
from shared.contracts.context import EncounterContext, Entry, Medicine
from shared.contracts.draft import Narrative, Sentence

NAME: Narrative = "patient-instructions"
# Abbreviations of directions in plain words; figures stay as they are.
_PLAIN = (
    (r"\bp\.?o\.?(?= |,|$)", "by mouth"),
    (r"\binh\b", "inhaled"),
    (r"\b(sc|sq|subcut)\b", "under the skin"),
    (r"\biv\b", "into a vein"),
    (r"\bim\b", "into a muscle"),
    (r"\bsl\b", "under the tongue"),
    (r"\b(prn)\b", "as needed"),
    (r"\b(bid|b\.i\.d\.?)(?= |,|$)", "twice a day"),
    (r"\b(tid|t\.i\.d\.?)(?= |,|$)", "three times a day"),
    (r"\b(qid|q\.i\.d\.?)(?= |,|$)", "four times a day"),
    (r"\b(once daily|qd)\b", "once a day"),
    (r"\bq ?(\d+(?:-\d+)?) ?h(?:r|ours?)?\b", r"every \1 hours"),
    (r"\bqhs\b", "at bedtime"),
)


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
    for title, entries in (
        ("Eating, drinking and moving", context.diet),
        ("Care that was ordered for you", context.services),
    ):
        if found := different(entries):
            yield sentence(NAME, f"{title}: {_all(found)}", found)
    if pending := different(context.pending):
        yield sentence(NAME, f"Results that are still to come: {_all(pending)}", pending)


def _all(entries: list[Entry]) -> str:
    return "; ".join(lowered(item.text.rstrip(".")) for item in entries)


def _take(medicine: Medicine) -> str:
    how = f": {plain(medicine.dose)}" if medicine.dose else ", as it was explained to you: the order has no directions"
    why = f" (for {lowered(medicine.reason)})" if medicine.reason else ""
    return f"Take {medicine.name}{why}{how}"


def plain(directions: str) -> str:
    """`5 mg PO BID` → `5 mg by mouth twice a day`."""
    for pattern, words in _PLAIN:
        directions = re.sub(pattern, words, directions, flags=re.IGNORECASE)
    return directions

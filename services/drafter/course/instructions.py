"""Instructions for the patient in plain words, from the same facts as the document. Pure."""

import re
from collections.abc import Iterable, Iterator

from services.drafter.course.plain import begins_with_verb, plain, verb
from services.drafter.course.words import awaited, clean, day, listed, of, sentence, told, unique
from shared.contracts.context import EncounterContext, Entry, Medicine
from shared.contracts.draft import Sentence

_NOT = {
    "on-hold": "Do not take {} for now",
    "stopped": "Do not take {} any more",
    "avoid": "Do not take {}",
}
_BARE_CODE = re.compile(r"code \S+ \(")  # how the record names what has a code and no words
# Directions of a held or forbidden order that say until when, or why not.
_LIMIT = re.compile(r"\b(?:until|withhold|hold|do not|while|restart|resume|bis|tot|pausier\w*)\b", re.IGNORECASE)


def instructions(context: EncounterContext) -> tuple[Sentence, ...]:
    """What to take, what not to take, where to go; nothing where there is no patient to instruct."""
    return tuple(_sentences(context)) if context.instructs else ()


def _sentences(context: EncounterContext) -> Iterator[Sentence]:
    yield from _why_here(context)
    for item in context.discharge_medicines:
        # Another status is told below or in the reconciliation: `take` would contradict it.
        if item.status == "active":
            yield _said(_how(item), [(item.source, item.text)])
    for item in _different(context.other_medicines):
        if item.status in _NOT:
            yield _said(_NOT[item.status].format(clean(item.name)) + _why(item), [(item.source, item.text)])
    if visits := unique(context.follow_up):
        words = "; ".join(_visit(item) for item in visits)
        yield _said(f"Your appointments and follow-up: {words}", [(item.source, item.text) for item in visits])
    groups: tuple[tuple[str, tuple[Entry, ...]], ...] = (
        ("Ordered for the time after your stay", context.services),
        ("Diet and activity", context.diet),
        ("From your care plan", context.care_plans),
    )
    for title, entries in groups:
        if found := unique(entries):
            yield _said(f"{title}: {'; '.join(told(found))}", [(item.source, item.text) for item in found])
    if pending := unique(context.pending):
        words = "; ".join(awaited(pending))
        yield _said(
            f"Results not back at the end of your stay: {words}", [(item.source, item.text) for item in pending]
        )


def _why_here(context: EncounterContext) -> Iterator[Sentence]:
    """The stay and its principal diagnosis, where that has a name; a suspected one is not told as a disease."""
    found = [item for item in context.diagnoses if item.role == "principal" and item.certainty == "confirmed"]
    named = list({clean(item.text): item for item in found if not _BARE_CODE.match(item.text)}.values())
    if named:
        start, end = day(context.start, context.start_on), day(context.end, context.end_on)
        when = f"from {start} to {end}" if start and start != end else f"until {end}" if not start else f"on {end}"
        stay = (context.encounter, f"Stay {when}")
        names = listed([clean(item.text) for item in named])
        title = "main diagnosis" if len(named) == 1 else "main diagnoses"
        yield _said(f"You were in hospital {when}; {title}: {names}", [stay, *of(named)])


def _said(text: str, evidence: Iterable[tuple[str, str]]) -> Sentence:
    return sentence("patient-instructions", text, evidence)


def _how(item: Medicine) -> str:
    """Name, directions and purpose as recorded; it says where the record has no directions, or two, or leaves open
    whether the order is for home at all.
    """
    directions = plain(clean(item.dose))
    if directions and {"amount", "frequency"} <= set(item.lacks):
        directions += " (how much and how often is not recorded)"
    if item.doubt:
        directions += " (the record gives this dose in two ways: ask which one is meant)"
    reason = f" (reason: {clean(item.reason)})" if clean(item.reason) else ""
    what = f"{clean(item.name)}: {directions or 'how much and how often is not recorded'}{reason}"
    if item.question:
        return f"Ask your doctor whether this is for you at home: {what}"
    return what if begins_with_verb(directions) else f"{verb(item.route, item.dose, item.name)} {what}"


def _why(item: Medicine) -> str:
    """The reason, the prescriber's note, and what the directions say of the time."""
    limit = item.dose if _LIMIT.search(item.dose) else ""
    said = list(dict.fromkeys(text for part in (item.reason, item.note, limit) if (text := clean(part))))
    return f" ({'; '.join(said)})" if said else ""


def _visit(item: Entry) -> str:
    """The day first: it is what a patient looks for."""
    when = day(item.time, item.on)
    return f"{when}: {clean(item.text)}" if when else clean(item.text)


def _different(medicines: Iterable[Medicine]) -> list[Medicine]:
    found: dict[tuple[str, str], Medicine] = {}
    for item in medicines:
        found.setdefault((item.name.lower(), item.status), item)
    return list(found.values())

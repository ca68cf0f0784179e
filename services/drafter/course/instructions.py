"""Compose patient instructions in plain language from the facts of the document. Pure."""

import re
from collections.abc import Iterable, Iterator

from services.drafter.course.phrases import (
    composed_sentence,
    day,
    evidence_of,
    join_list,
    pending_phrases,
    unique_texts,
    with_days,
    without_full_stop,
)
from services.drafter.course.plain_directions import administration_verb, begins_with_verb, plain_directions
from shared.contracts.context import ContextEntry, EncounterContext, Medicine
from shared.contracts.draft import Sentence

_DO_NOT_TAKE = {
    "on-hold": "Do not take {} for now",
    "stopped": "Do not take {} any more",
    "avoid": "Do not take {}",
}
_BARE_CODE = re.compile(r"code \S+ \(")  # a code without a display
# Directions of a held or forbidden order that say until when, or why not.
_LIMIT = re.compile(r"\b(?:until|withhold|hold|do not|while|restart|resume|bis|tot|pausier\w*)\b", re.IGNORECASE)


def instructions(context: EncounterContext) -> tuple[Sentence, ...]:
    """Return what to take, what not to take and where to go; nothing where no patient is instructed."""
    return tuple(_sentences(context)) if context.needs_instructions else ()


def _sentences(context: EncounterContext) -> Iterator[Sentence]:
    yield from _why_here(context)
    for item in context.discharge_medicines:
        # Another status is written below or in the reconciliation: `take` would contradict it.
        if item.status == "active":
            yield _sentence(_directions(item), [(item.source, item.text)])
    for item in _different(context.other_medicines):
        if item.status in _DO_NOT_TAKE:
            yield _sentence(
                _DO_NOT_TAKE[item.status].format(without_full_stop(item.name)) + _purpose(item),
                [(item.source, item.text)],
            )
    if visits := unique_texts(context.follow_up):
        words = "; ".join(_appointment(item) for item in visits)
        yield _sentence(f"Your appointments and follow-up: {words}", [(item.source, item.text) for item in visits])
    groups: tuple[tuple[str, tuple[ContextEntry, ...]], ...] = (
        ("Ordered for the time after your stay", context.services),
        ("Diet and activity", context.diet),
        ("From your care plan", context.care_plans),
    )
    for title, entries in groups:
        if distinct := unique_texts(entries):
            yield _sentence(
                f"{title}: {'; '.join(with_days(distinct))}", [(item.source, item.text) for item in distinct]
            )
    if pending := unique_texts(context.pending):
        words = "; ".join(pending_phrases(pending))
        yield _sentence(
            f"Results not back at the end of your stay: {words}", [(item.source, item.text) for item in pending]
        )


def _why_here(context: EncounterContext) -> Iterator[Sentence]:
    """Yield the stay and its principal diagnosis; a suspected one is not stated as a disease."""
    principal = [item for item in context.diagnoses if item.role == "principal" and item.certainty == "confirmed"]
    named = list({without_full_stop(item.text): item for item in principal if not _BARE_CODE.match(item.text)}.values())
    if named:
        start, end = day(context.start, context.start_on), day(context.end, context.end_on)
        when = f"from {start} to {end}" if start and start != end else f"until {end}" if not start else f"on {end}"
        were = "were"
        if context.ongoing:
            were, when = "have been", f"since {start}" if start else "until today"
        stay = (context.encounter, f"Stay {when}")
        names = join_list([without_full_stop(item.text) for item in named])
        title = "main diagnosis" if len(named) == 1 else "main diagnoses"
        yield _sentence(f"You {were} in hospital {when}; {title}: {names}", [stay, *evidence_of(named)])


def _sentence(text: str, evidence: Iterable[tuple[str, str]]) -> Sentence:
    return composed_sentence("patient-instructions", text, evidence)


def _directions(item: Medicine) -> str:
    """Return name, directions and purpose as recorded.

    States where the record has no directions, or two, or leaves open whether the order is for home.
    """
    directions = plain_directions(without_full_stop(item.dose))
    if directions and {"amount", "frequency"} <= set(item.lacks):
        directions += " (how much and how often is not recorded)"
    if item.doubt:
        directions += " (the record gives this dose in two ways: ask which one is meant)"
    reason = f" (reason: {without_full_stop(item.reason)})" if without_full_stop(item.reason) else ""
    what = f"{without_full_stop(item.name)}: {directions or 'how much and how often is not recorded'}{reason}"
    if item.question:
        return f"Ask your doctor whether this is for you at home: {what}"
    return what if begins_with_verb(directions) else f"{administration_verb(item.route, item.dose, item.name)} {what}"


def _purpose(item: Medicine) -> str:
    """Return the reason, the prescriber's note, and what the directions say about time."""
    limit = item.dose if _LIMIT.search(item.dose) else ""
    remarks = list(dict.fromkeys(text for part in (item.reason, item.note, limit) if (text := without_full_stop(part))))
    return f" ({'; '.join(remarks)})" if remarks else ""


def _appointment(item: ContextEntry) -> str:
    """Return an appointment with its day first, which is what a patient looks for."""
    when = day(item.time, item.on)
    return f"{when}: {without_full_stop(item.text)}" if when else without_full_stop(item.text)


def _different(medicines: Iterable[Medicine]) -> list[Medicine]:
    by_name_and_status: dict[tuple[str, str], Medicine] = {}
    for item in medicines:
        by_name_and_status.setdefault((item.name.lower(), item.status), item)
    return list(by_name_and_status.values())

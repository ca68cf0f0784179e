"""Sentences on procedures, operation notes, devices and vaccines. Pure."""

import re
from collections.abc import Iterator

from services.drafter.course.phrases import (
    composed_sentence,
    day,
    evidence_of,
    is_from_note,
    unique_texts,
    with_days,
    without_full_stop,
)
from shared.contracts.context import ContextEntry, EncounterContext
from shared.contracts.draft import Sentence

# Lines of an operation note that say who, with what, or that there was nothing: counted, not part of the course.
_STAFF_HEADING = re.compile(
    r"^(surgeon|assistants?|ana?esthesi\w*|operator|team|equipment|instruments?|(post-?operative )?plan)\b[^:]*:"
    r"|:\s*(none|nil|no|not documented|n/?a|[^:]*: none)$",
    re.IGNORECASE,
)
_CODE = re.compile(r" \(code \w+\)")


def intervention_sentences(context: EncounterContext) -> Iterator[Sentence]:
    """Yield what was done in order of time, what operation notes add, and what remains in the patient."""
    procedures = sorted(unique_texts(context.procedures), key=lambda item: day(item.time, item.on) or "9999")
    own = [item for item in procedures if not is_from_note(item)]
    if own:
        names = with_days(own)
        word = "Procedure" if len(names) == 1 else "Procedures, in order of time"
        yield composed_sentence("hospital-course", f"{word}: {'; '.join(names)}", evidence_of(own))
    yield from operation_note_sentences(context)
    devices = [item for item in unique_texts(context.devices) if not _is_named_by_procedure(item, own)]
    for title, entries in (("Devices and lines", devices), ("Immunizations", unique_texts(context.immunizations))):
        if entries:
            yield composed_sentence(
                "hospital-course", f"{title}: {'; '.join(with_days(entries))}", evidence_of(entries)
            )


def operation_note_sentences(context: EncounterContext) -> Iterator[Sentence]:
    """Yield a sentence for each operation note, citing it, with the number of lines left out."""
    cited = {note.source: note.citation for note in context.clinical_notes}
    notes: dict[str, list[ContextEntry]] = {}
    for item in sorted(unique_texts(context.procedures), key=lambda item: day(item.time, item.on) or "9999"):
        if is_from_note(item):
            notes.setdefault(item.source, []).append(item)
    for source, items in notes.items():
        shown = [item for item in items if not _STAFF_HEADING.search(without_full_stop(item.text))] or items
        rest = len(items) - len(shown)
        more = f"; {rest} further {'line of it is' if rest == 1 else 'lines of it are'} listed above" if rest else ""
        when = day(items[0].time, items[0].on)
        note = cited.get(source) or f"Operation note{f' of {when}' if when else ''}"
        words = "; ".join(_CODE.sub("", without_full_stop(item.text)) for item in shown)
        sentence = composed_sentence("hospital-course", f"{note}: {words}{more}", evidence_of(shown))
        yield sentence.model_copy(update={"origin": "note", "label": "supported"})


def _is_named_by_procedure(device: ContextEntry, procedures: list[ContextEntry]) -> bool:
    """Return whether the procedure that placed an implant names it."""
    return any(without_full_stop(device.text).lower() in without_full_stop(item.text).lower() for item in procedures)

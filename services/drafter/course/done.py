"""Procedures, operation notes, devices and vaccines in the hospital course. Pure."""

import re
from collections.abc import Iterator

from services.drafter.course.words import clean, day, from_note, of, sentence, told, unique
from shared.contracts.context import EncounterContext, Entry
from shared.contracts.draft import Sentence

# Lines of an operation note that say who, with what, or that there was nothing: counted, not told in the course.
_ASIDE = re.compile(
    r"^(surgeon|assistants?|ana?esthesi\w*|operator|team|equipment|instruments?|(post-?operative )?plan)\b[^:]*:"
    r"|:\s*(none|nil|no|not documented|n/?a|[^:]*: none)$",
    re.IGNORECASE,
)
_CODE = re.compile(r" \(code \w+\)")


def done(context: EncounterContext) -> Iterator[Sentence]:
    """What was done in order of time, what the operation note says of it, what is left in the patient."""
    procedures = sorted(unique(context.procedures), key=lambda item: day(item.time, item.on) or "9999")
    own = [item for item in procedures if not from_note(item)]
    if own:
        names = told(own)
        word = "Procedure" if len(names) == 1 else "Procedures, in order of time"
        yield sentence("hospital-course", f"{word}: {'; '.join(names)}", of(own))
    yield from of_operations(context)
    devices = [item for item in unique(context.devices) if not _is_told(item, own)]
    for title, entries in (("Devices and lines", devices), ("Immunizations", unique(context.immunizations))):
        if entries:
            yield sentence("hospital-course", f"{title}: {'; '.join(told(entries))}", of(entries))


def of_operations(context: EncounterContext) -> Iterator[Sentence]:
    """What only an operation note says: a sentence a note, that names it. The number of the lines left out is told."""
    cited = {note.source: note.cited for note in context.clinical_notes}
    notes: dict[str, list[Entry]] = {}
    for item in sorted(unique(context.procedures), key=lambda item: day(item.time, item.on) or "9999"):
        if from_note(item):
            notes.setdefault(item.source, []).append(item)
    for source, items in notes.items():
        shown = [item for item in items if not _ASIDE.search(clean(item.text))] or items
        rest = len(items) - len(shown)
        more = f"; {rest} further {'line of it is' if rest == 1 else 'lines of it are'} listed above" if rest else ""
        when = day(items[0].time, items[0].on)
        note = cited.get(source) or f"Operation note{f' of {when}' if when else ''}"
        words = "; ".join(_CODE.sub("", clean(item.text)) for item in shown)
        said = sentence("hospital-course", f"{note}: {words}{more}", of(shown))
        yield said.model_copy(update={"origin": "note", "label": "supported"})


def _is_told(device: Entry, procedures: list[Entry]) -> bool:
    """An implant stands with the procedure that put it in."""
    return any(clean(device.text).lower() in clean(item.text).lower() for item in procedures)

"""What a draft tells from notes: quoted sentences, differences from the record, what is not quoted. Pure."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence, Set
from dataclasses import dataclass

from services.drafter.notes import differ, kinds
from services.drafter.notes.condense import condensed
from services.drafter.notes.select import Candidate, candidates
from services.drafter.notes.sentences import normalised
from shared.contracts.context import EncounterContext, Note, NoteSentence
from shared.contracts.draft import Evidence, OpenPoint, Sentence
from shared.grounding import Finding, Record, check, structured
from shared.grounding.verdict import Verdict

MOST_CHECKED = 1500  # sentences of one stay that are held against the record, of those to quote and of the others
ANY_LENGTH = 10**9  # characters
MOST_NAMED = 40  # notes named one by one; the number of the others is told


@dataclass(frozen=True, slots=True)
class Told:
    """Sentences for the hospital course, open points, and lines for what is not in the document."""

    sentences: tuple[Sentence, ...] = ()
    points: tuple[OpenPoint, ...] = ()
    left_out: tuple[str, ...] = ()
    quoted: tuple[str, ...] = ()  # the words of the notes alone, without who wrote them


def tell(context: EncounterContext) -> Told:
    """Never raises; a stay without notes tells nothing."""
    notes = context.clinical_notes
    if not any(note.sentences for note in notes):
        return Told(left_out=tuple(_unquoted(notes, (), (), frozenset())))
    record = Record(structured(context))
    found = _not_told_yet(candidates(notes, context.patient.name), context)
    agreed: list[tuple[Candidate, Verdict]] = []
    differences: list[tuple[Note, str, Finding]] = []
    apart: set[int] = set()
    for item in condensed(found, MOST_CHECKED, characters=ANY_LENGTH):
        verdict = check(item.sentence.headed, record)
        finding = differ.contradicted(verdict.findings, item.note, record)
        if finding is None:
            agreed.append((item, verdict))
        else:
            differences.append((item.note, item.text, finding))
            apart.add(id(item))
    others = differ.also_compared(notes, found)
    differences += _also(others[:MOST_CHECKED], record)
    kept = condensed([item for item, _ in agreed])
    chosen = {id(item) for item in kept}
    quoted = [_sentence(item, verdict) for item, verdict in agreed if id(item) in chosen]
    dropped = [item for item in found if id(item) not in chosen | apart]
    elsewhere = {item.source for item in context.procedures} | {note.source for note, *_ in differences}
    return Told(
        sentences=(*quoted, *_counted(kept, dropped)),
        points=tuple(differ.points(differ.joined(differences))),
        left_out=(*_uncompared(len(others)), *_unquoted(notes, kept, dropped, elsewhere)),
        quoted=tuple(item.text for item in kept),
    )


def _not_told_yet(found: Iterable[Candidate], context: EncounterContext) -> list[Candidate]:
    """Without what an entry of the document says in the words of the same note: an operation, a complication."""
    entries = (*context.procedures, *context.diagnoses, *context.reasons, *context.outcome)
    everywhere = {normalised(entry.text) for entry in entries}
    told: dict[str, str] = {}
    for entry in entries:
        told[entry.source] = f"{told.get(entry.source, '')} {normalised(entry.text)} "
    return [
        item
        for item in found
        if normalised(item.sentence.text) not in told.get(item.note.source, "")
        and normalised(item.sentence.text.partition(": ")[2] or item.sentence.text) not in everywhere
    ]


def _also(others: Sequence[tuple[Note, NoteSentence]], record: Record) -> Iterator[tuple[Note, str, Finding]]:
    for note, sentence in others:
        finding = differ.contradicted(check(sentence.headed, record).findings, note, record)
        if finding is not None:
            yield note, sentence.headed, finding


def _uncompared(count: int) -> Iterator[str]:
    if count > MOST_CHECKED:
        yield f"Notes: {count - MOST_CHECKED} of their sentences, too many to be compared with the record"


def _sentence(item: Candidate, verdict: Verdict) -> Sentence:
    """A quotation with who says it and when, so that nobody takes it for an entry of the record."""
    note = item.note
    repeated = item.sentence.repeated
    again = f" (said again in {repeated} later {'note' if repeated == 1 else 'notes'})" if repeated else ""
    what = " (recommendation)" if item.recommended else ""
    by_record = verdict.label == "supported"
    said = Evidence(source=note.source, text=item.text, kind="note", said_by=note.cited)
    return Sentence(
        narrative="hospital-course",
        text=f"{note.cited}{what}: “{item.text}”{again}",
        evidence=(said, *(verdict.evidence if by_record else ())),
        label="supported",
        origin="note",
        by_note=not by_record,
    )


def _counted(kept: Sequence[Candidate], dropped: Sequence[Candidate]) -> Iterator[Sentence]:
    """How much of the notes is condensed, in the document itself, with the notes where it stands."""
    if not dropped:
        return
    sources = {item.note.source: item.note for item in dropped}
    one = len(dropped) == 1
    yield Sentence(
        narrative="hospital-course",
        text=f"Of the notes, {len(kept)} of {len(kept) + len(dropped)} sentences on the course are quoted; "
        f"{len(dropped)} further {'one stands' if one else 'stand'} in {_number(len(sources), 'note')} of the chart.",
        evidence=tuple(
            Evidence(source=source, text=note.cited, kind="note", said_by=note.cited)
            for source, note in sources.items()
        )[:MOST_NAMED],
        label="supported",
        origin="note",
        by_note=True,
    )


def _unquoted(
    notes: Sequence[Note], kept: Sequence[Candidate], dropped: Sequence[Candidate], elsewhere: Set[str]
) -> Iterator[str]:
    """The notes of which nothing is quoted, and those of which only a part is, by name. `elsewhere`: told as facts."""
    quoted = {item.note.source for item in kept}
    waiting = Counter(item.note.source for item in dropped)
    total = len(notes)
    if without := [note for note in notes if note.source in waiting and note.source not in quoted]:
        yield f"Notes: {len(without)} of {total} not quoted, for the length of the document: {_named(without)}"
    if part := [note for note in notes if note.source in waiting and note.source in quoted]:
        names = _named(part, further=waiting)
        yield f"Notes: {len(part)} of {total} quoted in part, for the length of the document: {names}"
    if rest := [note for note in notes if note.source not in {*waiting, *quoted, *elsewhere}]:
        why = "their sentences are lists, findings, plans or repeat an earlier note"
        yield f"Notes: {len(rest)} of {total} not quoted, {why}: {_named(rest)}"


def _named(notes: Sequence[Note], further: Counter[str] | None = None) -> str:
    shown = []
    for note in notes[:MOST_NAMED]:
        more = f" ({further[note.source]} further)" if further else ""
        shown.append(f"{note.title or kinds.NAMES[note.kind]} {note.on or ''}".strip() + more)
    if len(notes) > MOST_NAMED:
        shown.append(f"and {len(notes) - MOST_NAMED} more")
    return "; ".join(shown)


def _number(count: int, name: str) -> str:
    return f"{count} {name}" if count == 1 else f"{count} {name}s"

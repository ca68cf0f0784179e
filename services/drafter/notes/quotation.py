"""Quote notes in a draft: sentences, contradictions with the record, and what is not quoted. Pure."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence, Set
from dataclasses import dataclass

from services.drafter.notes import contradictions, note_kinds
from services.drafter.notes.condense import condense
from services.drafter.notes.selection import Candidate, select_candidates
from services.drafter.notes.sentences import normalize
from shared.contracts.context import EncounterContext, Note, NoteSentence
from shared.contracts.draft import Evidence, OpenPoint, Sentence
from shared.grounding import CheckedClaim, EvidenceIndex, check, without_notes
from shared.grounding.verdict import Verdict

# Sentences of one stay that are compared with the record, of those to quote and of the others.
MAX_CHECKED_SENTENCES = 1500
NO_LIMIT = 10**9  # characters
MAX_NOTES_NAMED = 40  # notes named; the others are counted


@dataclass(frozen=True, slots=True)
class QuotedNotes:
    """Sentences for the hospital course, open points, and lines on what is not in the document."""

    sentences: tuple[Sentence, ...] = ()
    points: tuple[OpenPoint, ...] = ()
    left_out: tuple[str, ...] = ()
    quoted: tuple[str, ...] = ()  # the words of the notes alone, without who wrote them


def quote_notes(context: EncounterContext) -> QuotedNotes:
    """Return what a draft quotes from notes. Never raises; a stay without notes gives nothing."""
    notes = context.clinical_notes
    if not any(note.sentences for note in notes):
        return QuotedNotes(left_out=tuple(_unquoted_lines(notes, (), (), frozenset())))
    record = EvidenceIndex(without_notes(context))
    candidates = _not_in_facts(select_candidates(notes, context.patient.name), context)
    agreed: list[tuple[Candidate, Verdict]] = []
    differences: list[tuple[Note, str, CheckedClaim]] = []
    apart: set[int] = set()
    for item in condense(candidates, MAX_CHECKED_SENTENCES, characters=NO_LIMIT):
        verdict = check(item.sentence.with_heading, record)
        finding = contradictions.find_contradiction(verdict.findings, item.note, record)
        if finding is None:
            agreed.append((item, verdict))
        else:
            differences.append((item.note, item.text, finding))
            apart.add(id(item))
    others = contradictions.other_sentences(notes, candidates)
    differences += _more_point(others[:MAX_CHECKED_SENTENCES], record)
    kept = condense([item for item, _ in agreed])
    chosen = {id(item) for item in kept}
    quoted = [_quotation(item, verdict) for item, verdict in agreed if id(item) in chosen]
    dropped = [item for item in candidates if id(item) not in chosen | apart]
    elsewhere = {item.source for item in context.procedures} | {note.source for note, *_ in differences}
    return QuotedNotes(
        sentences=(*quoted, *_with_counts(kept, dropped)),
        points=tuple(contradictions.contradiction_points(contradictions.merge_contradictions(differences))),
        left_out=(*_uncompared(len(others)), *_unquoted_lines(notes, kept, dropped, elsewhere)),
        quoted=tuple(item.text for item in kept),
    )


def _not_in_facts(candidates: Iterable[Candidate], context: EncounterContext) -> list[Candidate]:
    """Return the sentences that no fact of the document has from the same note: an operation, a complication."""
    entries = (*context.procedures, *context.diagnoses, *context.reasons, *context.outcome)
    everywhere = {normalize(entry.text) for entry in entries}
    text_by_source: dict[str, str] = {}
    for entry in entries:
        text_by_source[entry.source] = f"{text_by_source.get(entry.source, '')} {normalize(entry.text)} "
    return [
        item
        for item in candidates
        if normalize(item.sentence.text) not in text_by_source.get(item.note.source, "")
        and normalize(item.sentence.text.partition(": ")[2] or item.sentence.text) not in everywhere
    ]


def _more_point(
    others: Sequence[tuple[Note, NoteSentence]], record: EvidenceIndex
) -> Iterator[tuple[Note, str, CheckedClaim]]:
    for note, sentence in others:
        finding = contradictions.find_contradiction(check(sentence.with_heading, record).findings, note, record)
        if finding is not None:
            yield note, sentence.with_heading, finding


def _uncompared(count: int) -> Iterator[str]:
    if count > MAX_CHECKED_SENTENCES:
        yield f"Notes: {count - MAX_CHECKED_SENTENCES} of their sentences, too many to be compared with the record"


def _quotation(item: Candidate, verdict: Verdict) -> Sentence:
    """Return a quotation with its author and time, so that nobody takes it for an entry of the record."""
    note = item.note
    repeated = item.sentence.repeated
    again = f" (said again in {repeated} later {'note' if repeated == 1 else 'notes'})" if repeated else ""
    what = " (recommendation)" if item.recommended else ""
    by_record = verdict.label == "supported"
    quoted = Evidence(source=note.source, text=item.text, kind="note", said_by=note.citation)
    return Sentence(
        narrative="hospital-course",
        text=f"{note.citation}{what}: “{item.text}”{again}",
        evidence=(quoted, *(verdict.evidence if by_record else ())),
        label="supported",
        origin="note",
        by_note=not by_record,
    )


def _with_counts(kept: Sequence[Candidate], dropped: Sequence[Candidate]) -> Iterator[Sentence]:
    """Yield how much of the notes is condensed, stated in the document where the notes are quoted."""
    if not dropped:
        return
    sources = {item.note.source: item.note for item in dropped}
    one = len(dropped) == 1
    yield Sentence(
        narrative="hospital-course",
        text=f"Of the notes, {len(kept)} of {len(kept) + len(dropped)} sentences on the course are quoted; "
        f"{len(dropped)} further {'one stands' if one else 'stand'} in {_number(len(sources), 'note')} of the chart.",
        evidence=tuple(
            Evidence(source=source, text=note.citation, kind="note", said_by=note.citation)
            for source, note in sources.items()
        )[:MAX_NOTES_NAMED],
        label="supported",
        origin="note",
        by_note=True,
    )


def _unquoted_lines(
    notes: Sequence[Note], kept: Sequence[Candidate], dropped: Sequence[Candidate], elsewhere: Set[str]
) -> Iterator[str]:
    """Yield the notes that are not, or only partly, quoted, by name. `elsewhere`: quoted as facts."""
    quoted = {item.note.source for item in kept}
    waiting = Counter(item.note.source for item in dropped)
    total = len(notes)
    if without := [note for note in notes if note.source in waiting and note.source not in quoted]:
        yield f"Notes: {len(without)} of {total} not quoted, for the length of the document: {_note_names(without)}"
    if part := [note for note in notes if note.source in waiting and note.source in quoted]:
        names = _note_names(part, further=waiting)
        yield f"Notes: {len(part)} of {total} quoted in part, for the length of the document: {names}"
    if rest := [note for note in notes if note.source not in {*waiting, *quoted, *elsewhere}]:
        why = "their sentences are lists, findings, plans or repeat an earlier note"
        yield f"Notes: {len(rest)} of {total} not quoted, {why}: {_note_names(rest)}"


def _note_names(notes: Sequence[Note], further: Counter[str] | None = None) -> str:
    shown = []
    for note in notes[:MAX_NOTES_NAMED]:
        more = f" ({further[note.source]} further)" if further else ""
        shown.append(f"{note.title or note_kinds.KIND_NAMES[note.kind]} {note.on or ''}".strip() + more)
    if len(notes) > MAX_NOTES_NAMED:
        shown.append(f"and {len(notes) - MAX_NOTES_NAMED} more")
    return "; ".join(shown)


def _number(count: int, name: str) -> str:
    return f"{count} {name}" if count == 1 else f"{count} {name}s"

"""Read the notes of a stay with sentences, authors and times. Text that is copied forward counts once. Pure."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from services.drafter.notes import formats, html_text, note_kinds
from services.drafter.notes.sections import NotePart, split_parts
from services.drafter.notes.sentences import normalize, split_note_sentences
from services.drafter.record import identity
from services.drafter.record.scope import AFTER_DISCHARGE, StayScope, source
from services.drafter.source_record import NoteText
from shared.clinical import elements, references
from shared.clinical.elements import Resource
from shared.clinical.fhir_datetime import FhirDateTime
from shared.contracts.context import Note, NoteKind, NoteSentence

OWN_SYSTEM = "https://countersign.example/fhir"  # identifiers of resources that Countersign has filed
SUMMARIES = re.compile(r"discharge (summary|letter)|entlass(ungs)?brief|arztbrief|ontslagbrief", re.IGNORECASE)
SUMMARY_CODES = frozenset({"18842-5", "28655-9", "34745-0", "34105-7"})  # LOINC
MAX_SECTION_DEPTH = 20  # nested sections
MAX_NOTES = 600
MAX_SENTENCES = 4000  # of one stay
MAX_SENTENCE_CHARACTERS = 800  # longer text is no sentence
_PRELIMINARY = frozenset({"preliminary", "registered", "partial", "draft"})
_IN_ERROR = "entered-in-error"


@dataclass(frozen=True, slots=True)
class WrittenNote:
    """A note with its text by sections, before it is split into sentences."""

    resource: Resource
    kind: NoteKind
    title: str
    time: FhirDateTime | None
    author: str | None
    signed: bool
    parts: tuple[NotePart, ...]


def read_notes(
    resources: Iterable[Resource],
    texts: Mapping[str, NoteText],
    people: dict[str, Resource],
    scope: StayScope,
    bases: frozenset[str],
) -> tuple[Note, ...]:
    """Return Compositions, DocumentReferences and ClinicalImpressions of the stay as notes, oldest first.

    A note that cannot be read, or is beyond the limits, is listed in the scope's `left_out`.
    """
    items = list(resources)
    replaced = _replaced_documents(items, bases)
    notes = [
        note
        for item in items
        if source(item) not in replaced and (note := _written_note(item, texts, people, scope, bases))
    ]
    notes.sort(key=_time_order)
    for note in notes[MAX_NOTES:]:
        _leave_out(note, f"not read: the stay has more than {MAX_NOTES} notes", scope)
    return tuple(_without_repeats(notes[:MAX_NOTES], scope))


def text_of(document: Resource, texts: Mapping[str, NoteText]) -> NoteText:
    """Return the text of a DocumentReference: the fetched one, else the inline one."""
    known = texts.get(source(document))
    if known is not None:
        return known
    reasons: list[str] = []
    for attachment in formats.attachments_of(document):
        stated = elements.string(attachment, "contentType")
        try:
            data = formats.data_of(attachment)
            if data is None:
                reasons.append("its text could not be fetched" if attachment.get("url") else "its attachment is empty")
                continue
            format = formats.detect_format(data, stated)
            if format is None:
                raise formats.unknown_format_reason(stated)
            if format == "pdf":
                reasons.append("its text could not be fetched")
                continue
            return NoteText(text=formats.text_of(data, format, stated))
        except formats.UnreadableAttachmentError as error:
            reasons.append(str(error))
    return NoteText(reason=reasons[0] if reasons else "it has no attachment")


def documents_to_fetch(documents: Iterable[Resource], scope: StayScope) -> Iterator[Resource]:
    """Yield the documents of the stay whose text is not inline, or only as PDF."""
    for item in documents:
        if is_summary(item) or not is_current(item) or not is_of_stay(item, scope):
            continue
        if kind_of(item) is not None and text_of(item, {}).text is None and formats.attachments_of(item):
            yield item


def title_of(item: Resource) -> str:
    """Return the record's title of a document."""
    return (
        elements.concept(item.get("type"))
        or elements.string(item, "title")
        or elements.string(item, "description")
        or next((text for part in formats.attachments_of(item) if (text := elements.string(part, "title"))), None)
        or ("Clinical impression" if item.get("resourceType") == "ClinicalImpression" else "Note")
    )


def kind_of(item: Resource) -> NoteKind | None:
    """Return the kind of a note; None where a document is no note on the course of a stay."""
    return note_kinds.note_kind(elements.codes(item.get("type")), title_of(item))


def is_summary(item: Resource) -> bool:
    """Return whether a document is a discharge summary or was filed by Countersign: neither is a source."""
    identifiers = [str(part.get("system", "")) for part in elements.children(item, "identifier")]
    named = elements.codes(item.get("type")) & SUMMARY_CODES or SUMMARIES.search(title_of(item))
    return bool(named) or any(system.startswith(OWN_SYSTEM) for system in identifiers)


def is_current(item: Resource) -> bool:
    """Return whether a document is neither replaced nor entered in error."""
    stated = (elements.string(item, "status"), elements.string(item, "docStatus"))
    return _IN_ERROR not in stated and stated[0] not in ("superseded", "cancelled")


def time_of(item: Resource, scope: StayScope) -> FhirDateTime | None:
    """Return when a note was written; the period of a DocumentReference may be the whole stay's."""
    if item.get("resourceType") == "DocumentReference":
        attached = next((part for part in formats.attachments_of(item) if part.get("creation")), {})
        times = [scope.first_time(item, "date"), scope.first_time(attached, "creation"), _context_period(item, scope)]
        known = [moment for moment in times if moment is not None]
        # A date after the stay is that of an archive or an interface, where something else is in it.
        return next((moment for moment in known if not scope.is_after(item, moment)), next(iter(known), None))
    return scope.first_time(item, "date", "effectiveDateTime", "effectivePeriod")


def is_of_stay(item: Resource, scope: StayScope) -> bool:
    """Return whether a note names the stay or was written during it, not after its end."""
    time = time_of(item, scope)
    if not scope.is_of_stay(item, _context_period(item, scope) or time or scope.start):
        return False
    dates = [time] if scope.belongs(item) else [time, _context_period(item, scope), scope.first_time(item, "date")]
    return not any(scope.is_after(item, moment) for moment in dates)


def _context_period(item: Resource, scope: StayScope) -> FhirDateTime | None:
    """Return the time that a document is about; None where it is only the whole stay's."""
    period = scope.first_time(elements.child(item, "context"), "period")
    whole = period is not None and scope.start is not None and period.begins == scope.start.begins
    return None if whole else period


def _written_note(
    item: Resource, texts: Mapping[str, NoteText], people: dict[str, Resource], scope: StayScope, bases: frozenset[str]
) -> WrittenNote | None:
    kind, title = kind_of(item), title_of(item)
    if kind is None or is_summary(item):
        return None
    if not is_of_stay(item, scope):
        if scope.belongs(item) and is_current(item):
            scope.leave_out(item, _title_with_date(title, time_of(item, scope)), AFTER_DISCHARGE)
        return None
    time = time_of(item, scope)
    if not is_current(item):
        if elements.string(item, "status") != "superseded":
            scope.leave_out(item, _title_with_date(title, time), "entered in error")
        return None
    parts = tuple(_note_parts(item, texts, scope, _title_with_date(title, time), important=kind != "other"))
    signed = not {elements.string(item, "status"), elements.string(item, "docStatus")} & _PRELIMINARY
    return WrittenNote(item, kind, title, time, _author_name(item, people, bases), signed, parts) if parts else None


def _note_parts(
    item: Resource, texts: Mapping[str, NoteText], scope: StayScope, name: str, *, important: bool
) -> Iterator[NotePart]:
    match item.get("resourceType"):
        case "Composition":
            for section in elements.children(item, "section"):
                yield from _of_section(section)
        case "DocumentReference":
            read = text_of(item, texts)
            if read.text is None:
                scope.leave_out(item, name, f"its text could not be read: {read.reason}", important=important)
            else:
                yield from split_parts(read.text)
        case _:
            yield from split_parts(elements.string(item, "summary") or "", "Assessment")


def _of_section(section: Resource, depth: int = 0) -> Iterator[NotePart]:
    title = elements.string(section, "title") or elements.concept(section.get("code")) or ""
    try:
        text = html_text.lines_of(str(elements.child(section, "text").get("div") or ""))
    except ValueError:
        text = ""
    if text:
        yield from split_parts(text, title)
    for inner in elements.children(section, "section") if depth < MAX_SECTION_DEPTH else ():
        yield from _of_section(inner, depth + 1)


def _author_name(item: Resource, people: dict[str, Resource], bases: frozenset[str]) -> str | None:
    """Return the first author that is a named person, not the software that wrote a template."""
    authors = [
        *elements.children(item, "author"),
        elements.child(item, "assessor"),
        elements.child(item, "authenticator"),
    ]
    for element in authors:
        named = references.relative(element, bases) or ""
        if named.startswith(("Device/", "Patient/", "Organization/")):
            continue
        _, name = identity.resolve_practitioner(element, _with_contained(item, element, people), bases)
        if name is not None:
            return name
    return None


def _with_contained(item: Resource, element: Resource, people: dict[str, Resource]) -> dict[str, Resource]:
    """Return `people` with the contained author under the empty reference that `resolve_practitioner` looks up."""
    id = str(element.get("reference") or "")
    inner = next((part for part in elements.children(item, "contained") if id == f"#{part.get('id')}"), None)
    return people | {"": inner} if inner is not None else people


def _replaced_documents(items: Iterable[Resource], bases: frozenset[str]) -> frozenset[str]:
    """Return documents that another document replaces."""
    return frozenset(
        target
        for item in items
        if is_current(item)
        for part in elements.children(item, "relatesTo")
        if elements.string(part, "code") == "replaces"
        and (
            target := references.relative(elements.child(part, "target"), bases)
            or references.relative(elements.child(part, "targetReference"), bases)
        )
    )


def _time_order(note: WrittenNote) -> tuple[bool, float, str]:
    return note.time is None, note.time.begins.timestamp() if note.time else 0.0, source(note.resource)


def _without_repeats(notes: list[WrittenNote], scope: StayScope) -> Iterator[Note]:
    """Yield notes with the sentences that no earlier one has, counting the repetitions."""
    split = [[(part, text) for part in note.parts for text in split_note_sentences(part.lines)] for note in notes]
    again: dict[str, set[int]] = {}
    for number, sentences in enumerate(split):
        for _, text in sentences:
            again.setdefault(normalize(text), set()).add(number)
    seen: set[str] = set()
    for note, sentences in zip(notes, split, strict=True):
        kept, copied, beyond = [], 0, 0
        for part, text in sentences:
            key = normalize(text)
            if key in seen:
                copied += 1
            elif len(seen) >= MAX_SENTENCES or len(text) > MAX_SENTENCE_CHARACTERS:
                beyond += 1
            else:
                seen.add(key)
                kept.append(
                    NoteSentence(
                        text=text,
                        section=part.section,
                        heading=part.heading[:80],
                        problem=part.problem,
                        repeated=len(again[key]) - 1,
                    )
                )
        if beyond:
            _leave_out(note, f"{beyond} of its sentences, too many or too long to be read", scope)
        yield _build_note(note, tuple(kept), copied)


def _build_note(note: WrittenNote, kept: tuple[NoteSentence, ...], copied: int) -> Note:
    time = note.time
    return Note(
        source=source(note.resource),
        kind=note.kind,
        title=note.title,
        author=note.author,
        time=time.begins if time and time.begins == time.ends else None,
        on=time.text if time else None,
        signed=note.signed,
        sentences=kept,
        copied=copied,
    )


def _leave_out(note: WrittenNote, reason: str, scope: StayScope) -> None:
    scope.leave_out(note.resource, _title_with_date(note.title, note.time), reason)


def _title_with_date(title: str, time: FhirDateTime | None) -> str:
    return f"{title} ({time.text[:10]})" if time is not None else title

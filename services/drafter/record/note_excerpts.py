"""Facts that are only in notes and documents: complaint, operation, complications, death certificate.

Notes are read in `clinical_notes.py`; other documents are evidence for the narrative only.
"""

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from services.drafter.notes import sections as note_sections
from services.drafter.notes import sentences as note_sentences
from services.drafter.record import complication
from services.drafter.record.clinical_notes import (
    MAX_SECTION_DEPTH,
    is_current,
    is_of_stay,
    is_summary,
    text_of,
    time_of,
    title_of,
)
from services.drafter.record.reports import strip_markup
from services.drafter.record.scope import StayScope, source
from services.drafter.source_record import NoteText
from shared.clinical import elements
from shared.clinical.elements import Resource
from shared.clinical.fhir_datetime import FhirDateTime
from shared.contracts.context import ContextEntry

_COMPLAINT_CODES = frozenset({"10154-3", "46239-0", "8661-1", "29299-5"})
_COMPLAINT = re.compile(r"chief complaint|presenting complaint|aufnahmegrund|reden van opname", re.IGNORECASE)
_OPERATION = re.compile(
    r"operati(on|ve) (note|report)|surgical|op-?bericht|operationsbericht|operatieverslag"
    r"|(compte[- ]rendu|protocole) op[ée]ratoire",
    re.IGNORECASE,
)
_OPERATION_CODES = frozenset({"11504-8", "28570-0"})
_DEATH = re.compile(r"death (certificate|note)|totenschein|todesbescheinigung|overlijdens", re.IGNORECASE)
_DEATH_CODES = frozenset({"64297-5", "69409-1"})
_IMAGING_CODES = frozenset({"18748-4"})
MAX_SENTENCES = 400  # from documents other than notes, kept as evidence
MAX_TEXT_CHARACTERS = 1200  # characters of an operation note without headings
# Headings that identify an operation note.
_OPERATION_HEADINGS = frozenset(
    "diagnosis indication procedure findings complications anesthesia blood-loss specimens implants".split()  # noqa: SIM905
)


@dataclass(frozen=True, slots=True)
class NoteExcerpt:
    """A section of a note."""

    resource: Resource
    kind: str
    codes: frozenset[str]
    title: str
    text: str
    time: FhirDateTime | None

    @property
    def with_title(self) -> str:
        """Return the text with its heading, unless it begins with it."""
        return (
            self.text
            if self.text.lower().startswith(self.title.lower()) or not self.title
            else f"{self.title}: {self.text}"
        )


def read_note_excerpts(
    compositions: list[Resource],
    documents: list[Resource],
    impressions: list[Resource],
    scope: StayScope,
    texts: Mapping[str, NoteText],
) -> list[NoteExcerpt]:
    """Return sections of the stay's notes and documents, oldest first; discharge summaries are no source."""
    passages: list[NoteExcerpt] = []
    for item in (item for item in (*compositions, *documents, *impressions) if _is_note(item, scope)):
        time = time_of(item, scope)
        match item.get("resourceType"):
            case "Composition":
                parts = elements.children(item, "section")
                passages += [part for section in parts for part in _section_passages(item, section, time)]
            case "DocumentReference":
                if text := text_of(item, texts).text:
                    passages.append(NoteExcerpt(item, title_of(item), elements.codes(item.get("type")), "", text, time))
            case _:
                if summary := elements.string(item, "summary"):
                    passages.append(NoteExcerpt(item, title_of(item), frozenset(), "", summary, time))
    return sorted(passages, key=lambda part: (part.time is None, part.time.begins.timestamp() if part.time else 0.0))


def _is_note(item: Resource, scope: StayScope) -> bool:
    return is_current(item) and not is_summary(item) and is_of_stay(item, scope)


def _section_passages(
    item: Resource, section: Resource, time: FhirDateTime | None, depth: int = 0
) -> Iterator[NoteExcerpt]:
    text = strip_markup(str(elements.child(section, "text").get("div") or ""))
    title = elements.string(section, "title") or elements.concept(section.get("code")) or ""
    if text:
        codes = elements.codes(item.get("type")) | elements.codes(section.get("code"))
        yield NoteExcerpt(item, title_of(item), codes, title, text, time)
    for inner in elements.children(section, "section") if depth < MAX_SECTION_DEPTH else ():
        yield from _section_passages(item, inner, time, depth + 1)


def complaints(passages: list[NoteExcerpt]) -> Iterator[ContextEntry]:
    """Yield why the patient came, in the words of the admission note."""
    for part in passages:
        if _COMPLAINT.search(part.title) or part.codes & _COMPLAINT_CODES:
            yield ContextEntry(text=part.text.rstrip("."), source=source(part.resource))


def operations(passages: list[NoteExcerpt]) -> Iterator[ContextEntry]:
    """Yield sections of operation notes: procedure, anaesthesia, findings, blood loss, implants."""
    for part in passages:
        if part.codes & _OPERATION_CODES or _OPERATION.search(part.kind):
            if part.resource.get("resourceType") == "DocumentReference":
                yield from _by_headings(part)
            else:
                yield _passage_entry(part, part.with_title)


def _by_headings(part: NoteExcerpt) -> Iterator[ContextEntry]:
    """Yield the text under relevant headings; all of it without any. Its header names people."""
    parts = [item for item in note_sections.split_parts(part.text) if item.section in _OPERATION_HEADINGS]
    for item in parts:
        words = " ".join(note_sentences.split_note_sentences(item.lines))
        if words:
            yield _passage_entry(part, f"{item.heading}: {words}")
    if not parts:
        text = " ".join(part.text.split())
        yield _passage_entry(
            part,
            text if len(text) <= MAX_TEXT_CHARACTERS else f"{text[:MAX_TEXT_CHARACTERS].rpartition(' ')[0]} … (cut)",
        )


def death_certificates(passages: list[NoteExcerpt]) -> list[ContextEntry]:
    """Return sections of a death certificate."""
    return [
        _passage_entry(part, part.with_title)
        for part in passages
        if part.codes & _DEATH_CODES or _DEATH.search(part.kind)
    ]


def complications(passages: list[NoteExcerpt]) -> Iterator[ContextEntry]:
    """Yield sentences of notes that state a complication; the first of equal ones.

    Operation notes and death certificates are quoted in full elsewhere.
    """
    seen: set[str] = set()
    for part in passages:
        quoted_elsewhere = part.codes & (_OPERATION_CODES | _DEATH_CODES | _IMAGING_CODES) or _OPERATION.search(
            part.kind
        )
        if quoted_elsewhere or complication.is_about_consent(part.title):
            continue
        for sentence in split_sentences(part.text):
            text = re.sub(r"^[SOAP]: ", "", sentence)
            if complication.states_complication(text) and text not in seen:
                seen.add(text)
                yield _passage_entry(part, f"{text.rstrip('.')} ({part.kind})")


def document_evidence(passages: list[NoteExcerpt], quoted_sources: Collection[str]) -> Iterator[ContextEntry]:
    """Yield sentences of other documents, each once, up to `MAX_SENTENCES`. `quoted_sources` are the notes' sources."""
    seen: set[str] = set()
    for part in (part for part in passages if source(part.resource) not in quoted_sources):
        for sentence in split_sentences(part.text):
            if sentence not in seen and len(seen) < MAX_SENTENCES:
                seen.add(sentence)
                yield _passage_entry(part, sentence)


def split_sentences(text: str) -> list[str]:
    """Return the lines and sentences of a note."""
    parts = [part for line in text.splitlines() for part in re.split(r"(?<=[.;!?])\s+(?=[A-Z(])", line)]
    return [part.strip() for part in parts if re.search(r"\w{3}", part)]


def _passage_entry(part: NoteExcerpt, text: str) -> ContextEntry:
    time = part.time
    return ContextEntry(
        text=text, source=source(part.resource), time=time.begins if time else None, on=time.text if time else None
    )

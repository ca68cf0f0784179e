"""Clinical notes of the stay: evidence for the narrative, and the few facts that stand only there.

Complaint, operation, complications and certificate of death are told from notes; whole notes are not facts.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from services.drafter.record import complication
from services.drafter.record.reports import inline_text, stripped
from services.drafter.record.scope import Scope, source
from shared.clinical import elements
from shared.clinical.elements import Resource
from shared.clinical.moments import Moment
from shared.contracts.context import Entry

OURS = "https://countersign.example/fhir"  # identifiers of what Countersign itself has filed
_SUMMARIES = re.compile(r"discharge (summary|letter)|entlass(ungs)?brief|arztbrief|ontslagbrief", re.IGNORECASE)
_SUMMARY_CODES = frozenset({"18842-5", "28655-9", "34745-0", "34105-7"})  # LOINC
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
DEEPEST = 20  # sections within sections
MOST_SENTENCES = 400  # of one stay's notes that are kept as evidence


@dataclass(frozen=True, slots=True)
class Passage:
    """A section of a note."""

    resource: Resource
    kind: str
    codes: frozenset[str]
    title: str
    text: str
    time: Moment | None

    @property
    def labelled(self) -> str:
        """The text with its heading, where it does not begin with it."""
        return (
            self.text
            if self.text.lower().startswith(self.title.lower()) or not self.title
            else f"{self.title}: {self.text}"
        )


def passages(
    compositions: list[Resource], documents: list[Resource], impressions: list[Resource], scope: Scope
) -> list[Passage]:
    """Sections of the notes of the stay, oldest first; discharge summaries are no source of one."""
    found: list[Passage] = []
    for item in compositions:
        time = scope.first(item, "date")
        if _is_note(item, time, scope):
            found += [part for section in elements.children(item, "section") for part in _sections(item, section, time)]
    for item in documents:
        time = scope.first(elements.child(item, "context"), "period") or scope.first(item, "date")
        if _is_note(item, time, scope):
            for content in elements.children(item, "content"):
                if text := inline_text(elements.child(content, "attachment")):
                    found.append(Passage(item, _kind(item), elements.codes(item.get("type")), "", text, time))
    for item in impressions:
        time = scope.first(item, "effectiveDateTime", "effectivePeriod", "date")
        summary = elements.words(item, "summary")
        if summary and _is_note(item, time, scope):
            found.append(Passage(item, "Clinical impression", frozenset(), "", summary, time))
    return sorted(found, key=lambda part: (part.time is None, part.time.begins.timestamp() if part.time else 0.0))


def _is_note(item: Resource, time: Moment | None, scope: Scope) -> bool:
    if (
        elements.words(item, "status") in ("entered-in-error", "superseded")
        or elements.words(item, "docStatus") == "entered-in-error"
    ):
        return False
    identifiers = [str(part.get("system", "")) for part in elements.children(item, "identifier")]
    summary = elements.codes(item.get("type")) & _SUMMARY_CODES or _SUMMARIES.search(_kind(item))
    if summary or any(system.startswith(OURS) for system in identifiers):
        return False
    written = scope.first(item, "date") if scope.belongs(item) is None else time
    return scope.is_of_stay(item, time) and not scope.is_after(item, time) and not scope.is_after(item, written)


def _kind(item: Resource) -> str:
    return elements.concept(item.get("type")) or elements.words(item, "title") or "Note"


def _sections(item: Resource, section: Resource, time: Moment | None, depth: int = 0) -> Iterator[Passage]:
    text = stripped(str(elements.child(section, "text").get("div") or ""))
    title = elements.words(section, "title") or elements.concept(section.get("code")) or ""
    if text:
        codes = elements.codes(item.get("type")) | elements.codes(section.get("code"))
        yield Passage(item, _kind(item), codes, title, text, time)
    for inner in elements.children(section, "section") if depth < DEEPEST else ():
        yield from _sections(item, inner, time, depth + 1)


def complaints(found: list[Passage]) -> Iterator[Entry]:
    """Why the patient came, in the words of the admission note."""
    for part in found:
        if _COMPLAINT.search(part.title) or part.codes & _COMPLAINT_CODES:
            yield Entry(text=part.text.rstrip("."), source=source(part.resource))


def operations(found: list[Passage]) -> Iterator[Entry]:
    """Sections of operation notes: procedure, anaesthesia, findings, blood loss, implants."""
    for part in found:
        if part.codes & _OPERATION_CODES or _OPERATION.search(part.kind):
            yield _entry(part, part.labelled)


def deaths(found: list[Passage]) -> list[Entry]:
    """Sections of a certificate of death."""
    return [_entry(part, part.labelled) for part in found if part.codes & _DEATH_CODES or _DEATH.search(part.kind)]


def complications(found: list[Passage]) -> Iterator[Entry]:
    """Sentences of notes that say that a complication happened; the first of equal ones.

    Operation notes and certificates of death are told in full elsewhere.
    """
    seen: set[str] = set()
    for part in found:
        told = part.codes & (_OPERATION_CODES | _DEATH_CODES | _IMAGING_CODES) or _OPERATION.search(part.kind)
        if told or complication.is_about_consent(part.title):
            continue
        for sentence in sentences(part.text):
            text = re.sub(r"^[SOAP]: ", "", sentence)
            if complication.happened(text) and text not in seen:
                seen.add(text)
                yield _entry(part, f"{text.rstrip('.')} ({part.kind})")


def evidence(found: list[Passage]) -> Iterator[Entry]:
    """Sentences of notes, each once, up to `MOST_SENTENCES`."""
    seen: set[str] = set()
    for part in found:
        for sentence in sentences(part.text):
            if sentence not in seen and len(seen) < MOST_SENTENCES:
                seen.add(sentence)
                yield _entry(part, sentence)


def sentences(text: str) -> list[str]:
    """Lines and sentences of a note."""
    parts = [part for line in text.splitlines() for part in re.split(r"(?<=[.;!?])\s+(?=[A-Z(])", line)]
    return [part.strip() for part in parts if re.search(r"\w{3}", part)]


def _entry(part: Passage, text: str) -> Entry:
    time = part.time
    return Entry(
        text=text, source=source(part.resource), time=time.begins if time else None, on=time.text if time else None
    )

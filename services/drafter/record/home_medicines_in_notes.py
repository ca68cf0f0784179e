"""Home medicines that only a note mentions: compared with the record's own, and asked about. Pure."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from services.drafter.record import medicine_words
from services.drafter.record.medicine_names import split_salts
from services.drafter.record.note_excerpts import NoteExcerpt, split_sentences
from services.drafter.record.scope import source
from shared.contracts.context import ContextEntry, Medicine
from shared.grounding.vocabulary import drug_names, find_words

_ON_ADMISSION = frozenset({"42346-7"})  # LOINC: medications on admission
_HISTORY = frozenset({"10160-0"})  # LOINC: history of medication use
_ADMISSION_NOTES = frozenset({"34117-2", "47039-3", "67851-6"})  # LOINC: history and physical, admission evaluation
_ADMISSION_NOTE = re.compile(
    r"admission|admitting|history (and|&) physical|\bh ?& ?p\b|aufnahme|anamnes|opname|intake|entrée", re.IGNORECASE
)
_ANY_LIST = re.compile(
    r"((current|aktuelle|huidige|actuele) )?"
    r"(medications?|meds|medicines|medication list|medikation|medikamente|medicatie)",
    re.IGNORECASE,
)
_HISTORIES = re.compile(
    r"(drug|medication|medicine) history|\bdhx\b|medikamentenanamnese|medicamenteuze anamnese|medicatie-?anamnese"
    r"|(outpatient|home) (med(ication|icine)?s|drugs)|ambulante medikation",
    re.IGNORECASE,
)
# `Home medications:`, at the beginning of a line or within one: narratives of sections have lost their lines.
_LABEL_WORDS = r"[^\W\d_]{0,40}(?:[ /&'(-]{1,3}[^\W\d_]{1,40}\)?){0,5}? ?:(?=\s|$)"
_HEADING = re.compile(rf"(?:^|(?<=\n))[-*# •]{{0,5}}[^\W\d_]{_LABEL_WORDS}|(?<=\s)[A-ZÄÖÜ]{_LABEL_WORDS}")
_BARE_HEADING = re.compile(r"#{1,6} .{1,60}|[A-ZÄÖÜ][A-ZÄÖÜ /&()-]{2,60}:?")  # a line of its own
_VERBS = r"\b(?:takes?|taking|took|(?:is|was|been) on|nimmt|nahm|gebruikt|neemt)\b"
_BEFORE = r"\b(?:at home|(?:before|prior to) admission|zu ?hause|thuis)\b"
_TAKES = re.compile(
    rf"{_VERBS}.{{0,200}}?{_BEFORE}|{_BEFORE}.{{0,200}}?{_VERBS}"
    r"|\b(?:home|admission|usual|regular) med\w* (?:list )?(?:includes?|included|are|were|consists?)\b"
    r"|hausmedikation (?:besteht|umfasst)|thuismedicatie (?:bestaat|is)\b",
    re.IGNORECASE,
)
_AFTER_DISCHARGE = re.compile(r"discharge|entlass|ontslag|\bwill\b|\bshould\b|\bsoll\b|\bmoet\b", re.IGNORECASE)
_AMOUNT = re.compile(r"\d ?(mg|g|mcg|µg|ug|ml|iu|ie|units?|e|puffs?|tabl?e?t?s?)\b", re.IGNORECASE)
_BETWEEN = re.compile(r"[\n;•]|, (?=[^\W\d])|(?<=[a-z])\. ")
_NAME = re.compile(r"[^\W\d_][\w-]{3,}")


@dataclass(frozen=True, slots=True)
class HomeMedicineSection:
    """A note's section on home medicines: its text, and the names in it with their canonical names."""

    text: str
    source: str
    is_admission: bool
    names: tuple[tuple[str, str], ...]


def home_medicine_sections(passages: Iterable[NoteExcerpt], lists: Iterable[ContextEntry]) -> list[HomeMedicineSection]:
    """Return sections of notes on home medicines; `lists` are the record's lists without entries."""
    sections: dict[str, HomeMedicineSection] = {}
    for entry in lists:
        sections.setdefault(
            entry.text, HomeMedicineSection(entry.text, entry.source, True, tuple(_medicine_names(entry.text)))
        )
    for part in passages:
        is_admission = bool(part.codes & _ADMISSION_NOTES or _ADMISSION_NOTE.search(part.kind))
        for text in _section_texts(part, is_admission):
            if not any(text in known for known in sections):
                sections[text] = HomeMedicineSection(
                    text, source(part.resource), is_admission, tuple(_medicine_names(text))
                )
    return [section for section in sections.values() if section.names]


def _section_texts(part: NoteExcerpt, is_admission: bool) -> Iterator[str]:
    of_history = part.codes & _HISTORY and is_admission
    if part.codes & _ON_ADMISSION or of_history or _is_heading(part.title, is_admission):
        yield part.text
        return
    yield from _below_headings(part.text, is_admission)
    yield from _below_bare_headings(part.text, is_admission)
    yield from (
        text for text in split_sentences(part.text) if _TAKES.search(text) and not _AFTER_DISCHARGE.search(text)
    )


def _below_headings(text: str, is_admission: bool) -> Iterator[str]:
    """Yield the text after `Home medications:`, up to the next heading or an empty line."""
    headings = [match for match in _HEADING.finditer(text) if not any(True for _ in _known_names(match[0]))]
    for index, match in enumerate(headings):
        if _is_heading(match[0], is_admission):
            end = headings[index + 1].start() if index + 1 < len(headings) else len(text)
            if section := re.split(r"\n\s*\n", text[match.end() : end].strip())[0].strip():
                yield section


def _below_bare_headings(text: str, is_admission: bool) -> Iterator[str]:
    """Yield the text below a heading without a colon on its own line, up to the next or an empty line."""
    section_lines: list[str] | None = None
    for line in [*(line.strip() for line in text.splitlines()), "", ""]:
        if section_lines and (not line or _BARE_HEADING.fullmatch(line)):
            yield "\n".join(section_lines)
            section_lines = None
        if not line.endswith(":") and len(line) < 80 and _is_heading(line, is_admission):
            section_lines = []
        elif section_lines is not None and line:
            section_lines.append(line)


def _is_heading(title: str, is_admission: bool) -> bool:
    title = title.strip(" :\n-*#•")
    if medicine_words.DISCHARGE.search(title):
        return False
    if medicine_words.BEFORE_ADMISSION.search(title) and re.search(
        r"medi|\bmeds\b|\bpta\b|drug|gebruik|domicile", title, re.IGNORECASE
    ):
        return True
    return bool(_HISTORIES.search(title)) or (is_admission and _ANY_LIST.fullmatch(title) is not None)


def _known_names(text: str) -> Iterator[tuple[str, str]]:
    """Yield names of medicines as worded, with their canonical names."""
    lowered = split_salts(text.lower())
    yield from ((mention.text, mention.canonical) for mention in drug_names().find(lowered, find_words(lowered)))


def _medicine_names(text: str) -> Iterator[tuple[str, str]]:
    """Yield the medicines of a section: known names, else the first word of an entry with an amount."""
    yield from _known_names(text)
    for entry in _BETWEEN.split(text):
        name = _NAME.search(entry)
        if name is not None and _AMOUNT.search(entry) and not any(True for _ in _known_names(entry)):
            yield name[0].lower(), name[0].lower()


def mark_note_medicines(
    medicines: Iterable[Medicine], at_home: Iterable[Medicine], sections: list[HomeMedicineSection]
) -> tuple[Medicine, ...]:
    """Return discharge medicines, with a remark on those that only a note names as home medicines."""
    known = list(at_home)
    return tuple(_mark_if_in_notes(item, known, sections) for item in medicines)


def _mark_if_in_notes(item: Medicine, known: list[Medicine], sections: list[HomeMedicineSection]) -> Medicine:
    if any(set(item.ingredients) & set(home.ingredients) or item.name.lower() == home.name.lower() for home in known):
        return item
    naming = [section for section in sections if any(_is_named(item, name) for name in section.names)]
    if not naming:
        return item
    note = "the admission note" if any(section.is_admission for section in naming) else "a note"
    return item.model_copy(update={"maybe_before": f"named in {note} as taken at home, compare"})


def _is_named(item: Medicine, name: tuple[str, str]) -> bool:
    spelling, canonical = name
    return canonical in item.ingredients or re.search(rf"\b{re.escape(spelling)}", item.name.lower()) is not None


def home_medicine_questions(at_home: Iterable[Medicine], sections: list[HomeMedicineSection]) -> Iterator[ContextEntry]:
    """Yield a question for each section with a medicine that the record does not list at home."""
    known = list(at_home)
    for section in sections:
        if all(any(_is_named(item, name) for item in known) for name in section.names):
            continue
        note = "The admission note" if section.is_admission else "A note of the stay"
        text = f"{note} names medicines at home that the record's list does not have: compare: {section.text}"
        yield ContextEntry(text=text, source=section.source)

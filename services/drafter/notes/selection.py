"""Select the sentences of notes that tell what happened in the stay. Pure.

Not selected: plans and conditions, lists of medicines and values (the record has them), templates, identities, and what
is only denied, past or about family. A consultant's recommendation is quoted as one.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

from services.drafter.notes import pattern_files
from services.drafter.notes.sections import section_of
from services.drafter.notes.sentences import normalize
from shared.contracts.context import Note, NoteKind, NoteSection, NoteSentence
from shared.grounding.assertion import assertion_properties
from shared.grounding.indexed_entries import content_words

# What is read of each kind of note, and its priority: 1 comes before 4.
_SECTION_RANKS: Mapping[NoteKind, Mapping[NoteSection, int]] = {
    "admission": {"assessment": 2, "course": 2, "hpi": 4},
    "progress": {"assessment": 2, "interval": 2, "course": 1, "complications": 1, "": 3, "other": 4},
    "consult": {"assessment": 1, "course": 2, "recommendations": 2, "interval": 3, "": 3},
    "operation": {"procedure": 1, "findings": 1, "complications": 1, "diagnosis": 2, "course": 1},
    "procedure": {"procedure": 1, "findings": 1, "complications": 1, "assessment": 2, "course": 1, "": 3},
    "nursing": {"interval": 3, "course": 3, "assessment": 3, "complications": 1, "": 3, "other": 4},
    "emergency": {"course": 1, "assessment": 2, "hpi": 4, "": 3},
    "transfer": {"course": 1, "assessment": 2, "complications": 1, "": 2},
    "therapy": {"assessment": 3, "course": 3},
    "other": {"course": 1, "assessment": 2, "interval": 3, "complications": 1, "": 4},
}
# Sections whose every sentence has to agree with the record, although nothing of them is quoted.
COMPARED_SECTIONS: frozenset[NoteSection] = frozenset(
    {"allergies", "code-status", "diagnosis", "procedure", "findings", "implants"}
)
MIN_WORDS, MAX_WORDS = 3, 60  # words
MIN_WORDS_WITHOUT_EVENT = 5  # `TTE in AM` is an order
MAX_CHARACTERS = 400
_EVENT_ONLY_KINDS: frozenset[NoteKind] = frozenset({"nursing", "other"})

_CUES = pattern_files.read_word_patterns("cues.tsv")
_EVENT, _INTENDED, _CLERICAL, _TEACHING = (_CUES[name] for name in ("event", "intended", "clerical", "told"))
_ORDER, _NOTHING, _HOUSEKEEPING, _CHANGED = (_CUES[name] for name in ("order", "nothing", "housekeeping", "changed"))
_CONDITION = re.compile(r"\b(if|unless|in case|should (he|she|they|the patient)|falls|indien)\b", re.IGNORECASE)
_TEMPLATE = re.compile(
    r"\*{3}|@\w+@|\{[^}]*\}|_{3,}|\[[ xX_]?\]|<[^<>]*>|\bsmart(phrase|text|list)|^\.[a-z]\w+|\bn/a\b|\bnot applicable\b"
    r"|no data (found|available)|last \d+ (encounters|results)|loading\b|\bnone on file\b"
    r"|(see|refer to) (flowsheet|mar|below|above|chart)|drop-?down",
    re.IGNORECASE,
)
_IDENTITY = re.compile(
    r"\b(mrn|dob|d\.o\.b|date of birth|ssn|social security|csn|(account|medical record) (no|number)"
    r"|patient (name|id)|phone|fax|pager|address|zip code|geb(oren|\.)|geburtsdatum|geboortedatum|bsn|next of kin"
    r"|insurance)\b"
    r"|\S@\S+\.\w|\d{3}[-. ]\d{3}[-. ]\d{4}",
    re.IGNORECASE,
)
_VITALS = re.compile(r"\b(bp|hr|rr|temp|t(max)?|spo2|o2 sat|pulse|resp|map|wt|weight|i/o|uop)\b[: =]*\d", re.IGNORECASE)
_FIGURE = re.compile(r"\d+(?:[.,]\d+)?")
_FLAG = re.compile(r"[\[(](?:H|L|HH|LL|A|H\*|L\*|crit\w*)[\])]")
_DOSE = re.compile(
    r"\d ?(mg|mcg|µg|g|units?|u|ml|meq|mmol|puffs?|tabs?|ie|iu)\b.{0,40}"
    r"\b(po|iv|im|sq|sc|subq|subcut\w*|daily|bid|tid|qid|qd|q ?\d+ ?h|qhs|prn|nightly|every|once|twice|oral(ly)?"
    r"|weekly|\d-\d-\d)\b",
    re.IGNORECASE,
)
# A label within a section, of what the record has as entries: `Initial medications: …`, `Comorbidities: …`
_LABEL = re.compile(r"([^\W\d][^:.]{1,40}):\s")
_STRUCTURED_SECTIONS: frozenset[NoteSection] = frozenset(
    {
        "medications",
        "allergies",
        "vitals",
        "results",
        "review",
        "social",
        "family",
        "history",
        "exam",
        "people",
        "complaint",
    }
)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A sentence that may be quoted. `rank` 1 matters most."""

    note: Note
    sentence: NoteSentence
    rank: int
    recommended: bool = False

    @property
    def text(self) -> str:
        """Return the note's words, with the heading of their problem."""
        words, problem = self.sentence.text, self.sentence.problem
        if not problem or normalize(words).startswith(normalize(problem)):
            return words
        return f"{problem}: {words}"

    @property
    def day(self) -> str:
        return self.note.on or ""


def select_candidates(notes: tuple[Note, ...], name: str) -> Iterator[Candidate]:
    """Yield the sentences of the notes that tell the course, in order. `name` is the patient's."""
    for note in notes:
        wanted = _SECTION_RANKS[note.kind]
        for sentence in note.sentences:
            rank = wanted.get(sentence.section)
            if rank is not None and tells_course(note.kind, sentence, name):
                yield Candidate(note, sentence, rank, sentence.section == "recommendations")


def tells_course(kind: NoteKind, sentence: NoteSentence, name: str) -> bool:
    """Return whether a sentence tells what happened, was found or was done in the stay, and may be quoted."""
    text = sentence.text
    if not is_prose(text) or has_identifiers(text, name) or _is_housekeeping(sentence) or _NOTHING.search(text):
        return False
    if _CLERICAL.search(text) or (_TEACHING.search(text) and not _EVENT.search(text)):
        return False
    if normalize(text) == normalize(sentence.problem):
        return False
    if sentence.section == "recommendations":
        return kind == "consult" and _CONDITION.search(text) is None
    if is_intended(text):
        return False
    if sentence.section in ("complications", "findings", "procedure"):
        return True
    events = [match.span() for match in _EVENT.finditer(text)]
    needed = (
        kind in _EVENT_ONLY_KINDS or sentence.section in ("", "other") or len(text.split()) < MIN_WORDS_WITHOUT_EVENT
    )
    if needed and not events:
        return False
    return any(not _is_separate(text, span) for span in events) if events else not is_not_about_stay(text)


def is_intended(text: str) -> bool:
    """Return whether a sentence is an order, a plan or a condition: nothing of it has happened."""
    return _ORDER.match(text) is not None or _INTENDED.search(text) is not None


def is_assertion(note: Note, sentence: NoteSentence) -> bool:
    """Return whether a sentence states or denies something about the patient, and may contradict the record."""
    if sentence.section in COMPARED_SECTIONS:
        return True
    return sentence.section in _SECTION_RANKS[note.kind] and is_prose(sentence.text) and not is_intended(sentence.text)


def _is_housekeeping(sentence: NoteSentence) -> bool:
    """Return whether a sentence is under, or begins with, a routine care heading: `DVT ppx: …`."""
    label = sentence.problem or re.split(r":| - ", sentence.text, maxsplit=1)[0]
    return _HOUSEKEEPING.fullmatch(label.strip()) is not None


def is_prose(text: str) -> bool:
    """Return whether a text is a sentence: no template, no row of values, no entry of a medication list."""
    words = text.split()
    if (
        not MIN_WORDS <= len(words) <= MAX_WORDS
        or len(text) > MAX_CHARACTERS
        or text.endswith(("?", ":"))
        or _TEMPLATE.search(text)
    ):
        return False
    figures, per_word = len(_FIGURE.findall(text)), 2 if _EVENT.search(text) else 3
    if (label := _LABEL.match(text)) is not None and _is_structured_label(label[1]):
        return False
    if (
        text.count("|") > 1
        or len(_VITALS.findall(text)) > 1
        or _FLAG.search(text)
        or figures > 8
        or figures * per_word > len(words) + 3
    ):
        return False
    return _DOSE.search(text) is None or _CHANGED.search(text) is not None


def _is_structured_label(label: str) -> bool:
    """Return whether a label is of structured data, by its whole text or last words: `Initial medications`."""
    words = label.split()
    return any(section_of(" ".join(words[start:])) in _STRUCTURED_SECTIONS for start in range(len(words)))


def has_identifiers(text: str, name: str) -> bool:
    """Return whether a sentence has an identifier, contact details, or the patient's full name."""
    if _IDENTITY.search(text):
        return True
    parts = [part for part in re.findall(r"[^\W\d_]+", name.casefold()) if len(part) > 1]
    words = set(re.findall(r"[^\W\d_]+", text.casefold()))
    return len(parts) > 1 and sum(part in words for part in parts) > 1


@lru_cache(maxsize=8192)
def is_not_about_stay(text: str) -> bool:
    """Return whether most of a sentence is denied, about family or past."""
    words = content_words(text)
    if not words:
        return True
    apart = [_is_separate(text, (start, end)) for _, start, end in words]
    return apart[0] or sum(apart) * 2 > len(apart)


def _is_separate(text: str, span: tuple[int, int]) -> bool:
    return bool(assertion_properties(text, span) & {"denied", "family", "past"})

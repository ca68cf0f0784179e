"""What of a model's text comes from a guideline: general advice, never a fact of this patient. Pure.

The sentence check reads the record alone. A guideline has the record's words, too (medicines, tests, the disease), so
that a sentence of it may be found supported word by word; and one that is not supported does not say where it is from.
"""

import re
from collections.abc import Iterable, Sequence

from shared.contracts.draft import Claim, Knowledge, Passage, Sentence
from shared.grounding import Finding, Record, split
from shared.grounding.words import stem, words

LEADING = "In general:"
_FEWEST = 4  # words in common: with fewer any two texts on one disease agree
_FEWEST_OF_ALL = 3  # where all words of the sentence are in common
_OF_A_SENTENCE = 0.7  # share of a sentence's words that stand in one sentence of the passage
_OF_A_PASSAGE = 0.85  # the same, spread over the passage
_SMALL = frozenset(
    "the and for with was were are has had have been being will would can may his her she him they their them you your"  # noqa: SIM905 - a list of words
    " that this these those who which from into than then there its also but not patient".split()
)
# Who says it to whom is not what it says.
_FRAME = re.compile(
    r"^(?:the patient|patient|pt|he|she) (?:was|were|has been) "
    r"(?:told|advised|informed|instructed|reminded|taught|asked)(?: that| to)? ",
    re.IGNORECASE,
)
# Claims that bind a dose or a date to one entry of the record: a sentence that these support is the record's.
_BOUND = frozenset({"dose", "route", "frequency", "duration", "date", "unit"})
# So is one that tells what happened, not what is done in general, where its medicines and diagnoses are the patient's.
_TOLD = re.compile(r"\b(?:he|she|was|were|had|received|underwent)\b", re.IGNORECASE)
# Claims that any entry with the same words supports.
_LOOSE = frozenset({"statement", "advice", "number"})


def told(sentence: Sentence, findings: Sequence[Finding], record: Record, knowledge: Knowledge | None) -> Sentence:
    """The sentence; where it is taken from a passage and no entry of the record says it, as general advice.

    Such a sentence is never `supported`. One that contradicts the record stays a contradiction.
    """
    said = _FRAME.sub("", sentence.text)
    passage = source_of(said, knowledge.passages if knowledge else ())
    if passage is None or (sentence.supported and _is_of_the_record(said, findings, record)):
        return sentence
    where = f"general advice from {passage.source}/{passage.document}, no fact of this patient"
    claim = Claim(kind="advice", text=sentence.text, label="not-in-record", detail=where)
    kept = sentence.unsupported if sentence.label == "contradicted" else ()
    return sentence.model_copy(
        update={
            "text": worded(sentence.text, passage) if sentence.narrative == "patient-instructions" else sentence.text,
            "evidence": sentence.evidence if kept else (),
            "unsupported": (*kept, claim),
            "label": "contradicted" if kept else "not-in-record",
            "passage": passage.id,
        }
    )


def without_course(sentences: Iterable[Sentence]) -> tuple[tuple[Sentence, ...], int]:
    """The sentences without those in which advice is told as what happened, and how many these were."""
    every = tuple(sentences)
    kept = tuple(item for item in every if not item.passage or item.narrative == "patient-instructions")
    return kept, len(every) - len(kept)


def worded(text: str, passage: Passage) -> str:
    """`In general: Salt is limited to 5 g a day (general advice from Heart failure, guidelines).`"""
    body = text.strip().removeprefix(LEADING).strip().rstrip(".!? ")
    title = " ".join(re.sub(r"[.!?()]", " ", passage.title or passage.document).split())
    return f"{LEADING} {body} (general advice from {title}, {passage.source})."


def source_of(text: str, passages: Sequence[Passage]) -> Passage | None:
    """The passage that the sentence is taken from: nearly all of its words stand in it."""
    said = _tokens(text)
    if len(said) < _FEWEST_OF_ALL:
        return None
    return next((passage for passage in passages if _says(passage, said)), None)


def _says(passage: Passage, said: frozenset[str]) -> bool:
    lines = [sentence for line in passage.text.splitlines() for sentence in split(line)]
    return any(_share(said, line) >= _OF_A_SENTENCE for line in lines) or _share(said, passage.text) >= _OF_A_PASSAGE


def _share(said: frozenset[str], text: str) -> float:
    same = said & _tokens(text)
    return len(same) / len(said) if len(same) >= _FEWEST or same == said else 0.0


def _tokens(text: str) -> frozenset[str]:
    return frozenset(
        stem(word) for word, _, _ in words(text) if word not in _SMALL and (len(word) > 2 or word.isdigit())
    )


def _is_of_the_record(text: str, findings: Sequence[Finding], record: Record) -> bool:
    """Whether one entry has all words of it, or its claims are bound to entries, none of them by its words alone."""
    said = _tokens(text)
    if any(said <= _tokens(line.text) for line in record.lines):
        return True
    kinds = {item.kind for item in findings}
    return not kinds & _LOOSE and (bool(kinds & _BOUND) or _TOLD.search(text) is not None)

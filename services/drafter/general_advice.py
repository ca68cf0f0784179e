"""Label model sentences that come from a guideline as general advice, never as facts of this patient. Pure.

The sentence check compares with the record only. A guideline uses the same words (medicines, tests, the disease), so a
sentence of it may be supported word by word, and an unsupported one does not show where it is from.
"""

import re
from collections.abc import Iterable, Sequence

from shared.contracts.draft import CitedKnowledge, CitedPassage, Claim, Sentence
from shared.grounding import CheckedClaim, EvidenceIndex, split_sentences
from shared.grounding.words import find_words, stem

ADVICE_PREFIX = "In general:"
_MIN_SHARED_WORDS = 4  # with fewer words in common, any two texts on one disease match
_MIN_WORDS = 3  # where all words of the sentence are in common
_MIN_SENTENCE_SHARE = 0.7  # share of a sentence's words that one sentence of the passage has
_MIN_PASSAGE_SHARE = 0.85  # the same, spread over the passage
_STOP_WORDS = frozenset(
    "the and for with was were are has had have been being will would can may his her she him they their them you your"  # noqa: SIM905 - a list of words
    " that this these those who which from into than then there its also but not patient".split()
)
# Phrases that name the speaker or the listener, which are not part of the content.
_FRAME = re.compile(
    r"^(?:the patient|patient|pt|he|she) (?:was|were|has been) "
    r"(?:told|advised|informed|instructed|reminded|taught|asked)(?: that| to)? ",
    re.IGNORECASE,
)
# Claims that bind a dose or a date to one entry of the record: a sentence that these support is the record's.
_PATIENT_CLAIM_KINDS = frozenset({"dose", "route", "frequency", "duration", "date", "unit"})
# So is one that tells what happened, not what is done in general, where its medicines and diagnoses are the patient's.
_NARRATIVE_CUE = re.compile(r"\b(?:he|she|was|were|had|received|underwent)\b", re.IGNORECASE)
# Claims that any entry with the same words supports.
_UNBOUND_CLAIM_KINDS = frozenset({"statement", "advice", "number"})


def label_general_advice(
    sentence: Sentence, findings: Sequence[CheckedClaim], record: EvidenceIndex, knowledge: CitedKnowledge | None
) -> Sentence:
    """Return the sentence; labelled as general advice where it is from a passage and no entry states it.

    Such a sentence is never `supported`. One that contradicts the record stays a contradiction.
    """
    text = _FRAME.sub("", sentence.text)
    passage = source_passage(text, knowledge.passages if knowledge else ())
    if passage is None or (sentence.supported and _is_from_record(text, findings, record)):
        return sentence
    where = f"general advice from {passage.source}/{passage.document}, no fact of this patient"
    claim = Claim(kind="advice", text=sentence.text, label="not-in-record", detail=where)
    kept = sentence.unsupported if sentence.label == "contradicted" else ()
    return sentence.model_copy(
        update={
            "text": advice_sentence(sentence.text, passage)
            if sentence.narrative == "patient-instructions"
            else sentence.text,
            "evidence": sentence.evidence if kept else (),
            "unsupported": (*kept, claim),
            "label": "contradicted" if kept else "not-in-record",
            "passage": passage.id,
        }
    )


def without_advice_as_course(sentences: Iterable[Sentence]) -> tuple[tuple[Sentence, ...], int]:
    """Return the sentences without advice that is worded as a past event, and the number of those."""
    every = tuple(sentences)
    kept = tuple(item for item in every if not item.passage or item.narrative == "patient-instructions")
    return kept, len(every) - len(kept)


def advice_sentence(text: str, passage: CitedPassage) -> str:
    """Return `In general: Salt is limited to 5 g a day (general advice from Heart failure, guidelines).`"""
    body = text.strip().removeprefix(ADVICE_PREFIX).strip().rstrip(".!? ")
    title = " ".join(re.sub(r"[.!?()]", " ", passage.title or passage.document).split())
    return f"{ADVICE_PREFIX} {body} (general advice from {title}, {passage.source})."


def source_passage(text: str, passages: Sequence[CitedPassage]) -> CitedPassage | None:
    """Return the passage that has nearly all words of the sentence; None without one."""
    tokens = _tokens(text)
    if len(tokens) < _MIN_WORDS:
        return None
    return next((passage for passage in passages if _contains_passage(passage, tokens)), None)


def _contains_passage(passage: CitedPassage, tokens: frozenset[str]) -> bool:
    lines = [sentence for line in passage.text.splitlines() for sentence in split_sentences(line)]
    return (
        any(_share(tokens, line) >= _MIN_SENTENCE_SHARE for line in lines)
        or _share(tokens, passage.text) >= _MIN_PASSAGE_SHARE
    )


def _share(tokens: frozenset[str], text: str) -> float:
    same = tokens & _tokens(text)
    return len(same) / len(tokens) if len(same) >= _MIN_SHARED_WORDS or same == tokens else 0.0


def _tokens(text: str) -> frozenset[str]:
    return frozenset(
        stem(word) for word, _, _ in find_words(text) if word not in _STOP_WORDS and (len(word) > 2 or word.isdigit())
    )


def _is_from_record(text: str, findings: Sequence[CheckedClaim], record: EvidenceIndex) -> bool:
    """Return whether one entry has all of its words, or entries state its claims by more than words."""
    tokens = _tokens(text)
    if any(tokens <= _tokens(line.text) for line in record.lines):
        return True
    kinds = {item.kind for item in findings}
    return not kinds & _UNBOUND_CLAIM_KINDS and (
        bool(kinds & _PATIENT_CLAIM_KINDS) or _NARRATIVE_CUE.search(text) is not None
    )

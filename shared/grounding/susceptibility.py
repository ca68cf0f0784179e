"""Claims of susceptibility: compared with the antibiotic results of the record's cultures."""

import re
from collections.abc import Iterator

from shared.grounding.entity_finder import find_drugs
from shared.grounding.evidence_index import EvidenceIndex
from shared.grounding.indexed_entries import IndexedEntry
from shared.grounding.parsed_sentence import ParsedSentence
from shared.grounding.verdict import CheckedClaim, label_for
from shared.grounding.vocabulary import Mention

_ANSWERS = {
    "susceptible": "S",
    "sensitive": "S",
    "sensitivity": "S",
    "susceptibility": "S",
    "resistant": "R",
    "resistance": "R",
    "intermediate": "I",
}
_CUE = re.compile(rf"\b(not |non-?|in)?({'|'.join(_ANSWERS)})\b", re.IGNORECASE)
_SIGN = re.compile(r"\s*=\s*([SRI])\b")
_NEXT = re.compile(r"[,;)]")
_NAME = re.compile(r"[,;(:]")
_WORD = re.compile(r"[a-z]{5,}")


def claims(parsed: ParsedSentence, record: EvidenceIndex) -> Iterator[CheckedClaim]:
    """Yield each antibiotic with its result in the clause: the last one before it, else the first after it."""
    cues = list(_CUE.finditer(parsed.text))
    cues = [
        cue for cue in cues if not cue.group(2).lower().endswith(("ity", "ance"))
    ] or cues  # "sensitivity: resistant"
    for start, end in {parsed.clause_at(cue.start()) for cue in cues}:
        here = [cue for cue in cues if start <= cue.start() < end]
        drugs = [item for item in parsed.named.drugs if start <= item.start < end]
        for drug in drugs:
            before = [cue for cue in here if cue.start() < drug.start]
            yield _susceptibility_claim(before[-1] if before else here[0], drug, record)
        if not drugs and (found := _claim_by_words(here[0], parsed.lower_text[start:end], record)) is not None:
            yield found


def _susceptibility_of(cue: re.Match[str]) -> str:
    """Return `S`, `R` or `I`; `not susceptible` and `insensitive` are resistance."""
    answer = _ANSWERS[cue.group(2).lower()]
    return {"S": "R", "R": "S"}.get(answer, answer) if cue.group(1) else answer


def _susceptibility_claim(cue: re.Match[str], drug: Mention, record: EvidenceIndex) -> CheckedClaim:
    claimed, span = _susceptibility_of(cue), (min(cue.start(), drug.start), max(cue.end(), drug.end))
    lines = record.entries_of("microbiology")
    known = [
        (answer, line) for line in lines for name, answer in _recorded_susceptibilities(line) if name == drug.canonical
    ]
    line = next((line for answer, line in known if answer == claimed), known[0][1] if known else None)
    label = label_for(any(answer == claimed for answer, _ in known), known)
    text = f"{drug.text} {cue.group()}"
    if line is None:
        return CheckedClaim("finding", text, label, spans=(span,))
    return CheckedClaim("finding", text, label, line.source, f"record: {line.text[:160]}", (span,))


def _claim_by_words(cue: re.Match[str], clause: str, record: EvidenceIndex) -> CheckedClaim | None:
    """Match names that no list has as one (`piperacillin/tazobactam`) by the record's words before the result."""
    clause_words = set(_WORD.findall(clause))
    for line in record.entries_of("microbiology"):
        for answer in _CUE.finditer(line.text):
            name = set(_WORD.findall(_NAME.split(line.text[: answer.start()].lower())[-1]))
            if name and name <= clause_words:
                label = label_for(_susceptibility_of(answer) == _susceptibility_of(cue))
                words = f"{' '.join(sorted(name))} {cue.group()}"
                return CheckedClaim("finding", words, label, line.source, f"record: {line.text[:160]}", (cue.span(),))
    return None


def _recorded_susceptibilities(line: IndexedEntry) -> Iterator[tuple[str, str]]:
    """Yield the antibiotics of an entry with their results: `Ceftriaxone susceptible`, `Ceftriaxone=S`."""
    for drug in find_drugs(line.text):
        rest = _NEXT.split(line.text[drug.end :], maxsplit=1)[0]
        if sign := _SIGN.match(rest):
            yield drug.canonical, sign.group(1)
        elif cue := _CUE.search(rest):
            yield drug.canonical, _susceptibility_of(cue)

"""Claims of results: a result that is pending in the record has no outcome."""

import re
from collections.abc import Iterator

from shared.grounding.evidence_index import EvidenceIndex
from shared.grounding.parsed_sentence import ParsedSentence
from shared.grounding.verdict import CheckedClaim
from shared.grounding.words import find_words, stem

_PENDING = re.compile(
    r"\b(?:pending|await(?:ed|ing|s)?|outstanding|waiting|not (?:yet )?(?:back|available|resulted|reported|"
    r"known|finali[sz]ed|ready|"
    r"returned|been reported)|yet to (?:return|result|be reported)|to follow|in progress|still (?:out|cooking|"
    r"running|in the lab)|"
    r"preliminary|unresulted|chase|chased|has not|have not|had not|not back)\b",
    re.IGNORECASE,
)
_RESULTED = re.compile(
    r"\b(?:normal|negative|positive|abnormal|resulted|returned|came back|is back|come back|clear|fine|"
    r"unremarkable|elevated|high|low|"
    r"unrevealing|within (?:normal )?limits|wnl|reported as (?:normal|negative)|without pathological|turned out|"
    r"reassuring|"
    r"finali[sz]ed|no growth)\b",
    re.IGNORECASE,
)


def claims(parsed: ParsedSentence, record: EvidenceIndex) -> Iterator[CheckedClaim]:
    """Yield what is said of a pending result: that it is pending, or its outcome."""
    lines = record.entries_of("pending")
    if not lines:
        return
    waits, back = _PENDING.search(parsed.text), _RESULTED.search(parsed.text)
    if waits is None and back is None:
        return
    stems = {key for key, start, _ in parsed.content if not _is_inside(start, waits) and not _is_inside(start, back)}
    stems |= {stem(word) for word, _, _ in parsed.words}
    for line in lines:
        named = [key for key in line.stems if len(key) > 2]
        own = [item.canonical for item in (*line.named.tests, *line.named.procedures)]
        same = {item.canonical for item in (*parsed.named.tests, *parsed.named.procedures)} & set(own)
        words = [key for key, _, _ in parsed.content if key in line.stems]
        if not (same or words) or not stems or not named:
            continue
        detail = f"record: {line.text[:120]} (pending)"
        spans = [(start, end) for key, start, end in parsed.content if key in line.stems]
        if waits is not None:
            yield CheckedClaim("statement", waits.group(), "supported", line.source, detail, (waits.span(), *spans))
        elif back is not None and all(key in stems for key in _name_stems(line.text)):
            text = parsed.text[spans[0][0] : back.end()] if spans and spans[0][0] < back.end() else back.group()
            yield CheckedClaim("finding", text, "contradicted", line.source, detail, (back.span(),))
        return


def _name_stems(text: str) -> list[str]:
    """Return the stems of what is pending, without brackets."""
    return [stem(word) for word, _, _ in find_words(text.partition(" (")[0])]


def _is_inside(position: int, match: re.Match[str] | None) -> bool:
    return match is not None and match.start() <= position < match.end()

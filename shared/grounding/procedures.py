"""Claims of procedures and imaging, and of the side of the body."""

import re
from collections.abc import Iterator

from shared.contracts.draft import ClaimKind, Label
from shared.grounding import directives, dosage_terms, synonyms
from shared.grounding.assertion import assertion_properties
from shared.grounding.evidence_index import EvidenceIndex
from shared.grounding.indexed_entries import IndexedEntry
from shared.grounding.parsed_sentence import ParsedSentence
from shared.grounding.verdict import CheckedClaim, Span, label_for
from shared.grounding.vocabulary import Mention
from shared.grounding.words import is_neutral, stem, stems

_SIDE = re.compile(
    r"\b(?P<left>(?<!\bhe )(?<!\bshe )(?<!patient )left(?:[- ]sided?)?(?!\s+(?:unchanged|alone|as|out|off|us|"
    r"here|when|was|were|of|after|before|\d|the|against|ama|hospital|home|for|in|on|to|by|with|alive|our|"
    r"ventric\w+|atri\w+|main|anterior)\b)|(?<=, )left|lt)\b"
    r"|\b(?P<right>right(?:[- ]sided?)?(?!\s+(?:away|after|now|before|ventric\w+|atri\w+|heart))|rt)\b|"
    r"\b(?P<both>bilateral(?:ly)?|both (?:sides|legs|hips|knees|lungs|kidneys))\b",
    re.IGNORECASE,
)
_SIDES_IN = {
    "left": re.compile(r"\b(?:left|links|linke\w*|lt)\b", re.I),
    "right": re.compile(r"\b(?:right|rechts|rechte\w*|rt)\b", re.I),
    "both": re.compile(r"\b(?:bilateral|both|beid\w+)\b", re.I),
}
_MAX_REGION_DISTANCE = 34  # characters around an imaging word that are searched for its body part
_NORMAL = re.compile(
    r"(?: scan| examination| of the \w+)?(?: \w+)? (?:was|were|is) (?:entirely |completely )?(normal|"
    r"unremarkable|negative)\b"
)
_UNREMARKABLE = re.compile(
    r"\bno acute\b|\bunremarkable\b|\bnormal\b|\bclear\b|\bno abnormal|\bnegative\b", re.IGNORECASE
)
_SEGMENT = re.compile(r"[.;:/]\s")
_ABSENT = re.compile(r"\bno\b[^.]*\b(?:transfusion|complications?|implants?|specimens?)\b|\bnone\b", re.IGNORECASE)


def claims(parsed: ParsedSentence, record: EvidenceIndex) -> Iterator[CheckedClaim]:
    """Yield each procedure, each imaging study with its body part, and each side."""
    status = directives.stated_code_status(parsed.text) is not None
    for mention in parsed.named.procedures:
        if mention.canonical == "monitoring" and parsed.named.tests:
            continue
        if status and mention.canonical == "cpr":
            continue
        if any(part.start <= mention.start < part.end for part in dosage_terms.find_routes(parsed.text)):
            continue  # "as an injection under the skin"
        yield _procedure_claim(mention, parsed, record)
        normal = _NORMAL.match(parsed.lower_text, mention.end)
        if normal is not None:
            yield _normal_report_claim(mention, normal, parsed, record)
    for match in _SIDE.finditer(parsed.text):
        yield _side_claim(match, parsed, record)


def lines_of(mention: Mention, record: EvidenceIndex) -> list[IndexedEntry]:
    """Return the entries that name the procedure."""
    return [
        line
        for line in record.lines
        if line.part != "allergies" and any(_is_same_procedure(item, mention) for item in line.named.procedures)
    ] or _by_words(mention, record)


def _is_same_procedure(one: Mention, other: Mention) -> bool:
    return one.canonical == other.canonical or stem(one.text) == stem(other.text)


def _by_words(mention: Mention, record: EvidenceIndex) -> list[IndexedEntry]:
    keys = [stem(word) for word in re.findall(r"[^\W\d_]+", mention.text.lower()) if not is_neutral(word)]
    return record.entries_with(keys) if keys and mention.canonical not in ("surgery", "tube", "monitoring") else []


def _procedure_claim(mention: Mention, parsed: ParsedSentence, record: EvidenceIndex) -> CheckedClaim:
    span = (mention.start, mention.end)
    entries = lines_of(mention, record)
    denied = "denied" in parsed.properties(span)
    if mention.canonical == "surgery" and not entries:
        entries = [line for line in record.entries_of("procedures") if _is_operation(line)]
    if mention.canonical in synonyms.IMAGING:
        entries = _about_region(mention, parsed, entries)
    done = [line for line in entries if not _denied_in(line, mention)]
    if denied:
        denial = _denied_line(mention, entries)
        if denial is not None:
            return _finding("polarity", f"no {mention.text}", "supported", [denial], span)
        return _finding("polarity", f"no {mention.text}", "contradicted" if done else "not-in-record", done, span)
    if done:
        return _finding("procedure", mention.text, "supported", done, span)
    return _finding("procedure", mention.text, "contradicted" if entries else "not-in-record", entries, span)


def _normal_report_claim(
    mention: Mention, match: re.Match[str], parsed: ParsedSentence, record: EvidenceIndex
) -> CheckedClaim:
    """Check `The chest X-ray was normal`: a report on it has to state that."""
    found = lines_of(mention, record)
    if mention.canonical in synonyms.IMAGING:
        found = _about_region(mention, parsed, found)
    fine = [line for line in found if _UNREMARKABLE.search(line.text)]
    return _finding("finding", f"{mention.text} {match[1]}", label_for(fine, found), fine or found, match.span(1))


def _is_operation(line: IndexedEntry) -> bool:
    return any(
        item.canonical.endswith(synonyms.PROCEDURE_ENDINGS)
        or item.canonical
        in (
            "orif",
            "bypass",
            "cesarean",
            "hip replacement",
            "amputation",
            "replantation",
            "laparoscopy",
            "knee replacement",
        )
        for item in line.named.procedures
    )


def _about_region(mention: Mention, parsed: ParsedSentence, found: list[IndexedEntry]) -> list[IndexedEntry]:
    """Return the entries on imaging of the body part next to it."""
    near = [
        item
        for item in parsed.named.body
        if item.end > mention.start - _MAX_REGION_DISTANCE
        and item.start < mention.end + 14
        and not re.search(
            r"[.;,]| showed| revealed", parsed.lower_text[min(item.end, mention.end) : max(item.start, mention.start)]
        )
    ]
    if not near or mention.text.lower() == "cxr":
        near_keys = {"chest"} if mention.text.lower() == "cxr" else set()
    else:
        near_keys = {item.canonical for item in near}
    if not near_keys:
        return found
    return [line for line in found if near_keys & {item.canonical for item in line.named.body}]


def _denied_in(line: IndexedEntry, mention: Mention) -> bool:
    place = next((item for item in line.named.procedures if _is_same_procedure(item, mention)), None)
    if place is None:
        return False
    none = line.text[place.end : place.end + 40].lower()
    return "denied" in assertion_properties(line.text, (place.start, place.end)) or bool(
        re.match(r"[^.;/]{0,25}: (?:none|no)\s*(?:[.;/,)]|$)|[^.;/]{0,14} not (?:done|performed)", none)
    )


def _denied_line(mention: Mention, found: list[IndexedEntry]) -> IndexedEntry | None:
    return next((line for line in found if _denied_in(line, mention)), None)


def _side_claim(match: re.Match[str], parsed: ParsedSentence, record: EvidenceIndex) -> CheckedClaim:
    """Check a side: the entry about the same thing must have it; the other side there contradicts it."""
    side = match.lastgroup or ""
    things = _neighbouring_stems(match, parsed)
    text = parsed.text[match.start() : match.end() + 20].rpartition(" ")[0] or match.group()
    parts = [
        (sum(key in found for key in things), segment, line)
        for line in record.lines
        if line.part != "family_history" and any(key in line.stems for key in things)
        for segment in _SEGMENT.split(line.text)
        for found in (stems(segment),)
    ]
    sided = [item for item in parts if item[0] and any(pattern.search(item[1]) for pattern in _SIDES_IN.values())]
    best = max((item[0] for item in sided), default=0)
    closest = [item for item in sided if item[0] == best]
    right = [line for _, segment, line in closest if _SIDES_IN[side].search(segment)]
    if right:
        return _finding("side", text, "supported", right, match.span())
    return _finding("side", text, label_for(False, closest), [line for _, _, line in closest], match.span())


def _neighbouring_stems(match: re.Match[str], parsed: ParsedSentence) -> list[str]:
    """Return the stems of the words right after a side, or of those before it."""
    after = [
        stem(word)
        for word, start, _ in parsed.words
        if match.end() <= start < match.end() + 45 and not is_neutral(word) and not word.isdigit()
    ]
    before = [
        stem(word)
        for word, start, end in parsed.words
        if match.start() - 45 < start and end <= match.start() and not is_neutral(word) and not word.isdigit()
    ]
    return [*after[:4], *before[-3:]]


def _finding(kind: ClaimKind, text: str, label: Label, found: list[IndexedEntry], span: Span) -> CheckedClaim:
    source, detail = (found[0].source, f"record: {found[0].text[:160]}") if found else ("", "")
    return CheckedClaim(kind, text, label, source, detail, (span,))

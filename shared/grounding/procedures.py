"""Claims of procedures and imaging, and of the side of the body."""

import re
from collections.abc import Iterator

from shared.contracts.draft import ClaimKind, Label
from shared.grounding import directives, dosage, names
from shared.grounding.assertion import properties
from shared.grounding.lines import Line
from shared.grounding.parsed import Parsed
from shared.grounding.record import Record
from shared.grounding.verdict import Finding, Span, judge
from shared.grounding.vocabulary import Mention
from shared.grounding.words import neutral, stem, stems

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
_REGION = 34  # characters around an imaging word in which its part of the body stands
_NORMAL = re.compile(
    r"(?: scan| examination| of the \w+)?(?: \w+)? (?:was|were|is) (?:entirely |completely )?(normal|"
    r"unremarkable|negative)\b"
)
_FINE = re.compile(r"\bno acute\b|\bunremarkable\b|\bnormal\b|\bclear\b|\bno abnormal|\bnegative\b", re.IGNORECASE)
_SEGMENT = re.compile(r"[.;:/]\s")
_ABSENT = re.compile(r"\bno\b[^.]*\b(?:transfusion|complications?|implants?|specimens?)\b|\bnone\b", re.IGNORECASE)


def claims(parsed: Parsed, record: Record) -> Iterator[Finding]:
    """Each procedure, each imaging with the part of the body, each side."""
    status = directives.said(parsed.text) is not None
    for mention in parsed.named.procedures:
        if mention.canonical == "monitoring" and parsed.named.tests:
            continue
        if status and mention.canonical == "cpr":
            continue
        if any(part.start <= mention.start < part.end for part in dosage.routes(parsed.text)):
            continue  # "as an injection under the skin"
        yield _procedure(mention, parsed, record)
        normal = _NORMAL.match(parsed.low, mention.end)
        if normal is not None:
            yield _unremarkable(mention, normal, parsed, record)
    for match in _SIDE.finditer(parsed.text):
        yield _side(match, parsed, record)


def lines_of(mention: Mention, record: Record) -> list[Line]:
    """The entries that name the procedure."""
    return [
        line
        for line in record.lines
        if line.part != "allergies" and any(_same(item, mention) for item in line.named.procedures)
    ] or _by_words(mention, record)


def _same(one: Mention, other: Mention) -> bool:
    return one.canonical == other.canonical or stem(one.text) == stem(other.text)


def _by_words(mention: Mention, record: Record) -> list[Line]:
    keys = [stem(word) for word in re.findall(r"[^\W\d_]+", mention.text.lower()) if not neutral(word)]
    return record.lines_with(keys) if keys and mention.canonical not in ("surgery", "tube", "monitoring") else []


def _procedure(mention: Mention, parsed: Parsed, record: Record) -> Finding:
    span = (mention.start, mention.end)
    found = lines_of(mention, record)
    denied = "denied" in parsed.properties(span)
    if mention.canonical == "surgery" and not found:
        found = [line for line in record.parts("procedures") if _operates(line)]
    if mention.canonical in names.IMAGING:
        found = _of_region(mention, parsed, found)
    done = [line for line in found if not _denied_in(line, mention)]
    if denied:
        told = _denied_line(mention, found)
        if told is not None:
            return _finding("polarity", f"no {mention.text}", "supported", [told], span)
        return _finding("polarity", f"no {mention.text}", "contradicted" if done else "not-in-record", done, span)
    if done:
        return _finding("procedure", mention.text, "supported", done, span)
    return _finding("procedure", mention.text, "contradicted" if found else "not-in-record", found, span)


def _unremarkable(mention: Mention, match: re.Match[str], parsed: Parsed, record: Record) -> Finding:
    """`The chest X-ray was normal`: a report on it has to say so."""
    found = lines_of(mention, record)
    if mention.canonical in names.IMAGING:
        found = _of_region(mention, parsed, found)
    fine = [line for line in found if _FINE.search(line.text)]
    return _finding("finding", f"{mention.text} {match[1]}", judge(fine, found), fine or found, match.span(1))


def _operates(line: Line) -> bool:
    return any(
        item.canonical.endswith(names.PROCEDURE_ENDINGS)
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


def _of_region(mention: Mention, parsed: Parsed, found: list[Line]) -> list[Line]:
    """Of imaging: the entries about the part of the body that stands next to it."""
    near = [
        item
        for item in parsed.named.body
        if item.end > mention.start - _REGION
        and item.start < mention.end + 14
        and not re.search(
            r"[.;,]| showed| revealed", parsed.low[min(item.end, mention.end) : max(item.start, mention.start)]
        )
    ]
    if not near or mention.text.lower() == "cxr":
        near_keys = {"chest"} if mention.text.lower() == "cxr" else set()
    else:
        near_keys = {item.canonical for item in near}
    if not near_keys:
        return found
    return [line for line in found if near_keys & {item.canonical for item in line.named.body}]


def _denied_in(line: Line, mention: Mention) -> bool:
    place = next((item for item in line.named.procedures if _same(item, mention)), None)
    if place is None:
        return False
    none = line.text[place.end : place.end + 40].lower()
    return "denied" in properties(line.text, (place.start, place.end)) or bool(
        re.match(r"[^.;/]{0,25}: (?:none|no)\s*(?:[.;/,)]|$)|[^.;/]{0,14} not (?:done|performed)", none)
    )


def _denied_line(mention: Mention, found: list[Line]) -> Line | None:
    return next((line for line in found if _denied_in(line, mention)), None)


def _side(match: re.Match[str], parsed: Parsed, record: Record) -> Finding:
    """A side must stand in the entry about the same thing; the other side there contradicts."""
    side = match.lastgroup or ""
    things = _things(match, parsed)
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
    return _finding("side", text, judge(False, closest), [line for _, _, line in closest], match.span())


def _things(match: re.Match[str], parsed: Parsed) -> list[str]:
    """The stems of the words right behind a side, or of those before it."""
    after = [
        stem(word)
        for word, start, _ in parsed.words
        if match.end() <= start < match.end() + 45 and not neutral(word) and not word.isdigit()
    ]
    before = [
        stem(word)
        for word, start, end in parsed.words
        if match.start() - 45 < start and end <= match.start() and not neutral(word) and not word.isdigit()
    ]
    return [*after[:4], *before[-3:]]


def _finding(kind: ClaimKind, text: str, label: Label, found: list[Line], span: Span) -> Finding:
    source, detail = (found[0].source, f"record: {found[0].text[:160]}") if found else ("", "")
    return Finding(kind, text, label, source, detail, (span,))

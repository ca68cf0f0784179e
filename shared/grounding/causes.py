"""Claims of causes: what is said to come from what has to stand in one entry of the record."""

import re
from collections.abc import Iterator

from shared.grounding.lines import Line, content
from shared.grounding.parsed import Parsed
from shared.grounding.record import Record
from shared.grounding.verdict import Finding
from shared.grounding.words import stem

_CAUSE = re.compile(
    r"\b(?:due to|because of|secondary to|caused by|attributed to|attributable to|resulting from|resulted "
    r"from|as a result of|owing to|induced by|triggered by|precipitated by|provoked by|"
    r"brought on by|explained by|thought to be from|stemming from|on account of|as a consequence of|a "
    r"consequence of|a complication of|related to|in response to|linked to|led to|resulting in|resulted "
    r"in|causing|caused|thanks to|because|since (?:he|she|the))\b|-(?:induced|related|associated)\b",
    re.IGNORECASE,
)
_ADMISSION = re.compile(
    r"\b(?:admitted|admission|hospitali[sz]ed|presented|presentation|came|brought|stay|care|died|death|"
    r"expired|treated|seen|evaluated|reason|underwent)\b[^,;]*$",
    re.IGNORECASE,
)


def claims(parsed: Parsed, record: Record) -> Iterator[Finding]:
    """Each connective with what stands on its two sides."""
    for match in _CAUSE.finditer(parsed.text):
        yield _cause(match, parsed, record)


def _cause(match: re.Match[str], parsed: Parsed, record: Record) -> Finding:
    left, right = _side(parsed, 0, match.start())[-6:], _side(parsed, match.end(), len(parsed.text))[:5]
    text = parsed.text[max(0, match.start() - 40) : match.end() + 40].strip()
    for line in record.lines:
        if (
            _has(line, left)
            and _has(line, right)
            and {key for keys in left for key in keys} != {key for keys in right for key in keys}
        ):
            return Finding("cause", text, "supported", line.source, f"record: {line.text[:160]}", (match.span(),))
    if _ADMISSION.search(parsed.low[: match.start()]) and not left:
        known = [
            line
            for line in record.parts("reasons", "diagnoses", "outcome")
            if _has(line, right) and line.certainty != "ruled-out"
        ]
        if known:
            return Finding(
                "cause", text, "supported", known[0].source, f"record: {known[0].text[:160]}", (match.span(),)
            )
    return Finding("cause", text, "not-in-record", spans=(match.span(),))


def _side(parsed: Parsed, start: int, end: int) -> list[frozenset[str]]:
    """What is named on one side: each name with all that it may be called."""
    named = parsed.named
    mentions = [
        item for item in (*named.drugs, *named.illnesses, *named.tests, *named.procedures) if start <= item.start < end
    ]
    found = [
        (item.start, frozenset({f"={item.canonical}", *(stem(word) for word in item.text.split())}))
        for item in mentions
    ]
    covered = [(item.start, item.end) for item in mentions]
    for key, begin, _ in content(parsed.text):
        if start <= begin < end and not any(a <= begin < b for a, b in covered):
            found.append((begin, frozenset({key})))
    return [keys for _, keys in sorted(found, key=lambda item: item[0])]


def _has(line: Line, side: list[frozenset[str]]) -> bool:
    """Whether an entry names anything of a side that is a name, or all its words."""
    canonical = {
        f"={item.canonical}"
        for item in (*line.named.drugs, *line.named.illnesses, *line.named.tests, *line.named.procedures)
    }
    named = [keys for keys in side if any(key.startswith("=") for key in keys)]
    if named:
        return any(keys & canonical or all(line.says(key) for key in keys if not key.startswith("=")) for keys in named)
    return bool(side) and all(any(line.says(key) for key in keys) for keys in side)

"""Claims by words for values ("elevated", "undetectable") and directions ("rose from … to …", "normalized")."""

import re
from collections.abc import Iterator
from itertools import pairwise

from shared.grounding.binding import bind_numbers
from shared.grounding.evidence_index import EvidenceIndex
from shared.grounding.measurement_series import MeasurementSeries, SeriesPoint
from shared.grounding.parsed_sentence import ParsedSentence
from shared.grounding.values import SERIES_PLACES, matches, series_of
from shared.grounding.verdict import CheckedClaim, label_for
from shared.grounding.vocabulary import Mention

VALUE_WORDS: dict[str, str] = {
    "high": 
        r"too high|(?:on the )?(?:higher|raised|high|upper) side|higher than (?:normal|usual|expected)|"
        r"higher(?! than)|elevated|high|raised|increased|supratherapeutic|markedly high|abnormally high|above (?:the "
        r")?(?:normal|reference)(?: range| limits?)?|positive",
    "low": 
        r"low|reduced|decreased|depressed|diminished|subtherapeutic|below (?:the )?(?:normal|reference)(?: "
        r"range| limits?)?|too low|(?:on the )?(?:lower|low) side|lower than (?:normal|usual|expected)|lower(?! "
        r"than)|undetectable|negative",
    "normal": 
        r"(?<!above )(?<!below )(?<!than )normal|normal throughout|within (?:the )?(?:normal|reference) "
        r"(?:limits|range)|unremarkable|in range|within range|wnl|"
        r"within limits",
    "abnormal": r"abnormal|deranged|out of range",
}  # fmt: skip
_VALUE_WORD_PATTERNS = {name: re.compile(rf"\b(?:{words})\b") for name, words in VALUE_WORDS.items()}
# Behind a test these say which way it went, before it how it is.
_DIRECTION_WORDS = frozenset({"increased", "decreased", "reduced", "raised"} - {"raised"})
_BETWEEN = re.compile(
    r"^[\s(:]*(?:level|levels|count|counts|concentration|values?|result|results)?\s*(?:(?:was|were|is|are|be|"
    r"been|being|has|have|had|"
    r"remain(?:s|ed)|stay(?:s|ed)|came|come|back|returned|proved|turned|out|found|noted|measured|reported|"
    r"described|seen|as|to|"
    r"on \w+|at \w+|also|initially|first|both|only|still|again|all|quite|very|rather|a|\w+ly)\s+)*$"
)
# "was increased" is how it was found, "was increased from" is what became of it.
_STATE = re.compile(
    r"\b(?:was|were|is|are|being|be|been|as|proved|found|measured|remained|noted|labs|laboratory:?)\s+(?:\w+ly\s+)?$"
)
_ONWARD = re.compile(r"\s+(?:from|to|by|over|during|since|in the course|until|on)\b")
_UP = re.compile(
    r"\b(?:rose|rise|rising|rises|risen|increas(?:ed|ing|es?)|climb(?:ed|ing|s)?|(?:went|gone|going|goes|go|"
    r"kept going|crept|came|is|was) "
    r"(?:steadily |further )?up(?:ward)?(?! to date)|trend(?:ed|ing|s)? (?:up|higher)(?:ward)?s?|up from|"
    r"uptrend\w*|uptick|upward|higher than(?! (?:normal|usual|expected))|elevation in|surged?"
    r"|soared|jumped|doubled|tripled|escalat\w+|mounting|grew)\b"
)
_DOWN = re.compile(
    r"\b(?:fell|fall|falling|falls|fallen|decreas(?:ed|ing|es?)|declin(?:ed|ing|es?)|drop(?:p?ed|ping|s)?|"
    r"(?:went|gone|going|goes|go|kept going|came|come"
    r"|coming|drifted|is|was) (?:steadily |further |back )?down(?:ward)?|trend(?:ed|ing|s)? (?:down|lower)"
    r"(?:ward)?s?|down from|downtrend\w*"
    r"|downward|reduced|reduction in|lower(?:ed)? (?:from|to|than)(?! (?:normal|usual|expected))|drift(?:ed|ing)"
    r" down|halved|plummeted|dwindled|waned|sank|dipped)\b"
)
_IMPROVEMENT = re.compile(r"\b(?:improved|improving|improvement|recovered|worsened|worsening|deteriorated)\b")
# Of these a higher value is the better one, where no flag says which way is wrong.
_MORE_IS_BETTER = frozenset(
    {"spo2", "po2", "hemoglobin", "platelets", "egfr", "gcs", "barthel", "albumin", "sodium", "lvef"}
)
_NORMAL = re.compile(r"\b(?:normali[sz]ed|returned to normal|back to normal|resolved to normal)\b")
_STEADY = re.compile(
    r"\b(?:unchanged|(?:was|were|is|remained|stayed) (?:stable|the same|steady|constant)|did not change|"
    r"stayed at)\b"
)
_PAIR_CONNECTIVE = re.compile(r"\bto\b|\bthen\b|→|->|\bfollowed by\b|\band later\b")


def claims(parsed: ParsedSentence, record: EvidenceIndex) -> Iterator[CheckedClaim]:
    """Yield words for values, directions, and pairs of values in their order."""
    for mention in parsed.named.tests:
        found = series_of(mention.canonical, record)
        yield from _value_word_claims(mention, parsed, found)
        yield from _direction_claims(mention, parsed, found)
    yield from _value_pair_claims(parsed, record)


def _value_word_claims(
    mention: Mention, parsed: ParsedSentence, found: list[MeasurementSeries]
) -> Iterator[CheckedClaim]:
    for word, pattern in _VALUE_WORD_PATTERNS.items():
        before = [m for m in pattern.finditer(parsed.lower_text, max(0, mention.start - 24), mention.start)]
        after = [
            m for m in pattern.finditer(parsed.lower_text, mention.end, min(len(parsed.lower_text), mention.end + 80))
        ]
        near = [
            m
            for m in before
            if not re.search(r"[a-z]{4,}|[,;()]|\b(?:and|but)\b", parsed.lower_text[m.end() : mention.start])
        ]
        near += [
            m
            for m in after
            if (m.group() not in _DIRECTION_WORDS or _is_state(m, mention, parsed))
            and _BETWEEN.match(_plain_gap(parsed, mention.end, m.start()))
        ]
        for match in near[:1]:
            denied = "denied" in parsed.properties((match.start(), match.end()))
            yield _judge_value_word(
                f"{mention.text} {match.group()}",
                word,
                denied,
                parsed,
                found,
                ((match.start(), match.end()), (mention.start, mention.end)),
            )


def _is_state(match: re.Match[str], mention: Mention, parsed: ParsedSentence) -> bool:
    """Return whether `increased` describes a value, not a movement: an adjective, or the end of `was …`."""
    if match.group() not in _DIRECTION_WORDS:
        return False
    if match.end() <= mention.start:
        return not parsed.lower_text[match.end() : mention.start].strip()
    colon = parsed.lower_text[mention.end : match.start()].strip() == ""
    still = _ONWARD.match(parsed.lower_text, match.end()) is None
    return still and (bool(_STATE.search(parsed.lower_text, 0, match.start())) or (colon and not parsed.quantities))


def _plain_gap(parsed: ParsedSentence, start: int, end: int) -> str:
    """Return the text between a test and a word without brackets, numbers and other tests of a list."""
    text = parsed.lower_text
    places = [(test.start, test.end) for test in parsed.named.tests]
    for a, b in (*places, *((quantity.start, quantity.end) for quantity in parsed.quantities)):
        if start <= a < end:
            text = text[:a] + " " * (b - a) + text[b:]
    return re.sub(r"\([^)]*\)|\band\b|,|\bof\b|\bat\b", " ", text[start:end])


def _judge_value_word(
    text: str,
    word: str,
    denied: bool,
    parsed: ParsedSentence,
    matching: list[MeasurementSeries],
    spans: tuple[tuple[int, int], ...],
) -> CheckedClaim:
    if not matching:
        return CheckedClaim("finding", text, "not-in-record", spans=spans)
    places = {
        name
        for name in ("first", "last")
        if SERIES_PLACES[name].search(parsed.lower_text[spans[0][0] : spans[0][1] + 40])
    }
    points = [point for series in matching for point in series.points if not places or places & point.places] or list(
        matching[0].points
    )
    says = any(_matches_word(word, point) for point in points)
    if word == "normal":
        says = all(_matches_word(word, point) for point in points) or ("last" in places and says)
    detail = f"record: {matching[0].description}"
    source = next((point.source for point in points if _matches_word(word, point)), points[0].source)
    if says != denied:
        return CheckedClaim("finding", text, "supported", source, detail, spans)
    judged = any(series.judged for series in matching) or any(point.flag for point in points)
    return CheckedClaim("finding", text, "contradicted" if judged else "not-in-record", source, detail, spans)


def _matches_word(word: str, point: SeriesPoint) -> bool:
    low_text = point.text.lower()
    if low_text.startswith(("neg", "not det")):
        return word in ("low", "normal")
    if low_text.startswith(("pos", "det")):
        return word in ("high", "abnormal")
    if word == "normal":
        return not point.flag
    if word == "abnormal":
        return bool(point.flag)
    return word in point.flag


def _direction_claims(
    mention: Mention, parsed: ParsedSentence, found: list[MeasurementSeries]
) -> Iterator[CheckedClaim]:
    limit = min([item.start for item in parsed.named.tests if item.start > mention.end] + [len(parsed.lower_text)])
    semicolon = parsed.lower_text.find(";", mention.end)
    limit = min(limit, semicolon) if semicolon >= 0 else limit
    start = max([item.end for item in parsed.named.tests if item.end < mention.start] + [0])
    for up, pattern in ((True, _UP), (False, _DOWN)):
        match = pattern.search(parsed.lower_text, mention.end, limit) or pattern.search(
            parsed.lower_text, max(start, mention.start - 45), mention.start
        )
        if match is not None and _is_state(match, mention, parsed):
            continue
        if match is not None and not re.match(
            r"[a-z ]*\b(?:dose|risk)\b", parsed.lower_text[match.end() : match.end() + 12]
        ):
            yield _direction_claim(mention, match, found, up)
    better = _IMPROVEMENT.search(parsed.lower_text, mention.end, limit)
    if better is not None and found:
        worse = better.group().startswith(("wors", "deterior"))
        flags = next((point.flag for point in found[0].points if point.flag), "")
        rises = "low" in flags or (not flags and found[0].id in _MORE_IS_BETTER)
        yield _direction_claim(mention, better, found, up=rises != worse)
    steady = _STEADY.search(parsed.lower_text, mention.end, limit)
    if steady is not None and found:
        yield _steady_claim(mention, steady, found)
    normal = _NORMAL.search(parsed.lower_text, mention.end, limit) or _NORMAL.search(
        parsed.lower_text, start, mention.start
    )
    if normal is not None:
        yield _normalized_claim(mention, normal, found, "denied" in parsed.properties(normal.span()))


def _direction_claim(
    mention: Mention, match: re.Match[str], matching: list[MeasurementSeries], up: bool
) -> CheckedClaim:
    text, spans = f"{mention.text} {match.group()}", ((match.start(), match.end()), (mention.start, mention.end))
    moving = [series for series in matching if len(series.points) > 1]
    if not matching:
        return CheckedClaim("order-of-time", text, "not-in-record", spans=spans)
    detail = f"record: {matching[0].description}"
    for series in moving:
        values = [point.quantity.value for point in series.points if point.quantity]
        if len(values) > 1 and _moves_in_direction(
            values, up, bool(re.match(r"\s+(?:to|as)\b", match.string[match.end() :]))
        ):
            return CheckedClaim("order-of-time", text, "supported", series.points[-1].source, detail, spans)
    return CheckedClaim("order-of-time", text, "contradicted", matching[0].points[-1].source, detail, spans)


def _moves_in_direction(values: list[float], up: bool, between_too: bool) -> bool:
    """Return whether values rise or fall from first to last, or to and from an extreme between them."""
    signed = values if up else [-value for value in values]
    if signed[-1] > signed[0]:
        return True
    if not between_too and signed[-1] != signed[0]:
        return False
    between = signed[1:-1]
    return bool(between) and (max(between) > signed[0] or min(between) < signed[-1])


def _steady_claim(mention: Mention, match: re.Match[str], found: list[MeasurementSeries]) -> CheckedClaim:
    """Check that a value is unchanged: from first to last by a tenth at most."""
    series = found[0]
    values = [point.quantity.value for point in series.points if point.quantity]
    same = bool(values) and max(values) - min(values) <= 0.1 * abs(values[0])
    spans = ((match.start(), match.end()), (mention.start, mention.end))
    text = f"{mention.text} {match.group()}"
    return CheckedClaim(
        "order-of-time", text, label_for(same), series.points[-1].source, f"record: {series.description}", spans
    )


def _normalized_claim(
    mention: Mention, match: re.Match[str], found: list[MeasurementSeries], denied: bool
) -> CheckedClaim:
    text, spans = f"{mention.text} {match.group()}", ((match.start(), match.end()), (mention.start, mention.end))
    for series in found:
        first, last = series.points[0], series.points[-1]
        fine = not last.flag and any(point.flag for point in series.points[:-1]) and first is not last
        label = label_for(fine != denied, series.judged)
        return CheckedClaim("order-of-time", text, label, last.source, f"record: {series.description}", spans)
    return CheckedClaim("order-of-time", text, "not-in-record", spans=spans)


def _value_pair_claims(parsed: ParsedSentence, record: EvidenceIndex) -> Iterator[CheckedClaim]:
    """Check `from 3.1 to 4.2`: the first must be earlier, and the direction must be that of the verb."""
    values = [bound for bound in bind_numbers(parsed) if bound.kind == "value"]
    for one, other in pairwise(values):
        between = parsed.lower_text[one.quantity.end : other.quantity.start]
        ahead = parsed.lower_text[max(0, one.quantity.start - 12) : one.quantity.start]
        backwards = re.search(r"\b(?:up|down|improved|increased|decreased) from\b|^\s*from\b", between) is not None
        if one.test != other.test or not (_PAIR_CONNECTIVE.search(between) or backwards or "from" in ahead):
            continue
        first, second = (other, one) if backwards else (one, other)
        text, spans = f"{one.quantity.text} … {other.quantity.text}", ((one.quantity.start, other.quantity.end),)
        for series in series_of(one.test, record):
            early = [point for point in series.points if matches(first.quantity, point, one.test)]
            late = [point for point in series.points if matches(second.quantity, point, one.test)]
            if early and late:
                right = any(a.time < b.time for a in early for b in late)
                label = label_for(right)
                yield CheckedClaim("order-of-time", text, label, late[0].source, f"record: {series.description}", spans)

"""Claims of time: dates of events, and which of two events came first."""

import re
from collections.abc import Iterator
from datetime import date

from shared.grounding import follow_up
from shared.grounding.evidence_index import EvidenceIndex
from shared.grounding.indexed_entries import IndexedEntry
from shared.grounding.parsed_sentence import ParsedSentence
from shared.grounding.quantities import Date
from shared.grounding.verdict import CheckedClaim
from shared.grounding.vocabulary import Mention
from shared.grounding.words import is_neutral, stem

ADMITTED = re.compile(
    r"\b(?:admitted|admission|admit|hospitali[sz](?:ed|ation)|presented|presentation|arrived|arrival|brought|"
    r"came (?:in|to|into|under)|"
    r"entry|entered|stay (?:began|started)|inpatient (?:from|since)|in (?:the )?hospital since|taken in|under "
    r"our care)\b"
)
ENDED = re.compile(
    r"\b(?:discharged?|dismissed|dismissal|(?:went|goes|go|gone|going|allowed|sent|return(?:ed|s)?|released|let|"
    r"headed) (?:back )?home|home(?= (?:on|since)\b|,? \d)|until|till|through|"
    r"checked out|walked out|let go|"
    r"(?:leaves|leaving|leave|left(?= (?:the|us|here|on|for|against|our|home|hospital|after|this|\d|ward|clinic)"
    r"\b|[.,]|$|\s*$))|released|departed|departure|exit(?:us)?|"
    r"died|dies|death|dead|demise|expired|passed(?: away)?|deceased|stay ended|(?:admission|hospitali[sz]ation|"
    r"stay) ended|"
    r"transferred|last day (?:in|of)|end of (?:the )?(?:stay|admission))\b"
)
_BORN = re.compile(r"\b(?:born|date of birth|dob|birth date|birthday)\b")
_RELATIVE = re.compile(
    r"\b(?:yesterday|today|tomorrow|tonight|(?:last|next) (?:night|week|month|year)|on (?:mon|tues|wednes|"
    r"thurs|fri|satur|sun)day|(?:mon|tues|wednes|thurs|fri|satur|sun)day|the (?:same|next|following|"
    r"previous) (?:day|morning|evening))\b",
    re.IGNORECASE,
)
_STAY = re.compile(
    r"(?:hospital(?:i[sz]ation)?|stay(?:ed)?|admission|inpatient|length of stay|los|hospital course|"
    r"discharged?|after|lasted|lasting|spent|in (?:the )?hospital|home|died|death)"
)
_TO = re.compile(r"\s*(?:to|until|through|till|and|-|–)\s*(?:the\s*)?")
_ORDER = re.compile(r"\b(?:before|after|prior to|following|preceded|then|subsequently|later|followed by)\b")


def claims(parsed: ParsedSentence, record: EvidenceIndex) -> Iterator[CheckedClaim]:
    """Yield dates, relative days, and orders of events."""
    if not follow_up.is_about(parsed):
        for day in parsed.dates:
            yield _date_claim(day, parsed, record)
    for match in _RELATIVE.finditer(parsed.text):
        if match.group().lower() == "today" and not ADMITTED.search(parsed.lower_text):
            continue  # the day on which the document is written, that of the discharge
        yield CheckedClaim("date", match.group(), "not-in-record", spans=(match.span(),))
    yield from _order_claims(parsed, record)


def _date_claim(day: Date, parsed: ParsedSentence, record: EvidenceIndex) -> CheckedClaim:
    """Check a date against the last event before it in its clause, else the first one after it."""
    event, allowed, source, detail = _nearest_event(day, parsed, record)
    span = ((day.start, day.end),)
    if any(day.is_on(one) for one in allowed):
        return CheckedClaim("date", day.text, "supported", source, detail, span)
    if event and allowed:
        return CheckedClaim("date", day.text, "contradicted", source, detail, span)
    if not event:
        same = next(
            (line for line in record.lines if line.on and day.is_on(line.on) and _shares_word(line, day, parsed)), None
        )
        if same is not None:
            return CheckedClaim(
                "date", day.text, "supported", same.source, f"record: {same.text[:120]}, {same.on}", span
            )
    written = next((line for line in record.lines if day.text in line.text and _shares_word(line, day, parsed)), None)
    if written is not None:
        return CheckedClaim("date", day.text, "supported", written.source, f"record: {written.text[:120]}", span)
    return CheckedClaim("date", day.text, "not-in-record", spans=span)


def _shares_word(line: IndexedEntry, day: Date, parsed: ParsedSentence) -> bool:
    span = parsed.clause_at(day.start)
    return any(
        line.has_stem(stem(word))
        for word, start, _ in parsed.words
        if span[0] <= start < span[1] and not is_neutral(word) and not word[0].isdigit()
    )


def _nearest_event(day: Date, parsed: ParsedSentence, record: EvidenceIndex) -> tuple[str, list[date], str, str]:
    """Return the event's name, its days, its spans, and its words."""
    context = record.context
    near = [item for item in parsed.dates if item.end <= day.start]
    ahead = max((item.end for item in near), default=0)
    before, after = parsed.lower_text[ahead : day.start], parsed.lower_text[day.end : day.end + 60]
    stay = [("admitted", match.end(), match) for match in ADMITTED.finditer(before)] + [
        ("ended", match.end(), match) for match in ENDED.finditer(before)
    ]
    stay += [("born", match.end(), match) for match in _BORN.finditer(before)]
    named = lines_named(parsed, record, ahead, day.start)
    named_at = max((mention.end for mention, _ in named), default=-1)
    last = max(stay, key=lambda item: item[1], default=None)
    if last is None and not named:
        if (match := ADMITTED.search(after)) is not None:
            last = ("admitted", 0, match)
        elif (match := ENDED.search(after)) is not None:
            last = ("ended", 0, match)
        named = [] if last else lines_named(parsed, record, day.end, day.end + 70)
    if near and _TO.fullmatch(before) and ADMITTED.search(parsed.lower_text[: near[-1].start]):
        return "ended", [record.end], context.encounter, f"record: ended {record.end}"
    if last is not None and (last[1] + ahead >= named_at - 45 or not named):
        if last[0] == "born":
            born = context.patient.birth_date
            return "born", [born] if born else [], context.patient.source, f"record: born {born}"
        one = record.start if last[0] == "admitted" else record.end
        words = "admitted" if last[0] == "admitted" else "died" if context.died else "discharged"
        return last[0], [one] if one else [], context.encounter, f"record: {words} {one}"
    lines = [line for _, items in named for line in items if line.on]
    days = [line.on for line in lines if line.on]
    days += [day for _, items in named for line in items for day in line.days]
    days += [
        point.on
        for mention, _ in named
        for course in record.courses.get(mention.canonical, [])
        for point in course.points
        if point.on
    ]
    detail = f"record: {lines[0].text[:100]}, {lines[0].on}" if lines else ""
    return "named" if days else "", days, lines[0].source if lines else "", detail


def _is_named_in(line: IndexedEntry, item: Mention) -> bool:
    named = line.named
    others = (*named.procedures, *named.drugs, *named.illnesses, *named.tests)
    return any(item.canonical == other.canonical for other in others)


def lines_named(
    parsed: ParsedSentence, record: EvidenceIndex, start: int, end: int
) -> list[tuple[Mention, list[IndexedEntry]]]:
    named = parsed.named
    found = []
    for item in (*named.procedures, *named.drugs, *named.illnesses, *named.tests):
        if start <= item.start < end:
            lines = [line for line in record.lines if _is_named_in(line, item)]
            if not lines:
                lines = record.entries_with([stem(word) for word in item.text.split()])
            found.append((item, lines))
    return found


def _order_claims(parsed: ParsedSentence, record: EvidenceIndex) -> Iterator[CheckedClaim]:
    """Check `A before B`: the days of A against those of B, where the record has days for both."""
    for match in _ORDER.finditer(parsed.lower_text):
        ahead, behind = (
            _event_days(parsed, record, max(0, match.start() - 70), match.start()),
            _event_days(parsed, record, match.end(), match.end() + 70),
        )
        if not ahead[1] or not behind[1] or ahead[0] == behind[0]:
            continue
        first_ahead = match.group() in (
            "before",
            "prior to",
            "preceded",
            "then",
            "subsequently",
            "later",
            "followed by",
        )
        early, late = (ahead[1], behind[1]) if first_ahead else (behind[1], ahead[1])
        text = parsed.text[max(0, match.start() - 30) : match.end() + 30].strip()
        if min(early) > max(late):
            yield CheckedClaim(
                "order-of-time",
                text,
                "contradicted",
                ahead[2] or behind[2],
                f"record: {min(early)} and {max(late)}",
                (match.span(),),
            )
        elif min(early) < max(late):
            yield CheckedClaim(
                "order-of-time",
                text,
                "supported",
                ahead[2] or behind[2],
                f"record: {min(early)} and {max(late)}",
                (match.span(),),
            )


def _event_days(parsed: ParsedSentence, record: EvidenceIndex, start: int, end: int) -> tuple[str, list[date], str]:
    part = parsed.lower_text[start:end]
    procedures = [
        (mention, lines)
        for mention, lines in lines_named(parsed, record, start, end)
        if mention in parsed.named.procedures
    ]
    days = [
        line.on
        for _, lines in procedures
        for line in lines
        if line.on and line.part in ("procedures", "reports", "devices")
    ]
    if days:
        mention, lines = next(pair for pair in procedures if pair[1])
        return mention.canonical, days, lines[0].source
    if ADMITTED.search(part) and record.start:
        return "admitted", [record.start], record.context.encounter
    if ENDED.search(part):
        return "ended", [record.end], record.context.encounter
    return "", [], ""

"""Claims of when: dates of events, lengths of the stay, days of it, and which of two events came first."""

import re
from collections.abc import Iterator
from datetime import date, timedelta

from shared.grounding import dosage, follow_up
from shared.grounding.figures import Date, Figure
from shared.grounding.lines import Line
from shared.grounding.medicines import ALLERGY, is_length
from shared.grounding.numerals import ORDINALS
from shared.grounding.orders import DAY
from shared.grounding.parsed import Parsed
from shared.grounding.record import Record
from shared.grounding.verdict import Finding, judge
from shared.grounding.vocabulary import Mention, joined
from shared.grounding.words import neutral, stem

_ADMITTED = re.compile(
    r"\b(?:admitted|admission|hospitali[sz]ed|presented|arrived|arrival|brought|came in|stay (?:began|"
    r"started)|inpatient from)\b"
)
_ENDED = re.compile(
    r"\b(?:discharged?|went home|left (?:the )?hospital|sent home|released|died|dies|death|expired|passed "
    r"away|deceased|stay ended|transferred)\b"
)
_BORN = re.compile(r"\b(?:born|date of birth|dob|birth date|birthday)\b")
_RELATIVE = re.compile(
    r"\b(?:yesterday|today|tomorrow|tonight|(?:last|next) (?:night|week|month|year)|on (?:mon|tues|wednes|"
    r"thurs|fri|satur|sun)day|(?:mon|tues|wednes|thurs|fri|satur|sun)day|the (?:same|next|following|"
    r"previous) (?:day|morning|evening))\b",
    re.IGNORECASE,
)
_DAY_OF_STAY = re.compile(
    r"\b(?:hospital|hd|inpatient|post-?operative|pod|postop|day) ?(?:day)? ?#?(\d{1,3}|one|two|three|four|"
    r"five|six|seven)\b(?! ?(?:mg|days?|weeks?))",
    re.IGNORECASE,
)
_STAY = re.compile(
    r"(?:hospital(?:i[sz]ation)?|stay(?:ed)?|admission|inpatient|length of stay|los|hospital course|"
    r"discharged?|after|lasted|lasting|spent|in (?:the )?hospital|home|died|death)"
)
_TO = re.compile(r"\s*(?:to|until|through|till|and|-|–)\s*(?:the\s*)?")
_ORDER = re.compile(r"\b(?:before|after|prior to|following|preceded|then|subsequently|later|followed by)\b")


def claims(parsed: Parsed, record: Record) -> Iterator[Finding]:
    """Dates, relative days, lengths of stay, and orders of events."""
    if not follow_up.is_about(parsed):
        for day in parsed.dates:
            yield _date(day, parsed, record)
    for match in _RELATIVE.finditer(parsed.text):
        yield Finding("date", match.group(), "not-in-record", spans=(match.span(),))
    for figure in parsed.figures:
        if figure.dimension == "time" and not _taken(figure, parsed):
            found = _length(figure, parsed, record)
            if found is not None:
                yield found
    yield from _days_of_stay(parsed, record)
    yield from _orders(parsed, record)


def _taken(figure: Figure, parsed: Parsed) -> bool:
    """Whether a medicine or an appointment speaks of this time already."""
    medicine = (parsed.named.drugs or parsed.named.classes) and is_length(figure, parsed)
    return (bool(medicine) and ALLERGY.search(parsed.low) is None and not _of_stay(figure, parsed)) or (
        follow_up.is_about(parsed) and bool(re.search(r"\b(?:in|within)\s*(?:a )?$", parsed.low[: figure.start]))
    )


def _of_stay(figure: Figure, parsed: Parsed) -> bool:
    return bool(
        re.match(
            r"[\s-]*(?:hospital|inpatient|stay|hospitali[sz]ation|admission|in (?:the )?hospital)",
            parsed.low[figure.end :],
        )
    ) or bool(
        re.search(
            r"(?:stayed|hospitali[sz]ed|in (?:the )?hospital|stay of|stay was|remained inpatient|lasted)\s*(?:for "
            r")?(?:a total of )?(?:about )?$",
            parsed.low[: figure.start],
        )
    )


def _date(day: Date, parsed: Parsed, record: Record) -> Finding:
    """A date belongs to the last event before it in its clause, else to the first behind it."""
    event, allowed, source, told = _event_of(day, parsed, record)
    span = ((day.start, day.end),)
    if any(day.is_on(one) for one in allowed):
        return Finding("date", day.text, "supported", source, told, span)
    if event and allowed:
        return Finding("date", day.text, "contradicted", source, told, span)
    if not event:
        same = next(
            (line for line in record.lines if line.on and day.is_on(line.on) and _shares(line, day, parsed)), None
        )
        if same is not None:
            return Finding("date", day.text, "supported", same.source, f"record: {same.text[:120]}, {same.on}", span)
    written = next((line for line in record.lines if day.text in line.text and _shares(line, day, parsed)), None)
    if written is not None:
        return Finding("date", day.text, "supported", written.source, f"record: {written.text[:120]}", span)
    return Finding("date", day.text, "not-in-record", spans=span)


def _shares(line: Line, day: Date, parsed: Parsed) -> bool:
    span = parsed.clause(day.start)
    return any(
        line.says(stem(word))
        for word, start, _ in parsed.words
        if span[0] <= start < span[1] and not neutral(word) and not word[0].isdigit()
    )


def _event_of(day: Date, parsed: Parsed, record: Record) -> tuple[str, list[date], str, str]:
    """The event's name, its days, where they stand, and the words for it."""
    context = record.context
    near = [item for item in parsed.dates if item.end <= day.start]
    ahead = max((item.end for item in near), default=0)
    before, after = parsed.low[ahead : day.start], parsed.low[day.end : day.end + 60]
    stay = [("admitted", match.end(), match) for match in _ADMITTED.finditer(before)] + [
        ("ended", match.end(), match) for match in _ENDED.finditer(before)
    ]
    stay += [("born", match.end(), match) for match in _BORN.finditer(before)]
    named = _lines_named(parsed, record, ahead, day.start)
    named_at = max((mention.end for mention, _ in named), default=-1)
    last = max(stay, key=lambda item: item[1], default=None)
    if last is None and not named:
        if (match := _ADMITTED.search(after)) is not None:
            last = ("admitted", 0, match)
        elif (match := _ENDED.search(after)) is not None:
            last = ("ended", 0, match)
        named = [] if last else _lines_named(parsed, record, day.end, day.end + 70)
    if near and _TO.fullmatch(before) and _ADMITTED.search(parsed.low[: near[-1].start]):
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
    days += [
        point.on
        for mention, _ in named
        for course in record.courses.get(mention.canonical, [])
        for point in course.points
        if point.on
    ]
    told = f"record: {lines[0].text[:100]}, {lines[0].on}" if lines else ""
    return "named" if days else "", days, lines[0].source if lines else "", told


def _lines_named(parsed: Parsed, record: Record, start: int, end: int) -> list[tuple[Mention, list[Line]]]:
    named = parsed.named
    found = []
    for item in (*named.procedures, *named.drugs, *named.illnesses, *named.tests):
        if start <= item.start < end:
            keys = {stem(item.text.split()[0])}
            lines = [
                line
                for line in record.lines
                if any(
                    item.canonical == other.canonical
                    for other in (*line.named.procedures, *line.named.drugs, *line.named.illnesses, *line.named.tests)
                )
                or all(line.says(key) for key in keys)
            ]
            found.append((item, lines))
    return found


def _length(figure: Figure, parsed: Parsed, record: Record) -> Finding | None:
    """How long the stay was, or a time that an entry of the record has in these words."""
    span, context = ((figure.start, figure.end),), record.context
    value = figure.value * (figure.unit.factor if figure.unit else DAY) / DAY
    window = parsed.low[max(0, figure.start - 60) : figure.end + 50]
    if any(part.start <= figure.start < part.end for part in dosage.frequencies(parsed.text)):
        return None
    if (
        (_of_stay(figure, parsed) or (_STAY.search(window) and value >= 1))
        and record.start is not None
        and "ago" not in parsed.low[figure.end : figure.end + 5]
    ):
        days = (record.end - record.start).days
        hours = (context.end - context.start).total_seconds() / 3600 if context.start else 0.0
        fits = {days, days + 1} if figure.unit and figure.unit.factor == DAY else set()
        right = (
            value in fits
            or abs(value * 24 - hours) < 1.0
            or (figure.unit is not None and figure.unit.factor > DAY and abs(value - days) <= 3)
        )
        if right or _of_stay(figure, parsed) or re.search(r"\b(?:discharged?|home|died)\b", window):
            label = judge(right)
            return Finding(
                "duration",
                figure.text,
                label,
                context.encounter,
                f"record: {days} days, {record.start} to {record.end}",
                span,
            )
    line = next(
        (
            line
            for line in record.lines
            if any(
                one.value == figure.value
                and one.unit
                and figure.unit
                and one.unit.factor == figure.unit.factor
                and one.dimension == "time"
                for one in line.figures
            )
            and _shares_any(line, parsed)
        ),
        None,
    )
    if line is not None:
        return Finding("duration", figure.text, "supported", line.source, f"record: {line.text[:120]}", span)
    return Finding("duration", figure.text, "not-in-record", spans=span)


def _shares_any(line: Line, parsed: Parsed) -> bool:
    return any(line.says(stem(word)) for word, _, _ in parsed.words if not neutral(word) and not word[0].isdigit())


def _days_of_stay(parsed: Parsed, record: Record) -> Iterator[Finding]:
    """`hospital day 3`: the day on which something named in the clause has to be."""
    for match in _DAY_OF_STAY.finditer(parsed.text):
        number = int(match[1]) if match[1].isdigit() else _counted(match[1])
        operative = match.group().lower().startswith(("post", "pod"))
        starts = (
            [line.on for line in record.parts("procedures") if line.on]
            if operative
            else [record.start]
            if record.start
            else []
        )
        days = {start + timedelta(days=number - (0 if operative else 1)) for start in starts}
        span = parsed.clause(match.start())
        named = [line for _, items in _lines_named(parsed, record, *span) for line in items if line.on in days]
        ended = _ENDED.search(parsed.part(span)) is not None and record.end in days
        written = [line for line in record.lines if f" {joined(match.group())} " in line.plain]
        label = judge(named or ended or written, False)
        yield Finding("date", match.group(), label, record.context.encounter, "", (match.span(),))


def _counted(word: str) -> int:
    values = ("zero", "one", "two", "three", "four", "five", "six", "seven")
    return values.index(word.lower()) if word.lower() in values else ORDINALS.get(word.lower(), 0)


def _orders(parsed: Parsed, record: Record) -> Iterator[Finding]:
    """`A before B`: A's days against B's, where the record has days for both."""
    for match in _ORDER.finditer(parsed.low):
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
            yield Finding(
                "order-of-time",
                text,
                "contradicted",
                ahead[2] or behind[2],
                f"record: {min(early)} and {max(late)}",
                (match.span(),),
            )
        elif min(early) < max(late):
            yield Finding(
                "order-of-time",
                text,
                "supported",
                ahead[2] or behind[2],
                f"record: {min(early)} and {max(late)}",
                (match.span(),),
            )


def _event_days(parsed: Parsed, record: Record, start: int, end: int) -> tuple[str, list[date], str]:
    part = parsed.low[start:end]
    procedures = [
        (mention, lines)
        for mention, lines in _lines_named(parsed, record, start, end)
        if mention in parsed.named.procedures
    ]
    days = [
        line.on
        for _, lines in procedures
        for line in lines
        if line.on and line.part in ("procedures", "reports", "devices")
    ]
    if days:
        return procedures[0][0].canonical, days, procedures[0][1][0].source
    if _ADMITTED.search(part) and record.start:
        return "admitted", [record.start], record.context.encounter
    if _ENDED.search(part):
        return "ended", [record.end], record.context.encounter
    return "", [], ""

"""Claims of medicines: that there is one, its dose, route, frequency and length, all of them of one order."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from shared.grounding import dosage, names
from shared.grounding.binding import NEAR_AFTER, Bound, bind
from shared.grounding.figures import Figure
from shared.grounding.orders import DAY, Order
from shared.grounding.parsed import Parsed
from shared.grounding.record import Record
from shared.grounding.units import convert
from shared.grounding.verdict import Finding, Span, judge
from shared.grounding.vocabulary import Mention
from shared.grounding.words import stem

ALLERGY = re.compile(
    r"\b(?:allerg\w*|intoleran\w*|hypersensitiv\w*|anaphyla\w*|nkda|not tolerate\w*|unable to tolerate)\b",
    re.IGNORECASE,
)
# A denial that says what became of the medicine: see `status`.
NOT_TAKEN = re.compile(
    r"\b(?:do(?:es)? not take|not taking|no longer (?:takes?|taking|on)|not to be taken)\b", re.IGNORECASE
)
_LASTS = re.compile(
    r"(?:\bfor|\blasting|\blast|\bto last|\bduration of|\bfor altogether|\bfor around|\bfor about|\bplanned|"
    r"\bfull|\bover|\bx|×|\ba|\bfurther|\banother|\badditional|\btotal of|\bcomplete|\bcompleted|\bfor "
    r"the next|\bduration:?|\bthrough|\bfor a total of)\s*$"
)
_LASTS_AFTER = re.compile(
    r"^[\s'’-]*(?:course|supply|of (?:therapy|treatment|antibiotics?)|regimen|in total|in all|altogether|total|"
    r"only|supplied|worth|more|taper|infusion|of (?=[a-z]))"
)
_AT_DISCHARGE = re.compile(
    r"\b(?:discharged? (?:home )?(?:on|with|taking)|(?:at|on|upon) discharge|discharge medic\w+|sent home "
    r"(?:on|with))\b",
    re.IGNORECASE,
)
_AT_HOME = re.compile(
    r"\bat home\b|\bhome (?:medic\w+|dose|regimen)\b|\b(?:before|prior to) (?:the )?admission\b|"
    r"\bpre-?admission\b",
    re.IGNORECASE,
)
_TAKES = re.compile(
    r"\b(?:received|given|administered|infused|started on|treated with|transfused|prescribed|discharged on)\s+"
    r"(?:iv |intravenous |oral |sodium |an? )*$"
)
_TAKEN = re.compile(
    r"\s+(?:was|were|is|are)\s+(?:\w+ly\s+)?(?:given|administered|infused|started|stopped|discontinued|"
    r"replet\w+|supplemented|replaced"
    r"|prescribed|held|transfused|continued|a new)\b"
)
_GIVEN_IN = ("medicines", "procedures", "devices", "services")
_FROM = re.compile(
    r"\b(?:from(?: an?)?(?: prior| previous| old)?(?: dose)?(?: of)?|previously|formerly|instead of|prior dose "
    r"of|had been|old dose:?)\s*$",
    re.IGNORECASE,
)
# Parts of the record in which a medicine may stand without an order.
_ELSEWHERE = (
    "microbiology",
    "reports",
    "procedures",
    "notes",
    "reasons",
    "services",
    "care_plans",
    "immunizations",
    "observed",
    "outcome",
    "contradictions",
    "devices",
    "diagnoses",
    "follow_up",
    "pending",
)


@dataclass(frozen=True, slots=True)
class Said:
    """What a sentence says of one medicine."""

    mention: Mention
    doses: tuple[Figure, ...]
    lengths: tuple[Figure, ...]
    routes: tuple[dosage.Part, ...]
    rates: tuple[dosage.Part, ...]
    as_needed: Span | None
    earlier: tuple[Figure, ...] = ()  # doses of before: "from 20 to 80 mg"


def claims(parsed: Parsed, record: Record) -> Iterator[Finding]:
    """Each medicine, and each class of medicines, that the sentence names."""
    yield from _substances(parsed, record)
    mentions = sorted((*parsed.named.drugs, *parsed.named.classes), key=lambda item: item.start)
    bounds = bind(parsed)
    for mention in mentions:
        if ALLERGY.search(parsed.part(parsed.clause(mention.start))) is None:
            yield from _medicine(_said(mention, mentions, bounds, parsed), parsed, record)


def _substances(parsed: Parsed, record: Record) -> Iterator[Finding]:
    """What is a test and is said to be given: `he received bicarbonate`, `potassium was repleted`."""
    for test in parsed.named.tests:
        if _TAKES.search(parsed.low, 0, test.start) or _TAKEN.match(parsed.low, test.end):
            key, span = stem(test.text.split()[-1]), ((test.start, test.end),)
            line = next((line for line in record.by_stem.get(key, []) if line.part.endswith(_GIVEN_IN)), None)
            if line is None:
                yield Finding("drug", test.text, "not-in-record", spans=span)
            else:
                yield Finding("drug", test.text, "supported", line.source, f"record: {line.text[:160]}", span)


def orders_of(mention: Mention, parsed: Parsed, record: Record) -> list[Order]:
    """The orders that a name or a class may mean."""
    if mention in parsed.named.classes:
        return record.of_class(mention.canonical)
    return record.by_drug.get(mention.canonical, []) or record.by_drug.get(mention.text.lower(), [])


def is_length(figure: Figure, parsed: Parsed) -> bool:
    """Whether a time is how long something is taken: `for 7 days`, `a 7-day course`."""
    return bool(_LASTS.search(parsed.low[: figure.start]) or _LASTS_AFTER.match(parsed.low[figure.end :]))


def _said(mention: Mention, mentions: Sequence[Mention], bounds: Sequence[Bound], parsed: Parsed) -> Said:
    needed = next(
        (m for m in dosage.PRN.finditer(parsed.text) if _owner(m.start(), m.end(), mentions, parsed) == mention), None
    )
    return Said(
        mention=mention,
        doses=tuple(item.figure for item in bounds if item.kind == "dose" and item.owner == mention),
        lengths=tuple(
            item.figure
            for item in bounds
            if item.kind == "time"
            and is_length(item.figure, parsed)
            and _owner(item.figure.start, item.figure.end, mentions, parsed) == mention
        ),
        routes=_parts(dosage.routes(parsed.text), mention, mentions, parsed),
        rates=_parts(dosage.frequencies(parsed.text), mention, mentions, parsed),
        as_needed=needed.span() if needed else None,
        earlier=tuple(item.figure for item in bounds if _FROM.search(parsed.low, 0, item.figure.start)),
    )


def _parts(
    parts: Sequence[dosage.Part], mention: Mention, mentions: Sequence[Mention], parsed: Parsed
) -> tuple[dosage.Part, ...]:
    free = [
        part
        for part in parts
        if not any(item.start <= part.start < item.end for item in (*mentions, *parsed.named.procedures))
    ]
    return tuple(part for part in free if _owner(part.start, part.end, mentions, parsed) == mention)


def _owner(start: int, end: int, mentions: Sequence[Mention], parsed: Parsed) -> Mention | None:
    """The medicine that a route or frequency belongs to: the one right behind it, else the last one before it."""
    following = next((item for item in mentions if item.start >= end), None)
    if following is not None and following.start - end <= 14:
        between = parsed.low[end : following.start]
        if len(between.split()) <= 1 and "," not in between and not {"and", "or", "with"} & set(between.split()):
            return following
    before = [item for item in mentions if item.end <= start]
    if before:
        return before[-1]
    return following if following is not None and following.start - end <= NEAR_AFTER else None


def _medicine(said: Said, parsed: Parsed, record: Record) -> Iterator[Finding]:
    mention, span = said.mention, ((said.mention.start, said.mention.end),)
    found = orders_of(mention, parsed, record)
    denied = "denied" in parsed.properties((mention.start, mention.end)) and not NOT_TAKEN.search(parsed.text)
    if not found:
        yield _unknown(mention, denied, record)
        yield from (
            Finding("dose", f"{mention.text} {dose.text}", "not-in-record", spans=((dose.start, dose.end),))
            for dose in said.doses
        )
        return
    if denied:
        yield Finding(
            "polarity", f"no {mention.text}", "contradicted", found[0].source, f"record: {found[0].text}", span
        )
        return
    found = _of_phase(found, parsed)
    best = min(found, key=lambda order: (_failures(said, order, record), order.part != "discharge_medicines"))
    yield Finding("drug", mention.text, "supported", best.source, f"record: {best.text}", span)
    yield from _attributes(said, best, record)


def _of_phase(found: list[Order], parsed: Parsed) -> list[Order]:
    """The orders of the time that the sentence speaks of, where there are any."""
    parts = (
        ("discharge_medicines",) if _AT_DISCHARGE.search(parsed.text)
        else ("home_medicines",) if _AT_HOME.search(parsed.text)
        else ()
    )  # fmt: skip
    return [order for order in found if order.part in parts] or found


def _unknown(mention: Mention, denied: bool, record: Record) -> Finding:
    span = ((mention.start, mention.end),)
    key = stem(mention.text.split()[0])
    for line in record.lines:
        named = line.says(key) or any(item.canonical == mention.canonical for item in line.named.drugs)
        same = ("denied" in line.stems.get(key, frozenset())) == denied
        if line.part in _ELSEWHERE and named and same:
            return Finding("drug", mention.text, "supported", line.source, f"record: {line.text[:120]}", span)
    allergy = None if denied else met_allergy(mention, record)
    if allergy is not None:
        return Finding("allergy", mention.text, "contradicted", allergy[0], f"record: allergy to {allergy[1]}", span)
    return Finding("drug", mention.text, "not-in-record", spans=span)


def met_allergy(mention: Mention, record: Record) -> tuple[str, str] | None:
    """An allergy of the record to this medicine or to its class."""
    for line in record.parts("allergies"):
        keys = {item.canonical for item in (*line.named.drugs, *line.named.classes)}
        members = {member for key in keys for member in names.members(key)}
        if mention.canonical in keys | members and not line.text.lower().startswith("no "):
            return line.source, line.text
    return None


def _attributes(said: Said, order: Order, record: Record) -> Iterator[Finding]:
    name = said.mention.text
    told = f"record: {order.text}"
    for dose in said.doses:
        right = _dose(dose, said, order) or (dose in said.earlier and _before(dose, order, record))
        label = judge(right, order.amounts)
        yield Finding("dose", f"{name} {dose.text}", label, order.source, told, ((dose.start, dose.end),))
    for part in said.routes:
        label = judge(part.route in order.routes, order.routes)
        yield Finding("route", f"{name} {part.text}", label, order.source, told, ((part.start, part.end),))
    for part in said.rates:
        label = judge(_rate(part, said, order), order.rates)
        yield Finding("frequency", f"{name} {part.text}", label, order.source, told, ((part.start, part.end),))
    if said.as_needed:
        label = judge(order.as_needed)
        yield Finding("frequency", f"{name} as needed", label, order.source, told, (said.as_needed,))
    for length in said.lengths:
        days = _days(order, record)
        value = length.value * (length.unit.factor if length.unit else DAY) / DAY
        label = (
            "supported"
            if any(abs(value - day) < 0.01 * day for day in days)
            else "contradicted"
            if days
            else "not-in-record"
        )
        yield Finding("duration", f"{name} {length.text}", label, order.source, told, ((length.start, length.end),))


def _failures(said: Said, order: Order, record: Record) -> int:
    return sum(finding.label != "supported" for finding in _attributes(said, order, record))


def _dose(figure: Figure, said: Said, order: Order) -> bool:
    """An amount of the order; a number of tablets times their strength; the amount of a day, where it is called so."""
    amounts = [item for item in order.amounts if item.unit is not None]
    if figure.unit is None:
        return any(figure.value == item.value for item in amounts)
    counts = [item.value for item in amounts if item.dimension == "tablet"]
    times = [1.0, *counts, *(order.rates if _of_a_day(said) else ())]
    for item in amounts:
        value = convert(item.value, item.unit, figure.unit) if item.unit else None
        if value is not None and any(
            abs(figure.value - value * count) <= 1e-6 + 1e-4 * figure.value for count in times
        ):
            return True
    return False


def _before(figure: Figure, order: Order, record: Record) -> bool:
    """Whether it is the dose at home of a medicine that was changed."""
    orders = [item for item in record.orders if item.part == "home_medicines" and item.keys & order.keys]
    return any(item.value == figure.value and item.unit == figure.unit for one in orders for item in one.amounts)


def _of_a_day(said: Said) -> bool:
    """Whether the dose is that of a whole day: `1,000 mg per day`."""
    return any(part.text.lower() in ("per day", "a day") for part in said.rates)


def _rate(part: dosage.Part, said: Said, order: Order) -> bool:
    if _of_a_day(said) and said.doses:
        return True  # the dose is compared as that of a day
    return any(abs(part.rate - rate) <= 0.04 * rate for rate in order.rates)


def _days(order: Order, record: Record) -> set[float]:
    """How many days: by the order, or from the first to the last day on which it was given."""
    given = [item.medicine for item in record.orders if item.part == "given_medicines" and item.keys & order.keys]
    days = sorted(item.time.date() for item in given if item.time)
    return set(order.days) | ({float((days[-1] - days[0]).days + 1)} if len(days) > 1 else set())

"""Claims of medicines: existence, dose, route, frequency and duration, all in one order."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from shared.grounding import dosage_terms, synonyms
from shared.grounding.binding import MAX_DISTANCE_AFTER, BoundNumber, bind_numbers
from shared.grounding.evidence_index import EvidenceIndex
from shared.grounding.medicine_cues import (
    ADMINISTRATION_PARTS,
    ALLERGY,
    AT_DISCHARGE,
    AT_HOME,
    DURATION_AFTER,
    DURATION_BEFORE,
    GIVEN_AFTER,
    GIVEN_BEFORE,
    NOT_TAKEN,
    OTHER_PARTS,
    PREVIOUS_DOSE,
)
from shared.grounding.orders import SECONDS_PER_DAY, GroundedOrder
from shared.grounding.parsed_sentence import ParsedSentence
from shared.grounding.quantities import Quantity
from shared.grounding.units import convert
from shared.grounding.verdict import CheckedClaim, Span, label_for
from shared.grounding.vocabulary import Mention
from shared.grounding.words import stem


@dataclass(frozen=True, slots=True)
class StatedMedicine:
    """What a sentence states about one medicine."""

    mention: Mention
    doses: tuple[Quantity, ...]
    lengths: tuple[Quantity, ...]
    routes: tuple[dosage_terms.DosageTerm, ...]
    rates: tuple[dosage_terms.DosageTerm, ...]
    as_needed: Span | None
    earlier: tuple[Quantity, ...] = ()  # doses of before: "from 20 to 80 mg"


def claims(parsed: ParsedSentence, record: EvidenceIndex) -> Iterator[CheckedClaim]:
    """Yield each medicine, and each class of medicines, that the sentence names."""
    yield from _given_substance_claims(parsed, record)
    mentions = sorted((*parsed.named.drugs, *parsed.named.classes), key=lambda item: item.start)
    bounds = bind_numbers(parsed)
    for mention in mentions:
        if ALLERGY.search(parsed.lower_text_of(parsed.clause_at(mention.start))) is None:
            yield from _medicine_claims(_stated_medicine(mention, mentions, bounds, parsed), parsed, record)


def _given_substance_claims(parsed: ParsedSentence, record: EvidenceIndex) -> Iterator[CheckedClaim]:
    """Yield tests that are said to be given: `he received bicarbonate`, `potassium was repleted`."""
    for test in parsed.named.tests:
        if GIVEN_BEFORE.search(parsed.lower_text, 0, test.start) or GIVEN_AFTER.match(parsed.lower_text, test.end):
            key, span = stem(test.text.split()[-1]), ((test.start, test.end),)
            line = next(
                (line for line in record.by_stem.get(key, []) if line.part.endswith(ADMINISTRATION_PARTS)), None
            )
            if line is None:
                yield CheckedClaim("drug", test.text, "not-in-record", spans=span)
            else:
                yield CheckedClaim("drug", test.text, "supported", line.source, f"record: {line.text[:160]}", span)


def orders_of(mention: Mention, parsed: ParsedSentence, record: EvidenceIndex) -> list[GroundedOrder]:
    """Return the orders that a name or a class may mean."""
    if mention in parsed.named.classes:
        return record.orders_of_class(mention.canonical)
    return record.by_drug.get(mention.canonical, []) or record.by_drug.get(mention.text.lower(), [])


def is_treatment_duration(quantity: Quantity, parsed: ParsedSentence) -> bool:
    """Return whether a time is the duration of a medicine: `for 7 days`, `a 7-day course`."""
    return bool(
        DURATION_BEFORE.search(parsed.lower_text[: quantity.start])
        or DURATION_AFTER.match(parsed.lower_text[quantity.end :])
    )


def _stated_medicine(
    mention: Mention, mentions: Sequence[Mention], bounds: Sequence[BoundNumber], parsed: ParsedSentence
) -> StatedMedicine:
    needed = next(
        (
            m
            for m in dosage_terms.PRN.finditer(parsed.text)
            if _medicine_of_attribute(m.start(), m.end(), mentions, parsed) == mention
        ),
        None,
    )
    return StatedMedicine(
        mention=mention,
        doses=tuple(item.quantity for item in bounds if item.kind == "dose" and item.owner == mention),
        lengths=tuple(
            item.quantity
            for item in bounds
            if item.kind == "time"
            and is_treatment_duration(item.quantity, parsed)
            and _medicine_of_attribute(item.quantity.start, item.quantity.end, mentions, parsed) == mention
        ),
        routes=_terms_of(dosage_terms.find_routes(parsed.text), mention, mentions, parsed),
        rates=_terms_of(dosage_terms.find_frequencies(parsed.text), mention, mentions, parsed),
        as_needed=needed.span() if needed else None,
        earlier=tuple(
            item.quantity for item in bounds if PREVIOUS_DOSE.search(parsed.lower_text, 0, item.quantity.start)
        ),
    )


def _terms_of(
    parts: Sequence[dosage_terms.DosageTerm], mention: Mention, mentions: Sequence[Mention], parsed: ParsedSentence
) -> tuple[dosage_terms.DosageTerm, ...]:
    free = [
        part
        for part in parts
        if not any(item.start <= part.start < item.end for item in (*mentions, *parsed.named.procedures))
    ]
    return tuple(part for part in free if _medicine_of_attribute(part.start, part.end, mentions, parsed) == mention)


def _medicine_of_attribute(start: int, end: int, mentions: Sequence[Mention], parsed: ParsedSentence) -> Mention | None:
    """Return the medicine of a route or frequency: the one right after it, else the last one before it."""
    following = next((item for item in mentions if item.start >= end), None)
    if following is not None and following.start - end <= 14:
        between = parsed.lower_text[end : following.start]
        if len(between.split()) <= 1 and "," not in between and not {"and", "or", "with"} & set(between.split()):
            return following
    before = [item for item in mentions if item.end <= start]
    if before:
        return before[-1]
    return following if following is not None and following.start - end <= MAX_DISTANCE_AFTER else None


def _medicine_claims(stated: StatedMedicine, parsed: ParsedSentence, record: EvidenceIndex) -> Iterator[CheckedClaim]:
    mention, span = stated.mention, ((stated.mention.start, stated.mention.end),)
    orders = orders_of(mention, parsed, record)
    denied = "denied" in parsed.properties((mention.start, mention.end)) and not NOT_TAKEN.search(parsed.text)
    if not orders:
        yield _unrecorded_claim(mention, denied, record)
        yield from (
            CheckedClaim("dose", f"{mention.text} {dose.text}", "not-in-record", spans=((dose.start, dose.end),))
            for dose in stated.doses
        )
        return
    if denied:
        yield CheckedClaim(
            "polarity", f"no {mention.text}", "contradicted", orders[0].source, f"record: {orders[0].text}", span
        )
        return
    orders = _orders_of_phase(orders, parsed)
    best = min(
        orders, key=lambda order: (_count_mismatches(stated, order, record), order.part != "discharge_medicines")
    )
    yield CheckedClaim("drug", mention.text, "supported", best.source, f"record: {best.text}", span)
    yield from _attribute_claims(stated, best, record)


def _orders_of_phase(found: list[GroundedOrder], parsed: ParsedSentence) -> list[GroundedOrder]:
    """Return the orders of the phase that the sentence is about, where there are any."""
    parts = (
        ("discharge_medicines",) if AT_DISCHARGE.search(parsed.text)
        else ("home_medicines",) if AT_HOME.search(parsed.text)
        else ()
    )  # fmt: skip
    return [order for order in found if order.part in parts] or found


def _unrecorded_claim(mention: Mention, denied: bool, record: EvidenceIndex) -> CheckedClaim:
    span = ((mention.start, mention.end),)
    key = stem(mention.text.split()[0])
    for line in record.lines:
        named = line.has_stem(key) or any(item.canonical == mention.canonical for item in line.named.drugs)
        same = ("denied" in line.stems.get(key, frozenset())) == denied
        if line.part in OTHER_PARTS and named and same:
            return CheckedClaim("drug", mention.text, "supported", line.source, f"record: {line.text[:120]}", span)
    allergy = None if denied else matching_allergy(mention, record)
    if allergy is not None:
        return CheckedClaim(
            "allergy", mention.text, "contradicted", allergy[0], f"record: allergy to {allergy[1]}", span
        )
    return CheckedClaim("drug", mention.text, "not-in-record", spans=span)


def matching_allergy(mention: Mention, record: EvidenceIndex) -> tuple[str, str] | None:
    """Return an allergy of the record to this medicine or to its class; None without one."""
    for line in record.entries_of("allergies"):
        keys = {item.canonical for item in (*line.named.drugs, *line.named.classes)}
        members = {member for key in keys for member in synonyms.class_members(key)}
        if mention.canonical in keys | members and not line.text.lower().startswith("no "):
            return line.source, line.text
    return None


def _attribute_claims(stated: StatedMedicine, order: GroundedOrder, record: EvidenceIndex) -> Iterator[CheckedClaim]:
    name = stated.mention.text
    detail = f"record: {order.text}"
    for dose in stated.doses:
        right = _dose_matches(dose, stated, order) or (
            dose in stated.earlier and _is_previous_dose(dose, order, record)
        )
        label = label_for(right, order.amounts)
        yield CheckedClaim("dose", f"{name} {dose.text}", label, order.source, detail, ((dose.start, dose.end),))
    for part in stated.routes:
        label = label_for(part.route in order.routes, order.routes)
        yield CheckedClaim("route", f"{name} {part.text}", label, order.source, detail, ((part.start, part.end),))
    for part in stated.rates:
        label = label_for(_rate_matches(part, stated, order), order.rates)
        yield CheckedClaim("frequency", f"{name} {part.text}", label, order.source, detail, ((part.start, part.end),))
    if stated.as_needed:
        label = label_for(order.as_needed)
        yield CheckedClaim("frequency", f"{name} as needed", label, order.source, detail, (stated.as_needed,))
    for length in stated.lengths:
        days = _durations_in_days(order, record)
        value = length.value * (length.unit.factor if length.unit else SECONDS_PER_DAY) / SECONDS_PER_DAY
        label = (
            "supported"
            if any(abs(value - day) < 0.01 * day for day in days)
            else "contradicted"
            if days
            else "not-in-record"
        )
        yield CheckedClaim(
            "duration", f"{name} {length.text}", label, order.source, detail, ((length.start, length.end),)
        )


def _count_mismatches(stated: StatedMedicine, order: GroundedOrder, record: EvidenceIndex) -> int:
    return sum(finding.label != "supported" for finding in _attribute_claims(stated, order, record))


def _dose_matches(quantity: Quantity, stated: StatedMedicine, order: GroundedOrder) -> bool:
    """Match an amount of the order, a number of tablets times their strength, or a stated daily amount."""
    amounts = [item for item in order.amounts if item.unit is not None]
    if quantity.unit is None:
        return any(quantity.value == item.value for item in amounts)
    counts = [item.value for item in amounts if item.dimension == "tablet"]
    times = [1.0, *counts, *(order.rates if _is_daily_amount(stated) else ())]
    for item in amounts:
        value = convert(item.value, item.unit, quantity.unit) if item.unit else None
        if value is not None and any(
            abs(quantity.value - value * count) <= 1e-6 + 1e-4 * quantity.value for count in times
        ):
            return True
    return False


def _is_previous_dose(quantity: Quantity, order: GroundedOrder, record: EvidenceIndex) -> bool:
    """Return whether it is the dose at home of a medicine that was changed."""
    orders = [item for item in record.orders if item.part == "home_medicines" and item.keys & order.keys]
    return any(item.value == quantity.value and item.unit == quantity.unit for one in orders for item in one.amounts)


def _is_daily_amount(stated: StatedMedicine) -> bool:
    """Return whether the dose is a daily amount: `1,000 mg per day`."""
    return any(part.text.lower() in ("per day", "a day") for part in stated.rates)


def _rate_matches(part: dosage_terms.DosageTerm, stated: StatedMedicine, order: GroundedOrder) -> bool:
    if _is_daily_amount(stated) and stated.doses:
        return True  # the dose is compared as that of a day
    return any(abs(part.rate - rate) <= 0.04 * rate for rate in order.rates)


def _durations_in_days(order: GroundedOrder, record: EvidenceIndex) -> set[float]:
    """Return the number of days by the order, or from the first to the last day of administration."""
    given = [item.medicine for item in record.orders if item.part == "given_medicines" and item.keys & order.keys]
    days = sorted(item.time.date() for item in given if item.time)
    return set(order.days) | ({float((days[-1] - days[0]).days + 1)} if len(days) > 1 else set())

"""Claims of a medicine's status: started, stopped, continued, changed, held, given, prescribed, taken at home."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from shared.contracts.context import Medicine
from shared.contracts.draft import Label
from shared.grounding.dosage_terms import find_frequencies
from shared.grounding.evidence_index import EvidenceIndex
from shared.grounding.medicine_cues import ALLERGY, NOT_TAKEN
from shared.grounding.medicines import orders_of
from shared.grounding.orders import DOSE_DIMENSIONS, GroundedOrder
from shared.grounding.parsed_sentence import ParsedSentence
from shared.grounding.quantities import find_quantities
from shared.grounding.status_words import (
    AS_BEFORE,
    DISCHARGE,
    HOME,
    ONWARD,
    PASSIVE,
    PLURAL,
    STAYED,
    SUPPLIED,
    TO_COME,
    VERB,
)
from shared.grounding.verdict import CheckedClaim, label_for
from shared.grounding.vocabulary import Mention


@dataclass(frozen=True, slots=True)
class _OrdersByList:
    """The orders of one medicine by list, and its reconciliation."""

    home: tuple[GroundedOrder, ...]
    hospital: tuple[GroundedOrder, ...]
    discharge: tuple[GroundedOrder, ...]
    other: tuple[GroundedOrder, ...]
    changes: frozenset[str]
    lists: frozenset[str]  # lists of the record that have any medicine


def claims(parsed: ParsedSentence, record: EvidenceIndex) -> Iterator[CheckedClaim]:
    """Yield each status verb with the medicines that it is about."""
    mentions = sorted((*parsed.named.drugs, *parsed.named.classes), key=lambda item: item.start)
    if ALLERGY.search(parsed.lower_text):
        return
    if not mentions:
        yield from _without_medicine(parsed)
        return
    verbs = [
        match for match in VERB.finditer(parsed.text) if not any(m.start <= match.start() < m.end for m in mentions)
    ]
    lasts = any(quantity.dimension == "time" for quantity in parsed.quantities)
    for verb, mention in _verb_medicine_pairs(verbs, mentions, parsed):
        orders = orders_of(mention, parsed, record)
        then = lasts and verb.lastgroup == "stopped" and parsed.lower_text[: verb.start()].endswith(("then ", "and "))
        denied = "denied" in parsed.properties((mention.start, mention.end)) and not NOT_TAKEN.search(parsed.text)
        if orders and not denied and not then:
            yield _status_claim(verb, mention, orders, parsed, record)


def _without_medicine(parsed: ParsedSentence) -> Iterator[CheckedClaim]:
    """Check `The treatment was stopped`: no medicine is named, so nothing can be looked up."""
    named = parsed.named
    if named.tests or named.illnesses or named.procedures:
        return
    for verb in VERB.finditer(parsed.text):
        if STAYED.match(parsed.text, verb.end()):
            continue
        if verb.lastgroup in ("started", "stopped", "continued", "held") and PASSIVE.search(
            parsed.text, 0, verb.start()
        ):
            yield CheckedClaim("status", verb.group(), "not-in-record", spans=(verb.span(),))


def _verb_medicine_pairs(
    verbs: Sequence[re.Match[str]], mentions: Sequence[Mention], parsed: ParsedSentence
) -> Iterator[tuple[re.Match[str], Mention]]:
    """Yield which verb is about which medicine."""
    claimed: set[int] = set()
    last: list[Mention] = []
    later: list[tuple[re.Match[str], list[Mention]]] = []
    for number, verb in enumerate(verbs):
        previous = verbs[number - 1].end() if number else 0
        following = verbs[number + 1].start() if number + 1 < len(verbs) else len(parsed.text)
        before = [item for item in mentions if previous <= item.start and item.end <= verb.start()]
        after = [item for item in mentions if verb.end() <= item.start and item.end <= following]
        passive = PASSIVE.search(parsed.text, 0, verb.start())
        if passive is not None and ONWARD.match(parsed.text[verb.end() :]) is None and before:
            plural = PLURAL.search(parsed.text, before[-1].end, verb.start()) or number == 0
            last = before if plural else before[-1:]
            claimed |= {item.start for item in last}
            yield from ((verb, item) for item in last)
        elif not after and not before:
            yield from ((verb, item) for item in last)  # "was continued unchanged"
        else:
            last = after or ([] if ONWARD.match(parsed.text[verb.end() :]) else before)
            later.append((verb, last))
    for verb, items in later:
        yield from (
            (verb, item)
            for item in items
            if item.start not in claimed or (items == [item] and item.end <= verb.start())
        )


def _status_claim(
    verb: re.Match[str], mention: Mention, orders: list[GroundedOrder], parsed: ParsedSentence, record: EvidenceIndex
) -> CheckedClaim:
    name = verb.lastgroup or ""
    clause = parsed.lower_text_of(parsed.clause_at(verb.start()))
    at_discharge = DISCHARGE.search(clause) is not None
    found = _orders_by_list(orders, record)
    lasts = any(quantity.dimension == "time" for quantity in parsed.quantities)
    if (
        name == "continued"
        and not AS_BEFORE.search(parsed.text)
        and ((verb.start() == 0 and lasts) or TO_COME.search(parsed.text, 0, verb.start()))
    ):
        name = "to come"
    if name in ("continued", "given") and HOME.search(parsed.text) and not at_discharge:
        name = "home"
    if name == "given" and SUPPLIED.search(parsed.text):
        name = "prescribed"
    label = _LABELS[name](found, at_discharge)
    order = next(iter((*found.discharge, *found.other, *found.home, *found.hospital)))
    change = f" ({', '.join(sorted(found.changes))})" if found.changes else ""
    spans = ((verb.start(), verb.end()), (mention.start, mention.end))
    return CheckedClaim(
        "status", f"{mention.text} {verb.group()}", label, order.source, f"record: {order.text}{change}", spans
    )


def _orders_by_list(orders: list[GroundedOrder], record: EvidenceIndex) -> _OrdersByList:
    def in_parts(*parts: str) -> tuple[GroundedOrder, ...]:
        return tuple(order for order in orders if order.part in parts)

    return _OrdersByList(
        in_parts("home_medicines"),
        in_parts("hospital_medicines", "given_medicines"),
        in_parts("discharge_medicines"),
        in_parts("other_medicines"),
        frozenset(order.change for order in orders if order.change),
        frozenset(order.part for order in record.orders),
    )


def _judge_started(found: _OrdersByList, at_discharge: bool) -> Label:
    if "new" in found.changes:
        return "supported"
    if "unclear" in found.changes:
        return "not-in-record"
    if found.home:
        return "contradicted"
    if found.hospital and not at_discharge:
        return "supported"
    return "contradicted" if "discharge_medicines" in found.lists and at_discharge else "not-in-record"


def _judge_stopped(found: _OrdersByList, _: bool) -> Label:
    if found.changes & {"stopped", "do not give", "ended"}:
        return "supported"
    return "contradicted" if found.discharge or "on hold" in found.changes else "not-in-record"


def _judge_continued(found: _OrdersByList, at_discharge: bool) -> Label:
    if "continued" in found.changes:
        return "supported"
    if found.changes & {"new", "changed", "stopped", "on hold", "do not give", "ended"}:
        return "contradicted"
    if found.hospital and not found.home and not at_discharge:
        return "supported"
    return "not-in-record" if found.home else "contradicted"


def _dose_changed_in_direction(found: _OrdersByList, way: int) -> Label:
    changed = [order for order in found.discharge if order.change == "changed" and order.before]
    ways = {_dose_direction(order.before[0], order.medicine) for order in changed}
    if way in ways:
        return "supported"
    known = found.changes & {"continued", "new", "stopped", "on hold"}
    return "contradicted" if known or -way in ways else "not-in-record"


def _dose_direction(before: Medicine, now: Medicine) -> int:
    """Return 1 for more per day, -1 for less, 0 where the two cannot be compared."""
    one, other = _daily_amount(before), _daily_amount(now)
    if one is None or other is None or one[0] != other[0]:
        return 0
    return (other[1] > one[1]) - (other[1] < one[1])


def _daily_amount(item: Medicine) -> tuple[str, float] | None:
    """Return the dimension and amount per day; tablets count by the strength in the name."""
    rate = next((part.rate for part in find_frequencies(f"{item.frequency} {item.dose}")), 1.0)
    amounts = [
        quantity for quantity in find_quantities(f"{item.amount} {item.dose}") if quantity.dimension in DOSE_DIMENSIONS
    ]
    strengths = [
        quantity for quantity in find_quantities(item.name) if quantity.dimension in DOSE_DIMENSIONS - {"tablet"}
    ]
    plain = [quantity for quantity in amounts if quantity.dimension != "tablet"]
    if plain and plain[0].unit:
        return plain[0].dimension, plain[0].value * plain[0].unit.factor * rate
    if strengths and strengths[0].unit:
        count = amounts[0].value if amounts else 1.0
        return strengths[0].dimension, strengths[0].value * strengths[0].unit.factor * count * rate
    return None


def _judge_held(found: _OrdersByList, _: bool) -> Label:
    if "on hold" in found.changes:
        return "supported"
    return (
        "contradicted" if found.changes & {"continued", "new", "changed", "stopped", "do not give"} else "not-in-record"
    )


def _judge_changed(found: _OrdersByList, _: bool) -> Label:
    if "changed" in found.changes:
        return "supported"
    if found.changes & {"continued", "new", "stopped", "on hold", "do not give"}:
        return "contradicted"
    return label_for(len({order.text for order in (*found.hospital, *found.discharge)}) > 1, False)


def _judge_given(found: _OrdersByList, at_discharge: bool) -> Label:
    if at_discharge:
        return _judge_discharged(found, at_discharge)
    return label_for(found.hospital or found.discharge, False)


def _judge_prescribed(found: _OrdersByList, at_discharge: bool) -> Label:
    return (
        _judge_discharged(found, at_discharge)
        if at_discharge
        else label_for(found.hospital or found.discharge or found.home)
    )


def _to_be_continued(found: _OrdersByList, _: bool) -> Label:
    """Check `Continue … for five days`, `is to be continued` against the discharge orders."""
    return label_for(found.discharge, "discharge_medicines" in found.lists or found.other)


def _judge_discharged(found: _OrdersByList, at_discharge: bool) -> Label:
    if found.discharge:
        return "supported"
    if found.home and not found.changes & {"stopped", "on hold", "do not give"} and not at_discharge:
        return "supported"  # "takes": at home
    return "contradicted" if "discharge_medicines" in found.lists or found.other else "not-in-record"


def _taken_at_home(found: _OrdersByList, at_discharge: bool) -> Label:
    if found.home or (found.other and not found.hospital):
        return "supported"
    if found.discharge:
        return "contradicted" if "new" in found.changes and not at_discharge else "supported"
    return "contradicted" if "home_medicines" in found.lists else "not-in-record"


_LABELS = {
    "started": _judge_started,
    "stopped": _judge_stopped,
    "continued": _judge_continued,
    "held": _judge_held,
    "changed": _judge_changed,
    "given": _judge_given,
    "prescribed": _judge_prescribed,
    "to come": _to_be_continued,
    "increased": lambda found, _: _dose_changed_in_direction(found, 1),
    "decreased": lambda found, _: _dose_changed_in_direction(found, -1),
    "discharged": _judge_discharged,
    "home": _taken_at_home,
}

"""Claims of what became of a medicine: started, stopped, continued, changed, held, given, prescribed, taken at home."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from shared.contracts.context import Medicine
from shared.contracts.draft import Label
from shared.grounding.dosage import frequencies
from shared.grounding.figures import figures
from shared.grounding.medicines import ALLERGY, NOT_TAKEN, orders_of
from shared.grounding.orders import DOSES, Order
from shared.grounding.parsed import Parsed
from shared.grounding.record import Record
from shared.grounding.verdict import Finding, judge
from shared.grounding.vocabulary import Mention

VERBS: dict[str, str] = {
    "started": 
        r"(?:newly )?(?:started|initiated|begun|began|commenced|introduced|added|prescribed as new|put on|placed on)|initiate|commence|newly (?:initiated|added|prescribed)|"
        r"newly prescribed|(?:is|as) new\b|new(?:ly)?(?: medications?| medicines?| prescriptions?)?|starting|begin|start",
    "stopped": (
        r"(?:should|must|will|is|was|were|are) not (?:to )?be(?:ing)? continued|not continued|should not continue|"
        r"stopped|discontinued|ceased|withdrawn|taken off|no longer (?:taking|takes|to be taken)|discontinue|"
        r"not (?:resumed|restarted|renewed|refilled|reintroduced|continued|to be continued)|stop(?:ping)?(?: taking)?|no longer (?:takes?|on)|omit(?:ted)?|(?:do(?:es)? not take|not taking)(?![^.;]*(?:for now|moment|present|until|hold))|terminated|ended|ceased|removed from|"
        r"withdrew|omitted|came off|not to be continued|permanently stopped"
    ),
    "continued": 
        r"(?:no|without(?: any)?) (?:further )?(?:changes?|alterations?|adjustments?)(?: (?:was |were )?(?:made )?(?:to|in))?|not changed|"
        r"(?:left|kept|remains?|stays?) (?:unchanged|the same|as (?:is|before))|stays? the same|keeps? taking|keep taking|as before|"
        r"continued|continues|continue|continuing|unchanged|resumed|maintained|kept|remained|remains|carried on|"
        r"restarted|resume|same dose",
    "increased": r"increased|gone up|went up|higher dose|up-?titrated|raised|escalated|doubled|titrated up|increase",
    "decreased": r"decreased|gone down|went down|lower dose|reduced|lowered|down-?titrated|tapered|halved|titrated down|decrease|reduce",
    "held": r"(?:do(?:es)? not take|not taking|not to be taken)(?=[^.;]*(?:for now|moment|present|until|hold))|put on hold|holding|"
        r"pausing|suspend|withhold|hold off|held|on hold|paused|withheld|suspended|interrupted|temporarily stopped|hold|pause",
    "changed": r"changed|adjusted|switched|substituted|replaced|converted|modified",
    "given": r"received|given(?! a? ?(?:supply|prescription|\d+ days'? supply|\d+-day supply))(?! \d+ days)|treated with|administered|managed with|receiving|got",
    "prescribed": r"prescribed",
    "discharged": 
        r"discharged (?:home )?(?:on|with|taking)|discharge (?:medications?|medicines?|"
        r"prescriptions?)(?: are| include[sd]?)?|sent home (?:on|with)|went home (?:on|with)|to take|take|"
        r"takes(?! at home)",
    "home": 
        r"home (?:medications?|medicines?|meds)(?: are| include[sd]?)?|(?:was |had been )?taking|takes at "
        r"home|took|pre-?admission medications?|at home|before admission|prior to admission|outpatient",
}  # fmt: skip
_VERB = re.compile("|".join(rf"(?P<{name}>\b(?:{words})\b)" for name, words in VERBS.items()), re.IGNORECASE)
_PASSIVE = re.compile(
    r"\b(?:was|were|been|be|being|is|are|remains?|to be)\s+(?:\w+ly\s+|also\s+|both\s+|all\s+|then\s+|not\s+|re-?)*$",
    re.IGNORECASE,
)
_ONWARD = re.compile(r"^\s*(?:on|with|taking|him on|her on|the patient on|to take|:)(?=[\s:])", re.IGNORECASE)
_TO_COME = re.compile(r"\b(?:to be|will be|to)\s+$", re.IGNORECASE)
_PLURAL = re.compile(r"\b(?:were|are|both|all)\b", re.IGNORECASE)
_DISCHARGE = re.compile(
    r"\b(?:at|on|upon|by|for) discharge\b|\bdischarged?\b|\bhome with\b|\bfor home\b|\bto take home\b|"
    r"\bat home after\b",
    re.IGNORECASE,
)


HOME = re.compile(
    r"\b(?:as an outpatient|at home|(?:before|prior to) (?:this |the |his |her )?(?:admission|presentation|hospitali[sz]ation|coming)"
    r"|had (?:previously )?been|pre-?admission|chronically|at baseline|usually|normally|regularly)\b",
    re.IGNORECASE,
)
_STAYED = re.compile(r" (?:in (?:the )?hospital|under|as an? inpatient|for observation)")
_AS_BEFORE = re.compile(r"\b(?:as (?:before|usual|previously)|unchanged|same|home)\b", re.IGNORECASE)
_SUPPLIED = re.compile(
    r"\b(?:supply|supplied|prescriptions?|script|dispensed|issued|to last|(?:given|gave)(?: (?:the patient|him|her))? (?:an? )?\d+[ -]days?)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class _Orders:
    """The orders of one medicine by list, and what reconciliation says of it."""

    home: tuple[Order, ...]
    hospital: tuple[Order, ...]
    discharge: tuple[Order, ...]
    other: tuple[Order, ...]
    changes: frozenset[str]
    lists: frozenset[str]  # lists of the record that have any medicine


def claims(parsed: Parsed, record: Record) -> Iterator[Finding]:
    """Each verb of status with the medicines that it speaks of."""
    mentions = sorted((*parsed.named.drugs, *parsed.named.classes), key=lambda item: item.start)
    if ALLERGY.search(parsed.low):
        return
    if not mentions:
        yield from _of_nothing(parsed)
        return
    verbs = [
        match for match in _VERB.finditer(parsed.text) if not any(m.start <= match.start() < m.end for m in mentions)
    ]
    lasts = any(figure.dimension == "time" for figure in parsed.figures)
    for verb, mention in _pairs(verbs, mentions, parsed):
        orders = orders_of(mention, parsed, record)
        then = lasts and verb.lastgroup == "stopped" and parsed.low[: verb.start()].endswith(("then ", "and "))
        denied = "denied" in parsed.properties((mention.start, mention.end)) and not NOT_TAKEN.search(parsed.text)
        if orders and not denied and not then:
            yield _finding(verb, mention, orders, parsed, record)


def _of_nothing(parsed: Parsed) -> Iterator[Finding]:
    """`The treatment was stopped`: of what is not said, so that nothing can be looked up."""
    named = parsed.named
    if named.tests or named.illnesses or named.procedures:
        return
    for verb in _VERB.finditer(parsed.text):
        if _STAYED.match(parsed.text, verb.end()):
            continue
        if verb.lastgroup in ("started", "stopped", "continued", "held") and _PASSIVE.search(
            parsed.text, 0, verb.start()
        ):
            yield Finding("status", verb.group(), "not-in-record", spans=(verb.span(),))


def _pairs(
    verbs: Sequence[re.Match[str]], mentions: Sequence[Mention], parsed: Parsed
) -> Iterator[tuple[re.Match[str], Mention]]:
    """Which verb speaks of which medicine."""
    claimed: set[int] = set()
    last: list[Mention] = []
    later: list[tuple[re.Match[str], list[Mention]]] = []
    for number, verb in enumerate(verbs):
        previous = verbs[number - 1].end() if number else 0
        following = verbs[number + 1].start() if number + 1 < len(verbs) else len(parsed.text)
        before = [item for item in mentions if previous <= item.start and item.end <= verb.start()]
        after = [item for item in mentions if verb.end() <= item.start and item.end <= following]
        passive = _PASSIVE.search(parsed.text, 0, verb.start())
        if passive is not None and _ONWARD.match(parsed.text[verb.end() :]) is None and before:
            plural = _PLURAL.search(parsed.text, before[-1].end, verb.start()) or number == 0
            last = before if plural else before[-1:]
            claimed |= {item.start for item in last}
            yield from ((verb, item) for item in last)
        elif not after and not before:
            yield from ((verb, item) for item in last)  # "was continued unchanged"
        else:
            last = after or ([] if _ONWARD.match(parsed.text[verb.end() :]) else before)
            later.append((verb, last))
    for verb, items in later:
        yield from (
            (verb, item)
            for item in items
            if item.start not in claimed or (items == [item] and item.end <= verb.start())
        )


def _finding(verb: re.Match[str], mention: Mention, orders: list[Order], parsed: Parsed, record: Record) -> Finding:
    name = verb.lastgroup or ""
    clause = parsed.part(parsed.clause(verb.start()))
    at_discharge = _DISCHARGE.search(clause) is not None
    found = _sorted(orders, record)
    lasts = any(figure.dimension == "time" for figure in parsed.figures)
    if name == "continued" and not _AS_BEFORE.search(parsed.text) and ((verb.start() == 0 and lasts) or _TO_COME.search(parsed.text, 0, verb.start())):
        name = "to come"
    if name in ("continued", "given") and HOME.search(parsed.text) and not at_discharge:
        name = "home"
    if name == "given" and _SUPPLIED.search(parsed.text):
        name = "prescribed"
    label = _LABELS[name](found, at_discharge)
    order = next(iter((*found.discharge, *found.other, *found.home, *found.hospital)))
    change = f" ({', '.join(sorted(found.changes))})" if found.changes else ""
    spans = ((verb.start(), verb.end()), (mention.start, mention.end))
    return Finding(
        "status", f"{mention.text} {verb.group()}", label, order.source, f"record: {order.text}{change}", spans
    )


def _sorted(orders: list[Order], record: Record) -> _Orders:
    def of(*parts: str) -> tuple[Order, ...]:
        return tuple(order for order in orders if order.part in parts)

    return _Orders(
        of("home_medicines"),
        of("hospital_medicines", "given_medicines"),
        of("discharge_medicines"),
        of("other_medicines"),
        frozenset(order.change for order in orders if order.change),
        frozenset(order.part for order in record.orders),
    )


def _started(found: _Orders, at_discharge: bool) -> Label:
    if "new" in found.changes:
        return "supported"
    if "unclear" in found.changes:
        return "not-in-record"
    if found.home:
        return "contradicted"
    if found.hospital and not at_discharge:
        return "supported"
    return "contradicted" if "discharge_medicines" in found.lists and at_discharge else "not-in-record"


def _stopped(found: _Orders, _: bool) -> Label:
    if found.changes & {"stopped", "do not give", "ended"}:
        return "supported"
    return "contradicted" if found.discharge or "on hold" in found.changes else "not-in-record"


def _continued(found: _Orders, at_discharge: bool) -> Label:
    if "continued" in found.changes:
        return "supported"
    if found.changes & {"new", "changed", "stopped", "on hold", "do not give", "ended"}:
        return "contradicted"
    if found.hospital and not found.home and not at_discharge:
        return "supported"
    return "not-in-record" if found.home else "contradicted"


def _moved(found: _Orders, way: int) -> Label:
    changed = [order for order in found.discharge if order.change == "changed" and order.before]
    ways = {_way(order.before[0], order.medicine) for order in changed}
    if way in ways:
        return "supported"
    known = found.changes & {"continued", "new", "stopped", "on hold"}
    return "contradicted" if known or -way in ways else "not-in-record"


def _way(before: Medicine, now: Medicine) -> int:
    """1 for more a day, -1 for less, 0 where the two cannot be compared."""
    one, other = _total(before), _total(now)
    if one is None or other is None or one[0] != other[0]:
        return 0
    return (other[1] > one[1]) - (other[1] < one[1])


def _total(item: Medicine) -> tuple[str, float] | None:
    """What is taken a day: the dimension and the amount; tablets count by the strength in the name."""
    rate = next((part.rate for part in frequencies(f"{item.frequency} {item.dose}")), 1.0)
    amounts = [figure for figure in figures(f"{item.amount} {item.dose}") if figure.dimension in DOSES]
    strengths = [figure for figure in figures(item.name) if figure.dimension in DOSES - {"tablet"}]
    plain = [figure for figure in amounts if figure.dimension != "tablet"]
    if plain and plain[0].unit:
        return plain[0].dimension, plain[0].value * plain[0].unit.factor * rate
    if strengths and strengths[0].unit:
        count = amounts[0].value if amounts else 1.0
        return strengths[0].dimension, strengths[0].value * strengths[0].unit.factor * count * rate
    return None


def _held(found: _Orders, _: bool) -> Label:
    if "on hold" in found.changes:
        return "supported"
    return (
        "contradicted" if found.changes & {"continued", "new", "changed", "stopped", "do not give"} else "not-in-record"
    )


def _changed(found: _Orders, _: bool) -> Label:
    if "changed" in found.changes:
        return "supported"
    if found.changes & {"continued", "new", "stopped", "on hold", "do not give"}:
        return "contradicted"
    return judge(len({order.text for order in (*found.hospital, *found.discharge)}) > 1, False)


def _given(found: _Orders, at_discharge: bool) -> Label:
    if at_discharge:
        return _discharged(found, at_discharge)
    return judge(found.hospital or found.discharge, False)


def _prescribed(found: _Orders, at_discharge: bool) -> Label:
    return _discharged(found, at_discharge) if at_discharge else judge(found.hospital or found.discharge or found.home)


def _to_come(found: _Orders, _: bool) -> Label:
    """`Continue … for five days`, `is to be continued`: what the orders at discharge say."""
    return judge(found.discharge, "discharge_medicines" in found.lists or found.other)


def _discharged(found: _Orders, at_discharge: bool) -> Label:
    if found.discharge:
        return "supported"
    if found.home and not found.changes & {"stopped", "on hold", "do not give"} and not at_discharge:
        return "supported"  # "takes": at home
    return "contradicted" if "discharge_medicines" in found.lists or found.other else "not-in-record"


def _at_home(found: _Orders, at_discharge: bool) -> Label:
    if found.home or (found.other and not found.hospital):
        return "supported"
    if found.discharge:
        return "contradicted" if "new" in found.changes and not at_discharge else "supported"
    return "contradicted" if "home_medicines" in found.lists else "not-in-record"


_LABELS = {
    "started": _started,
    "stopped": _stopped,
    "continued": _continued,
    "held": _held,
    "changed": _changed,
    "given": _given,
    "prescribed": _prescribed,
    "to come": _to_come,
    "increased": lambda found, _: _moved(found, 1),
    "decreased": lambda found, _: _moved(found, -1),
    "discharged": _discharged,
    "home": _at_home,
}

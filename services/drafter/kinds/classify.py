"""Which kind of document a stay gets: rules of the kinds over facts of the stay. Pure.

Where nothing fits, or two kinds fit alike, it is the general one: a discharge summary says everything that the others
say. Whether the patient died is decided before, by all that a record says of it.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from services.drafter.kinds.declaration import Rule
from services.drafter.kinds.kind import Kind, Kinds
from services.drafter.kinds.signals import Signals
from shared.contracts.draft import OpenPoint


@dataclass(frozen=True, slots=True)
class Choice:
    """`why` names what decided; `also` are other kinds that fit, whose required elements are asked for as well.

    `perhaps` are kinds that may be meant, where the record does not say so clearly: the physician is asked.
    """

    kind: Kind
    why: str
    also: tuple[Kind, ...] = ()
    perhaps: tuple[Kind, ...] = ()

    @property
    def handed_over(self) -> bool:
        """Whether the document instructs no patient, because others go on with the treatment."""
        return not self.kind.declared.patient_instructions


def classify(kinds: Kinds, signals: Signals) -> Choice:
    """The kind of a stay."""
    general = kinds.general(signals.died)
    fitting = [
        (kind, why) for kind in kinds.all.values() if kind is not general for why in [_fits(kind, signals)] if why
    ]
    if not fitting:
        return Choice(general, _general_why(signals), perhaps=_perhaps(kinds, signals))
    fitting.sort(key=lambda found: (-found[0].declared.priority, found[0].name))
    best = [(kind, why) for kind, why in fitting if kind.declared.priority == fitting[0][0].declared.priority]
    others = tuple(kind for kind, _ in fitting)
    if len(best) > 1:
        alike = " and ".join(f"{kind.name} ({why})" for kind, why in best)
        return Choice(general, f"{alike} fit alike", others, tuple(kind for kind, _ in best))
    kind, why = best[0]
    return Choice(kind, why, others[1:])


def question(choice: Choice) -> tuple[OpenPoint, ...]:
    """What is asked of the physician where it is not clear which kind is meant."""
    if not choice.perhaps:
        return ()
    names = " or ".join(f"“{kind.type.title}”" for kind in choice.perhaps)
    point = OpenPoint(
        text=f"It is not clear whether this document should be of the kind {names} ({choice.why}). "
        f"It is written as “{choice.kind.type.title}”: see that it says what is needed"
    )
    return (point,)


def _perhaps(kinds: Kinds, signals: Signals) -> tuple[Kind, ...]:
    """Kinds that one of the places asks for which it may be."""
    return tuple(
        kind
        for kind in kinds.all.values()
        if any(rule.died == signals.died and {*rule.disposition} & signals.left.unclear for rule in kind.declared.when)
    )


def _general_why(signals: Signals) -> str:
    if signals.died:
        return "the patient died in the stay"
    return f"no other kind fits; {signals.left.why}" if signals.left.why else "no other kind fits"


def _fits(kind: Kind, signals: Signals) -> str:
    """By what the first rule of a kind that fits does so; empty where none does."""
    return next((why for rule in kind.declared.when if (why := _holds(rule, signals))), "")


def _holds(rule: Rule, signals: Signals) -> str:
    """Each condition of the rule with the fact that meets it; empty where one is not met."""
    if rule.died != signals.died:
        return ""
    met = list(_conditions(rule, signals))
    return "; ".join(filter(None, met)) if all(met) else ""


def _conditions(rule: Rule, signals: Signals) -> Iterator[str]:
    """For every condition that the rule states, the fact that meets it, or nothing."""
    if rule.died:
        yield "the patient died in the stay"
    if rule.disposition:
        yield signals.left.why if {*rule.disposition} & signals.left.found else ""
    if rule.disposition_words:
        yield _said("disposition", rule.disposition_words, signals.disposition)
    if rule.disposition_codes:
        yield _shared("disposition", {*rule.disposition_codes} & signals.codes)
    if rule.encounter_class:
        yield _shared("class", {*rule.encounter_class} & signals.encounter_class)
    if rule.named:
        yield _said("encounter", rule.named, signals.named)
    if rule.began:
        yield _shared("admission", {*rule.began} & signals.began)
    if rule.departments:
        yield _shared("department", {*rule.departments} & {signals.department or ""})
    yield from _measured(rule, signals)


def _measured(rule: Rule, signals: Signals) -> Iterator[str]:
    if rule.oldest_days is not None:
        young = signals.age_days is not None and signals.age_days <= rule.oldest_days
        yield f"{max(signals.age_days or 0, 0)} days old at the admission" if young else ""
    if rule.shortest_hours is not None or rule.longest_hours is not None:
        hours = signals.hours
        least, most = rule.shortest_hours or 0, rule.longest_hours or float("inf")
        yield f"{hours:.0f} hours" if hours is not None and least <= hours <= most else ""


def _said(what: str, expression: str, texts: tuple[str, ...]) -> str:
    found = next((text for text in texts if re.search(expression, text, re.IGNORECASE)), None)
    return f"{what} {found!r}" if found is not None else ""


def _shared(what: str, found: set[str]) -> str:
    return f"{what} {', '.join(sorted(found))}" if found else ""

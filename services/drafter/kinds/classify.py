"""Classify a stay into a kind of document, by the kinds' rules on features of the stay. Pure.

Where no kind matches, or two match equally, the general one is chosen: a discharge summary contains everything that the
others contain. Whether the patient died is decided before, from the whole record.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from services.drafter.kinds.declaration import Rule
from services.drafter.kinds.features import StayFeatures
from services.drafter.kinds.kind import KindDefinition, KindRegistry
from shared.contracts.draft import OpenPoint


@dataclass(frozen=True, slots=True)
class KindChoice:
    """The kind and `why` it was chosen; `also` are other matching kinds, whose required elements apply too.

    `perhaps` are kinds that the record does not clearly state: the physician is asked.
    """

    kind: KindDefinition
    why: str
    also: tuple[KindDefinition, ...] = ()
    perhaps: tuple[KindDefinition, ...] = ()

    @property
    def is_transfer_of_care(self) -> bool:
        """Return whether others continue the treatment, so that no patient is instructed."""
        return not self.kind.declared.patient_instructions


def classify(kinds: KindRegistry, signals: StayFeatures) -> KindChoice:
    """Return the kind of a stay."""
    general = kinds.general(signals.died)
    fitting = [
        (kind, why)
        for kind in kinds.all.values()
        if kind is not general
        for why in [_matching_reason(kind, signals)]
        if why
    ]
    if not fitting:
        return KindChoice(general, _general_why(signals), perhaps=_possible_kinds(kinds, signals))
    fitting.sort(key=lambda match: (-match[0].declared.priority, match[0].name))
    best = [(kind, why) for kind, why in fitting if kind.declared.priority == fitting[0][0].declared.priority]
    others = tuple(kind for kind, _ in fitting)
    if len(best) > 1:
        alike = " and ".join(f"{kind.name} ({why})" for kind, why in best)
        return KindChoice(general, f"{alike} fit alike", others, tuple(kind for kind, _ in best))
    kind, why = best[0]
    return KindChoice(kind, why, others[1:])


def clarifying_question(choice: KindChoice) -> tuple[OpenPoint, ...]:
    """Return the question for the physician where the kind is not clear; None where it is."""
    if not choice.perhaps:
        return ()
    names = " or ".join(f"“{kind.type.title}”" for kind in choice.perhaps)
    point = OpenPoint(
        text=f"It is not clear whether this document should be of the kind {names} ({choice.why}). "
        f"It is written as “{choice.kind.type.title}”: see that it says what is needed"
    )
    return (point,)


def _possible_kinds(kinds: KindRegistry, signals: StayFeatures) -> tuple[KindDefinition, ...]:
    """Return the kinds whose rules ask for one of the unclear places."""
    return tuple(
        kind
        for kind in kinds.all.values()
        if any(rule.died == signals.died and {*rule.disposition} & signals.left.unclear for rule in kind.declared.when)
    )


def _general_why(signals: StayFeatures) -> str:
    if signals.died:
        return "the patient died in the stay"
    return f"no other kind fits; {signals.left.why}" if signals.left.why else "no other kind fits"


def _matching_reason(kind: KindDefinition, signals: StayFeatures) -> str:
    """Return why the first matching rule of a kind matches; empty where none does."""
    return next((why for rule in kind.declared.when if (why := _matches_rule(rule, signals))), "")


def _matches_rule(rule: Rule, signals: StayFeatures) -> str:
    """Return each condition of the rule with the matching fact; empty where one does not match."""
    if rule.died != signals.died:
        return ""
    met = list(_conditions(rule, signals))
    return "; ".join(filter(None, met)) if all(met) else ""


def _conditions(rule: Rule, signals: StayFeatures) -> Iterator[str]:
    """Yield the matching fact, or nothing, for every condition that the rule states."""
    if rule.died:
        yield "the patient died in the stay"
    if rule.disposition:
        yield signals.left.why if {*rule.disposition} & signals.left.found else ""
    if rule.disposition_words:
        yield _matching_text("disposition", rule.disposition_words, signals.disposition)
    if rule.disposition_codes:
        yield _shared_values("disposition", {*rule.disposition_codes} & signals.codes)
    if rule.encounter_class:
        yield _shared_values("class", {*rule.encounter_class} & signals.encounter_class)
    if rule.named:
        yield _matching_text("encounter", rule.named, signals.named)
    if rule.began:
        yield _shared_values("admission", {*rule.began} & signals.began)
    if rule.departments:
        yield _shared_values("department", {*rule.departments} & {signals.department or ""})
    yield from _durations(rule, signals)


def _durations(rule: Rule, signals: StayFeatures) -> Iterator[str]:
    if rule.oldest_days is not None:
        young = signals.age_days is not None and signals.age_days <= rule.oldest_days
        yield f"{max(signals.age_days or 0, 0)} days old at the admission" if young else ""
    if rule.shortest_hours is not None or rule.longest_hours is not None:
        hours = signals.hours
        least, most = rule.shortest_hours or 0, rule.longest_hours or float("inf")
        yield f"{hours:.0f} hours" if hours is not None and least <= hours <= most else ""


def _matching_text(what: str, expression: str, texts: tuple[str, ...]) -> str:
    text = next((text for text in texts if re.search(expression, text, re.IGNORECASE)), None)
    return f"{what} {text!r}" if text is not None else ""


def _shared_values(what: str, values: set[str]) -> str:
    return f"{what} {', '.join(sorted(values))}" if values else ""

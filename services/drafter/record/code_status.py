"""Recognise code status statements and select the current ones. Compared by topic, time and meaning. Pure.

A code status is about resuscitation, intubation or limits of treatment. The latest statement of a topic is current; an
earlier one with another meaning is superseded. Where the order is not recorded, both are listed.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from services.drafter.record.scope import StayScope
from shared.clinical import elements
from shared.clinical.elements import Resource
from shared.clinical.fhir_datetime import FhirDateTime
from shared.contracts.context import ContextEntry

Meaning = Literal["limit", "partial", "full"]

_LIMITS = (
    r"\bdnr\w*\b|\bdnar\b|\bdnacpr\b|\bdni\b|\bntbr\b|\bnfr\b|no code\b|allow(ing)? natural death"
    r"|comfort (care|measures)|comfort[- ](only|focused)|do not (attempt|resus|intub)"
    r"|not for (cpr|resus|intub|icu|escalation|ventil)"
    r"|ceiling of (care|treatment)|(limit\w*|restrict\w*) (of|on|to) (care|treatment|therapy)|treatment limit"
    r"|therapie(begrenzung|limitierung|zieländerung)|behandel(beperking|grens)|limitation (des |de )?(soins|th[ée]rap)"
    r"|nicht (reanim|intub)\w*|niet[- ](reanim|intub|be?adem)\w*|ne pas r[ée]anim\w*|\b(polst|molst)\b"
)
_CODE_STATUS = re.compile(
    rf"{_LIMITS}|resuscit|\bresus\b|\bcpr\b|code status|full code"
    r"|^(for )?full (active )?treatment$|\bnr[- ]beleid|\brespect (form|plan)|(partial|modified|limited) code|reanim",
    re.IGNORECASE,
)
_CATEGORY = re.compile(
    rf"{_LIMITS}|code status|(resuscitation|reanimation\w*) ?(status|order|plan)|advance (care )?directive",
    re.IGNORECASE,
)
_RESUSCITATION = re.compile(
    r"resus|\bdnr|\bdnar\b|\bdnacpr\b|\bcpr\b|\bntbr\b|\bnfr\b|no code|code status|(full|partial|modified|limited) code"
    r"|natural death|comfort|r[ée]anim",
    re.IGNORECASE,
)
_EVERYTHING = re.compile(r"(full|partial|modified|limited) code|full (active )?treatment|comfort", re.IGNORECASE)
_NO_LIMITS = re.compile(
    r"\b(no|without|keine?|ohne|geen|zonder|aucune|sans) (\w+ )?(limit|restrict|ceiling|therapie|behandel)",
    re.IGNORECASE,
)
_INTUBATION = re.compile(r"intubat|\bdni\b|ventilat|beatmung|beademing", re.IGNORECASE)
_NO_INTUBATION = re.compile(
    r"\b(no|not|kein\w*|geen|niet|nicht|declin\w*|refus\w*|against|without)\b.{0,30}(intubat|intubier|ventilat)"
    r"|intubat\w* ?(status|accepted|declined|refused|permitted|not)",
    re.IGNORECASE,
)
# What is given or done to stabilize somebody is called resuscitation, too.
_TREATMENT = re.compile(
    r"fluid|volum|crystallo|colloid|saline|ringer|bolus|infus|fl[üu]ssigkeit|vocht|vulling|remplissage|h(a)?emostatic"
    r"|albumin|blood|burn|sep(sis|tic)|shock|goal[- ]directed|hydrat|electrolyt|h[yi]povol|oxygen|resuscitative"
    r"|\broom\b|\b(team|simulation)\b|\bcpr (performed|given|started|duration|in progress|quality)"
    r"|damage control|transfusion|(new-?born|neonat|neugeb|pasgeb)\w*|equipment|trolley|\bcart\b|training|course\b"
    r"|\bbag\b|\bbay\b"
    r"|\b(after|post|following|status post|history of|zustand nach|nach)[- ](\w+[- ])?(resus|cpr|reanim)",
    re.IGNORECASE,
)
_PARTIAL = re.compile(r"\b(partial|modified|limited|slow) code|\bexcept\b|\bbut no", re.IGNORECASE)
_LIMITED = re.compile(
    rf"{_LIMITS}|not to be done|do not perform|\bno (cpr|resus|intub|ventil)|withh[eo]ld|declin|refus"
    r"|\bkein\w*\b|verzicht|abgelehnt|\bgeen\b|\bpas de\b|: *(no|nein|nee|non|false)\b",
    re.IGNORECASE,
)
_FULL = re.compile(
    r"full (code|resus|treatment|active)|\b(for|attempt)( full)? (cpr|resus)|permitted|accepted"
    r"|to be (done|resuscitated)|: *(yes|ja|oui|true)\b|wel reanim|vollreanim|volle (therapie|reanim)|maximaltherapie",
    re.IGNORECASE,
)
_DENIED = re.compile(r": *(no|nein|nee|non|false)\b", re.IGNORECASE)
_OBSERVATION = "Observation"


def is_code_status(item: Resource) -> bool:
    """Return whether an order or observation is about resuscitation, intubation or limits of treatment.

    Decided by its code or category (`Code status`); resuscitation fluids and an ordered intubation are none.
    """
    names = list(elements.displays(item.get("code")))
    if any(_TREATMENT.search(text) and not re.search(_LIMITS, text, re.IGNORECASE) for text in names):
        return False
    if any(_CODE_STATUS.search(text) or _NO_INTUBATION.search(text) for text in names):
        return True
    if elements.boolean(item, "doNotPerform") and any(_INTUBATION.search(text) for text in names):
        return True
    return any(
        _CATEGORY.search(text) for part in elements.children(item, "category") for text in elements.displays(part)
    )


@dataclass(frozen=True, slots=True)
class CodeStatusStatement:
    """One statement. `ended`: a completed order does not supersede an active one."""

    entry: ContextEntry
    resource: Resource
    moment: FhirDateTime | None
    ended: bool = False

    @property
    def topics(self) -> frozenset[str]:
        """Return its topics; full code and comfort care are about all of them."""
        text = self.entry.text
        if _EVERYTHING.search(text) or _NO_LIMITS.search(text):
            return frozenset({"resuscitation", "intubation"})
        topics = (("resuscitation", _RESUSCITATION), ("intubation", _INTUBATION))
        return frozenset(topic for topic, words in topics if words.search(text))

    @property
    def meaning(self) -> Meaning | None:
        text = self.entry.text
        if _NO_LIMITS.search(text):
            return "full"
        limited = _LIMITED.search(text)
        if _PARTIAL.search(text) or (limited and re.search(r"full (code|resus)", text, re.IGNORECASE)):
            return "partial"
        if limited:
            denied = _DENIED.search(text, limited.end())  # `Do not resuscitate: no` is for a person to read
            return None if denied else "limit"
        return "full" if _FULL.search(text) else None

    @property
    def key(self) -> str:
        return elements.code(self.resource.get("code")) or elements.concept(self.resource.get("code")) or ""

    def supersedes(self, other: "CodeStatusStatement") -> bool:
        """Return whether this one is certainly later."""
        if self.moment is None or other.moment is None or (self.ended and not other.ended):
            return False
        return self.moment.begins > other.moment.ends

    def differs_in_meaning(self, other: "CodeStatusStatement") -> bool:
        """Return whether both are about one topic with different meanings."""
        known = self.meaning is not None and other.meaning is not None
        return known and self.meaning != other.meaning and bool(self.topics & other.topics)

    def contradicts(self, other: "CodeStatusStatement") -> bool:
        """Return whether both cannot hold, as far as their words tell."""
        return self.differs_in_meaning(other) or (
            self.is_of_same_observation(other) and self.entry.text != other.entry.text
        )

    def is_of_same_observation(self, other: "CodeStatusStatement") -> bool:
        """Return whether both are values of one observation."""
        types = {item.resource.get("resourceType") for item in (self, other)}
        return types == {_OBSERVATION} and bool(self.key) and self.key == other.key


def current_statements(
    statements: Sequence[CodeStatusStatement], scope: StayScope
) -> tuple[list[ContextEntry], list[ContextEntry]]:
    """Return the current statements, and the doubts about them; superseded ones are listed as left out."""
    held = [item for item in statements if not _is_superseded(item, statements, scope)]
    current, doubts = [], []
    for index, item in enumerate(held):
        against = [other for other in held if other is not item and item.contradicts(other)]
        text = f"{item.entry.text} (the record contradicts itself: confirm)" if against else item.entry.text
        current.append(item.entry.model_copy(update={"text": text}))
        doubts += [_contradiction_entry(item, other) for other in against if other in held[index + 1 :]]
    return current, doubts


def _is_superseded(item: CodeStatusStatement, statements: Iterable[CodeStatusStatement], scope: StayScope) -> bool:
    for other in statements:
        covered = item.differs_in_meaning(other) and item.topics <= other.topics
        if not (covered or item.is_of_same_observation(other)) or not other.supersedes(item):
            continue
        when = f" of {item.moment.text}" if item.moment else ""
        later = f", superseded by “{other.entry.text}” of {other.moment.text if other.moment else ''}"
        scope.leave_out(
            item.resource,
            f"{item.entry.text}{when}",
            later.removeprefix(", "),
            important=item.differs_in_meaning(other),
        )
        return True
    return False


def _contradiction_entry(one: CodeStatusStatement, other: CodeStatusStatement) -> ContextEntry:
    statements = " and ".join(
        f"“{item.entry.text}” ({item.moment.text if item.moment else 'without a date'})" for item in (one, other)
    )
    return ContextEntry(
        text=f"Code status: {statements} contradict each other: confirm which holds", source=other.entry.source
    )

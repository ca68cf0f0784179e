"""Cultures with organisms and susceptibilities: one line for each culture, never among normal results."""

import re
from collections.abc import Iterator

from services.drafter.record.observation_values import format_value
from services.drafter.record.scope import StayScope, source
from shared.clinical import elements, references
from shared.clinical.elements import Resource
from shared.contracts.context import ContextEntry

_SUSCEPTIBILITY = {
    "S": "susceptible",
    "R": "resistant",
    "I": "intermediate",
    "SDD": "susceptible, dose dependent",
    "NS": "not susceptible",
    "SYN-R": "resistant (synergy)",
    "SYN-S": "susceptible (synergy)",
}
_SUSCEPTIBILITY_WORDS = (
    dict.fromkeys(("susceptible", "sensitive", "sensibel", "gevoelig"), "susceptible")
    | dict.fromkeys(("resistant", "resistent"), "resistant")
    | dict.fromkeys(("intermediate", "intermediär"), "intermediate")
)
_CULTURE = re.compile(
    r"cultur|kultur|kweek|bacteria identified|organism|isolate|suscept|antibiogram|resistenz(be|te|pr)"
    r"|(antimicrobial|antibiotic|drug|methicillin|vancomycin|carbapenem)[- ]resist|resistance (panel|gene|test)"
    r"|gram stain|mycobacteri|fungus identified|erreger|mrsa|c\.? ?difficile",
    re.IGNORECASE,
)
# Without such a name, S, I, R and NS are the answer of another test: reactive, indeterminate, never smoked.
_SUSCEPTIBILITY_TEST = re.compile(
    r"suscept|\bmic\b|minimum inhibitory|zone (size|diameter)|\bkirby|\be-?test\b|resisten[zt]"
    r"|cillin|\bcef|\bceph|penem\b|mycin\b|micin\b|floxacin|cyclin|sulfa|trimethoprim|nitrofurant|linezolid|colisti"
    r"|polymyxin|fosfom|rifamp|metronidazol|aztreonam|conazol|fungin\b|amphotericin|amikacin|chloramphenicol|clavul"
    r"|tazobactam|teicoplanin|mupirocin|isoniazid|ethambutol|pyrazinamid|flucytosin|fusid",
    re.IGNORECASE,
)
_LEVEL = re.compile(r"\b(trough|peak|level|serum|plasma)\b|spiegel", re.IGNORECASE)
_ORGANISM = re.compile(
    r"coccus|cocci\b|bacter|bacill|\bcoli\b|escherichia|klebsiell|pseudomon|candid|proteus|salmonell|shigell|haemophil"
    r"|neisser|listeri|clostrid|mycoplasm|aspergill|serrati|morganell|legionell|bacteroid|stenotroph|moraxell|yersini"
    r"|\bstaph|\bstrep|\baureus|yeast|isolate|organism|erreger",
    re.IGNORECASE,
)
MAX_MEMBER_DEPTH = 10  # culture, organism, susceptibility: deeper nesting is invalid
CATEGORIES = frozenset({"microbiology", "MB", "18725-2"})
_UNUSABLE_STATUSES = ("cancelled", "entered-in-error")


class Microbiology:
    """Find microbiology among the observations: by category, name, or relation to a susceptibility."""

    def __init__(self, observations: list[Resource], reports: list[Resource], bases: frozenset[str]) -> None:
        self._bases = bases
        self._known = {source(item): item for item in observations}
        self._parents: dict[str, str] = {}
        for item in observations:
            for part in elements.children(item, "hasMember"):
                if (name := references.relative(part, bases)) in self._known and name != source(item):
                    self._parents.setdefault(str(name), source(item))
            for part in elements.children(item, "derivedFrom"):
                if (name := references.relative(part, bases)) in self._known and name != source(item):
                    self._parents.setdefault(source(item), str(name))
        self._of_reports = {
            name
            for report in reports
            if elements.codes(report.get("category")) & CATEGORIES
            for part in elements.children(report, "result")
            if (name := references.relative(part, bases)) in self._known
        }
        self._children: dict[str, list[str]] = {}
        for name, parent in self._parents.items():
            self._children.setdefault(parent, []).append(name)
        core = {name for name in self._known if self._is_microbiology_core(name)}
        self.taken = frozenset(self._related_observations(core))

    def _is_microbiology_core(self, name: str) -> bool:
        """Return whether it is microbiology by its words, its report, or as a susceptibility."""
        item, parent = self._known[name], self._known.get(self._parents.get(name, ""), {})
        return (
            name in self._of_reports
            or is_microbiology(item)
            or (_susceptibility_text(item) is not None and _has_organism(parent))
        )

    def _related_observations(self, core: set[str]) -> set[str]:
        """Return `core`, its members, and what it is a member of."""
        below: set[str] = set()
        waiting = list(core)
        while waiting:
            name = waiting.pop()
            if name not in below:
                below.add(name)
                waiting += self._children.get(name, [])
        related = set(below)
        for name in core:
            while (name := self._parents.get(name, "")) and name not in related:
                related.add(name)
        return related

    def _root_observations(self) -> list[str]:
        """Return observations that are a member of no other; a cycle is broken at the first by name."""
        roots = sorted(name for name in self.taken if self._parents.get(name) not in self.taken)
        reached: set[str] = set()
        for name in [*roots, *sorted(self.taken)]:
            if name not in reached:
                roots += [name] if name not in roots else []
                waiting = [name]
                while waiting:
                    inner = waiting.pop()
                    if inner not in reached:
                        reached.add(inner)
                        waiting += self._children.get(inner, [])
        return roots

    def cultures(self, scope: StayScope, pending: list[ContextEntry]) -> Iterator[ContextEntry]:
        """Yield one entry for each culture; those that are not final are pending as well."""
        roots = [self._known[name] for name in self._root_observations()]
        for item in sorted(roots, key=_by_time_and_name):  # not by id: each server has its own
            time = scope.first_time(item, "effectiveDateTime", "effectivePeriod", "effectiveInstant", "issued")
            name = elements.concept_or_code(item.get("code"))
            if (
                elements.string(item, "status") == "cancelled"
                or not scope.usable(item, name, time, important=True)
                or name is None
            ):
                continue
            issued = scope.parse_time(item.get("issued"))
            if issued is not None and scope.is_issued_after(item):
                late = f"resulted {issued.text}, after the discharge"
                pending.append(scope.entry(item, f"{name} ({late})", time))
                continue
            text = self._culture_text(item, scope)
            if elements.string(item, "status") in ("registered", "preliminary", "partial"):
                pending.append(scope.entry(item, f"{name} ({item['status']})", time))
            if text is None:
                continue
            preliminary = " (preliminary)" if elements.string(item, "status") == "preliminary" else ""
            yield scope.entry(item, f"{text}{preliminary}", time)

    def _culture_text(self, item: Resource, scope: StayScope, above: tuple[str, ...] = ()) -> str | None:
        """Return `Urine culture: 10,000-100,000 organisms/mL; Escherichia coli (gentamicin resistant)`."""
        name = elements.concept_or_code(item.get("code")) or ""
        own = format_value(item)
        if (alone := _susceptibility_text(item)) is not None and not self._children.get(source(item)):
            return elements.join_distinct([alone, *elements.annotations(item)], "; ")
        tests = [text for part in elements.children(item, "component") if (text := _susceptibility_text(part))]
        organisms: list[str] = []
        for member in self._usable_members(item, scope):
            if (text := _susceptibility_text(member)) is not None:
                tests.append(text)
            elif source(member) not in above and len(above) < MAX_MEMBER_DEPTH:
                organisms += [text] if (text := self._culture_text(member, scope, (*above, source(item)))) else []
        finding = own if own is not None and own.lower() != name.lower() else None
        if finding is None and not tests and not organisms and own is None:
            return None
        head = name if finding is None else f"{name}: {finding}"
        head = f"{head} ({', '.join(tests)})" if tests else head
        return elements.join_distinct([head, *organisms, *elements.annotations(item)], "; ")

    def _usable_members(self, item: Resource, scope: StayScope) -> list[Resource]:
        members = [self._known[name] for name in self._children.get(source(item), []) if name in self.taken]
        usable = [
            part
            for part in members
            if elements.string(part, "status") not in _UNUSABLE_STATUSES
            and not scope.is_after(part, scope.first_time(part, "effectiveDateTime"))
            and not scope.is_after(part, scope.first_time(part, "issued"))
        ]
        return sorted(usable, key=lambda part: (elements.concept(part.get("code")) or "", str(part.get("id"))))


def _by_time_and_name(item: Resource) -> tuple[str, str]:
    return str(item.get("effectiveDateTime", "")), elements.concept_or_code(item.get("code")) or ""


def is_microbiology(item: Resource) -> bool:
    """Return whether it is microbiology by category, name, or as a susceptibility of an antibiotic or organism."""
    if elements.codes(item.get("category")) & CATEGORIES:
        return True
    names = list(elements.displays(item.get("code")))
    if any(_CULTURE.search(text) for text in names):
        return True
    tests = [part for part in (item, *elements.children(item, "component")) if _susceptibility_text(part) is not None]
    return bool(tests) and (_has_organism(item) or any(_is_susceptibility(part) for part in tests))


def _is_susceptibility(item: Resource) -> bool:
    """Return whether it is a susceptibility by name; an antibiotic's blood level is none."""
    names = list(elements.displays(item.get("code")))
    return any(map(_SUSCEPTIBILITY_TEST.search, names)) and not any(map(_LEVEL.search, names))


def _has_organism(item: Resource) -> bool:
    """Return whether an observation is named after an organism, or found one."""
    texts = [*elements.displays(item.get("code")), *elements.displays(item.get("valueCodeableConcept"))]
    return any(_ORGANISM.search(text) for text in [*texts, elements.string(item, "valueString") or ""])


def _susceptibility_text(item: Resource) -> str | None:
    """Return `gentamicin resistant`, with its concentration; None for what is no susceptibility."""
    for element in (item.get("interpretation"), item.get("valueCodeableConcept")):
        result = next((_SUSCEPTIBILITY[code] for code in elements.codes(element) if code in _SUSCEPTIBILITY), None)
        result = result or next(
            (
                _SUSCEPTIBILITY_WORDS[text.lower()]
                for text in elements.displays(element)
                if text.lower() in _SUSCEPTIBILITY_WORDS
            ),
            None,
        )
        name = elements.concept_or_code(item.get("code"))
        if result and name:
            amount = format_value(item) if "valueQuantity" in item or "valueString" in item else None
            spoken = name.removesuffix(" [Susceptibility]").split(" [Susc")[0]
            return (
                f"{spoken} {amount} {result}"
                if amount and amount.lower() != result and amount not in _SUSCEPTIBILITY
                else f"{spoken} {result}"
            )
    return None

"""Statements that there is no allergy: of any kind, of a category, or to one substance. Pure.

Only an allergy to the same thing contradicts it: `No known latex allergy` may stand beside one to penicillin.
"""

import re

from shared.clinical import elements
from shared.clinical.elements import Resource

_ALL, _OTHER = "all", "other"
# SNOMED CT, and https://hl7.org/fhir/uv/ips/CodeSystem-absent-unknown-uv-ips.html
_CODES = {
    "716186003": _ALL,
    "no-known-allergies": _ALL,
    "409137002": "medication",
    "no-known-medication-allergies": "medication",
    "428607008": "food",
    "716184000": "food",
    "no-known-food-allergies": "food",
    "716185004": "environment",
    "no-known-environmental-allergies": "environment",
    "716220001": "animal",
    "428197003": "insect",
    "1003774007": "latex",
}
_WORDS = re.compile(
    r"no known .*(allerg|intoleran|sensitiv)|no allerg|^n\.?k\.?[dmf]?\.?a\.?$|kein\w* .*allergi|geen .*allergie"
    r"|pas d.allergie|aucune allergie|allergien? nicht bekannt|^no \w+ allerg",
    re.IGNORECASE,
)
_CATEGORIES = {
    "medication": re.compile(r"^(drugs?|medic|nkda|nkma|arznei|geneesmiddel|m[ée]dicament)", re.IGNORECASE),
    "food": re.compile(r"^(foods?|nkfa|voeding|voedsel|nahrung|lebensmittel|aliment)", re.IGNORECASE),
    "environment": re.compile(r"^(environment|umwelt|omgeving|seasonal)", re.IGNORECASE),
}
# What stands between `no known` and `allergy`, or after `allergy to`, or before it in one word.
_SUBJECT_PATTERNS = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        r"\b(?:no known|no|keine\w*|geen|aucune)\s+([^.;:(]*?)[\s-]*(?:allerg|intoleran|sensitiv)",
        r"(?:allerg|intoleran|sensitiv)\w*\s+(?:to|against|gegen|auf|voor|tegen|aux?|à)\s+([^.;:(]+)",
    )
)
_FILLER = re.compile(
    r"(known|any|active|current(ly)?|documented|recorded|reported|bekannt\w*|bekende|connue?s?|history|of|to|and|or|und|oder|en"
    r"|et|ou|of|prior|previous|true|anything|patient|the|adverse|reactions?|substances?|agents?|stoffe?|allergen\w*|at|this|time|have"
    r"|has|been|drugs?|products?)",
    re.IGNORECASE,
)


def states_no_allergy(item: Resource, name: str) -> bool:
    """Return whether an AllergyIntolerance of this name states that there is no allergy."""
    return bool(elements.codes(item.get("code")) & _CODES.keys()) or _WORDS.search(name) is not None


def is_partial(item: Resource, name: str) -> bool:
    """Return whether a statement leaves open if there are allergies to other things than medicines."""
    return not _absent_subjects(item, name) & {_ALL, "medication"}


def contradicts(item: Resource, name: str, allergy: Resource, substance: str) -> bool:
    """Return whether an allergy makes a statement of absence untrue.

    An allergy without a category may be to a medicine; it is not assumed to be to food or the environment.
    """
    category = allergy.get("category")
    categories = {part for part in category if isinstance(part, str)} if isinstance(category, list) else set()
    about = _absent_subjects(item, name)
    if _ALL in about or about & categories:
        return True
    if "medication" in about and (not categories or "biologic" in categories):
        return True
    return any(word in substance.lower() for word in about - {*_CATEGORIES, _OTHER})


def _absent_subjects(item: Resource, name: str) -> frozenset[str]:
    """Return what is stated to be absent: `all`, FHIR's categories, or words of substances. Names win over codes."""
    if re.fullmatch(r"n\.?k\.?[dm]\.?a\.?", name, re.IGNORECASE):
        return frozenset({"medication"})
    words = [
        word
        for pattern in _SUBJECT_PATTERNS
        for text in pattern.findall(name)
        for word in re.findall(r"[^\W\d_]+", text)
    ]
    named = {kind for word in words for kind, pattern in _CATEGORIES.items() if pattern.search(word)}
    others = {word.lower() for word in words if not _FILLER.fullmatch(word) and not _is_category(word)}
    if named or others:
        return frozenset(named | others)
    coded = {_CODES[code] for code in elements.codes(item.get("code")) if code in _CODES}
    return frozenset(coded or {_ALL})


def _is_category(word: str) -> bool:
    return any(pattern.search(word) for pattern in _CATEGORIES.values())

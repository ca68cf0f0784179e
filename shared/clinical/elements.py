"""Read FHIR R4 elements that may be missing, empty or of the wrong type. Invalid input gives None, never an exception.

Numbers are printed as they were read: `decimal.Decimal` keeps every digit of a JSON number, floats keep their shortest
form.
"""

import re
from collections.abc import Iterable, Iterator
from datetime import datetime
from decimal import Decimal
from typing import Any

from shared.clinical import fhir_datetime
from shared.contracts.systems import SYSTEM_NAMES

Resource = dict[str, Any]
Number = int | float | Decimal

# Placeholders that systems write for a missing name.
_PLACEHOLDER = re.compile(
    r"\W*((display|name|text|description|value)?\s*(is )?(not |un)(available|known|specified|defined)"
    r"|no (display|description|name|text)|null|undefined|none|n/?a|unknown display|display)\W*",
    re.IGNORECASE,
)
# SNOMED CT's semantic tags: they belong to the terminology, not to the name.
_SNOMED_TAG = re.compile(
    r" \((disorder|finding|procedure|situation|event|observable entity|qualifier value|regime/therapy|substance|product"
    r"|medicinal product|physical object|organism|body structure|record artifact|person|morphologic abnormality"
    r"|specimen|occupation|environment|context-dependent category)\)$"
)


def items(element: Any) -> list[Resource]:
    """Return the objects of a list, or a single object as a list of one; [] for anything else."""
    found = element if isinstance(element, list) else [element]
    return [item for item in found if isinstance(item, dict)]


def child(element: Any, name: str) -> Resource:
    """Return the object under `name`, the first of several; {} where there is none."""
    found = items(element.get(name)) if isinstance(element, dict) else []
    return found[0] if found else {}


def children(element: Any, name: str) -> list[Resource]:
    """Return all objects under `name`."""
    return items(element.get(name)) if isinstance(element, dict) else []


def string(element: Any, name: str) -> str | None:
    """Return the string under `name` on one line; None where it is missing or empty."""
    found = element.get(name) if isinstance(element, dict) else None
    return " ".join(found.split()) or None if isinstance(found, str) else None


MAX_DIGITS = 60  # decimal places of a number before or after the point; FHIR asks servers for 18 digits


def number(element: Any, name: str = "value") -> Number | None:
    """Return the finite number under `name`; None where it is missing or has more than `MAX_DIGITS` places."""
    found = element.get(name) if isinstance(element, dict) else None
    if isinstance(found, bool) or not isinstance(found, int | float | Decimal):
        return None
    exact = Decimal(str(found))
    return found if exact.is_finite() and abs(exact.adjusted()) <= MAX_DIGITS else None


def boolean(element: Any, name: str) -> bool | None:
    """Return the boolean under `name`; None where it is missing."""
    found = element.get(name) if isinstance(element, dict) else None
    return found if isinstance(found, bool) else None


def format_number(amount: Number, *, trailing_zeros: bool = True) -> str:
    """Format a number with all of its digits and no exponent.

    With `trailing_zeros=False` zeros after the decimal point are dropped: `1.0 mg` is misread as 10 mg (ISMP's and the
    Joint Commission's "do not use" lists).
    """
    text = format(Decimal(str(amount)), "f")
    return text.rstrip("0").rstrip(".") if not trailing_zeros and "." in text else text


def is_placeholder(text: str) -> bool:
    """Return whether `text` only says that there is no name, such as `(display unavailable)`."""
    return _PLACEHOLDER.fullmatch(text) is not None or not re.search(r"\w", text)


def codings(element: Any) -> list[Resource]:
    """Return the codings of a CodeableConcept, or a single Coding as a list of one."""
    found = [part for item in items(element) for part in items(item.get("coding"))]
    alone = isinstance(element, dict) and "coding" not in element and isinstance(element.get("code"), str)
    return [element] if alone else found


def displays(element: Any) -> Iterator[str]:
    """Yield the names that a CodeableConcept gives: its text, then the displays of its codings."""
    for item in items(element):
        texts = [string(item, "text"), *(string(coding, "display") for coding in codings(item))]
        yield from (_without_tag(text) for text in texts if text and not is_placeholder(text))


def _without_tag(text: str) -> str:
    """Return a name without SNOMED CT's semantic tag, with spaces for underscores."""
    return text.replace("_", " ") if re.fullmatch(r"[a-z]+(_[a-z]+)+", text) else _SNOMED_TAG.sub("", text)


def concept(element: Any) -> str | None:
    """Return the name of a CodeableConcept: its text, else a display, else a code that reads as words."""
    return next(displays(element), None) or next((name for name in map(_code_as_words, codings(element)) if name), None)


def concept_or_code(element: Any) -> str | None:
    """Return the name of a CodeableConcept, else its code and system: `code K22.11 (ICD-10-CM)`."""
    if (name := concept(element)) is not None:
        return name
    for coding in codings(element):
        if code := string(coding, "code"):
            system = string(coding, "system") or ""
            return f"code {code} ({SYSTEM_NAMES.get(system, system) or 'no code system'})"
    return None


def _code_as_words(coding: Resource) -> str | None:
    """Return a local code that is made of words as text: `copd_exacerbation` → `copd exacerbation`."""
    code = string(coding, "code") or ""
    text = code.replace("_", " ").strip()
    return text if re.fullmatch(r"[^\W\d]{4,}([ /-][^\W\d]+)*", text) and not is_placeholder(text) else None


def code(element: Any) -> str | None:
    """Return the first code of a CodeableConcept that is not empty."""
    return next((found for coding in codings(element) if (found := string(coding, "code"))), None)


def codes(elements: Any) -> frozenset[str]:
    """Return every code of one CodeableConcept or a list of them."""
    return frozenset(found for coding in codings(elements) if (found := string(coding, "code")))


def coding_pairs(elements: Any) -> frozenset[tuple[str, str]]:
    """Return every (system, code) of one CodeableConcept or a list of them."""
    return frozenset(
        (string(coding, "system") or "", found) for coding in codings(elements) if (found := string(coding, "code"))
    )


def loinc_codes(element: Any) -> frozenset[str]:
    """Return the LOINC codes of a CodeableConcept; codes without a system count as LOINC."""
    return frozenset(code for system, code in coding_pairs(element) if system in ("", "http://loinc.org"))


def extensions(element: Any, *tails: str) -> Iterator[Resource]:
    """Yield the extensions and modifier extensions whose URL ends with one of `tails`."""
    if isinstance(element, dict):
        for item in [*items(element.get("extension")), *items(element.get("modifierExtension"))]:
            if (string(item, "url") or "").endswith(tails):
                yield item


def lateralities(item: Resource) -> list[Any]:
    """Return the laterality that extensions of the code or body site give (German and Dutch profiles)."""
    holders = [item, *children(item, "bodySite"), *codings(item.get("code"))]
    found = [part for holder in holders for part in extensions(holder, "eitenlokalisation", "laterality", "Laterality")]
    return [part.get("valueCodeableConcept") or {"coding": [_laterality(part)]} for part in found]


def _laterality(extension: Resource) -> Resource:
    """Return the laterality of an extension; R, L and B of the German key are right, left and both sides."""
    coding = child(extension, "valueCoding")
    display = {"R": "right", "L": "left", "B": "both sides"}.get(string(coding, "code") or "")
    return coding if string(coding, "display") or display is None else coding | {"display": display}


def join_distinct(parts: Iterable[str | None], between: str = ", ") -> str:
    """Join the parts that are not empty, each once."""
    return between.join(dict.fromkeys(part for part in parts if part))


def annotations(resource: Any) -> list[str]:
    """Return the texts of a resource's annotations (`note`)."""
    return [text for item in children(resource, "note") if (text := string(item, "text"))]


def person_name(resource: Resource, *, prefixes: bool = False, at: datetime | None = None) -> str | None:
    """Return a person's name in use: official, then usual, then any other current one, then one that has ended.

    A maiden, old or anonymous name is used only without another. `at` is the time at which a name must be in use; None
    accepts names without an end.
    """
    names = [item for item in items(resource.get("name")) if _format_name(item, prefixes)]
    best = min(names, key=lambda name: _precedence(name, at), default=None)
    return _format_name(best, prefixes) if best else None


_NAME_USES = {"official": 0, "usual": 1, "": 2, "nickname": 4, "temp": 5, "anonymous": 6, "maiden": 8, "old": 9}
_NICKNAME = 4  # from here on a name is not used on documents


def _precedence(name: Resource, at: datetime | None) -> tuple[bool, bool, int]:
    use = _NAME_USES.get(string(name, "use") or "", 3)
    return use >= _NICKNAME, not _is_in_force(child(name, "period"), at), use


def _is_in_force(period: Resource, at: datetime | None) -> bool:
    start, end = fhir_datetime.parse(period.get("start")), fhir_datetime.parse(period.get("end"))
    if at is None or (end is None and string(period, "end")):
        return string(period, "end") is None
    return (start is None or start.begins <= at) and (end is None or end.ends >= at)


def _format_name(name: Resource, prefixes: bool) -> str | None:
    """Format a `Family, Given` text as `Donna Schwartz`; return any other text unchanged."""
    text = string(name, "text")
    given = name.get("given")
    parts = [*(given if isinstance(given, list) else []), name.get("family")]
    joined = " ".join(" ".join(part.split()) for part in parts if isinstance(part, str) and part.strip())
    chosen = text if text and ("," not in text or not joined) else joined or text
    prefix = name.get("prefix")
    titles = (
        [part for part in (prefix if isinstance(prefix, list) else []) if isinstance(part, str)] if prefixes else []
    )
    lacking = [part for part in titles if chosen and part.lower() not in chosen.lower()]
    return " ".join([*lacking, chosen]) if chosen else None

"""Reading FHIR R4 elements that may be missing, empty or of the wrong type. Nothing raises on dirt: it returns None.

Numbers are printed as they were read: `decimal.Decimal` keeps every digit of a JSON number, floats their shortest form.
"""

import re
from collections.abc import Iterable, Iterator
from datetime import datetime
from decimal import Decimal
from typing import Any

from shared.clinical import moments
from shared.contracts.systems import SYSTEM_NAMES

Resource = dict[str, Any]
Number = int | float | Decimal

# What systems write where they have no name for a code.
_PLACEHOLDER = re.compile(
    r"\W*((display|name|text|description|value)?\s*(is )?(not |un)(available|known|specified|defined)"
    r"|no (display|description|name|text)|null|undefined|none|n/?a|unknown display|display)\W*",
    re.IGNORECASE,
)
# SNOMED CT's semantic tags: they belong to the terminology, not to the name.
_TAG = re.compile(
    r" \((disorder|finding|procedure|situation|event|observable entity|qualifier value|regime/therapy|substance|product"
    r"|medicinal product|physical object|organism|body structure|record artifact|person|morphologic abnormality"
    r"|specimen|occupation|environment|context-dependent category)\)$"
)


def items(element: Any) -> list[Resource]:
    """The objects of a list; an object that stands alone as a list of one; nothing of anything else."""
    found = element if isinstance(element, list) else [element]
    return [item for item in found if isinstance(item, dict)]


def child(element: Any, name: str) -> Resource:
    """The object under `name`, the first one where there are several; empty where there is none."""
    found = items(element.get(name)) if isinstance(element, dict) else []
    return found[0] if found else {}


def children(element: Any, name: str) -> list[Resource]:
    """All objects under `name`."""
    return items(element.get(name)) if isinstance(element, dict) else []


def words(element: Any, name: str) -> str | None:
    """The text under `name` in one line, if it says anything."""
    found = element.get(name) if isinstance(element, dict) else None
    return " ".join(found.split()) or None if isinstance(found, str) else None


LARGEST = 60  # decimal places of a number before or after the point; FHIR asks servers for 18 digits


def number(element: Any, name: str = "value") -> Number | None:
    """The finite number under `name`; None beyond `LARGEST` places, which no measurement has and no text can hold."""
    found = element.get(name) if isinstance(element, dict) else None
    if isinstance(found, bool) or not isinstance(found, int | float | Decimal):
        return None
    exact = Decimal(str(found))
    return found if exact.is_finite() and abs(exact.adjusted()) <= LARGEST else None


def flag(element: Any, name: str) -> bool | None:
    """The boolean under `name`."""
    found = element.get(name) if isinstance(element, dict) else None
    return found if isinstance(found, bool) else None


def plain(amount: Number, *, trailing_zeros: bool = True) -> str:
    """Every digit of a number and no exponent.

    `trailing_zeros` false drops those after the decimal point: in a dose `1.0 mg` is misread as 10 mg (ISMP's and the
    Joint Commission's "do not use" lists).
    """
    text = format(Decimal(str(amount)), "f")
    return text.rstrip("0").rstrip(".") if not trailing_zeros and "." in text else text


def is_placeholder(text: str) -> bool:
    """Whether `text` only says that there is no name, as `(display unavailable)` does."""
    return _PLACEHOLDER.fullmatch(text) is not None or not re.search(r"\w", text)


def codings(element: Any) -> list[Resource]:
    """The codings of a CodeableConcept; a Coding that stands alone as a list of one."""
    found = [part for item in items(element) for part in items(item.get("coding"))]
    alone = isinstance(element, dict) and "coding" not in element and isinstance(element.get("code"), str)
    return [element] if alone else found


def displays(element: Any) -> Iterator[str]:
    """The names that a CodeableConcept gives: its text, then the displays of its codings."""
    for item in items(element):
        texts = [words(item, "text"), *(words(coding, "display") for coding in codings(item))]
        yield from (_worded(text) for text in texts if text and not is_placeholder(text))


def _worded(text: str) -> str:
    """A name without SNOMED CT's tag; `nasal_cannula` with spaces."""
    return text.replace("_", " ") if re.fullmatch(r"[a-z]+(_[a-z]+)+", text) else _TAG.sub("", text)


def concept(element: Any) -> str | None:
    """The name of a CodeableConcept: its text, else a display, else a code that reads as words."""
    return next(displays(element), None) or next((name for name in map(_spoken, codings(element)) if name), None)


def concept_or_code(element: Any) -> str | None:
    """As `concept`; where nothing names it, the code with its system: `code K22.11 (ICD-10-CM)`."""
    if (name := concept(element)) is not None:
        return name
    for coding in codings(element):
        if code := words(coding, "code"):
            system = words(coding, "system") or ""
            return f"code {code} ({SYSTEM_NAMES.get(system, system) or 'no code system'})"
    return None


def _spoken(coding: Resource) -> str | None:
    """`copd_exacerbation` → `copd exacerbation`, `HOME HEALTH CARE` as it is: local codes that are words."""
    code = words(coding, "code") or ""
    text = code.replace("_", " ").strip()
    return text if re.fullmatch(r"[^\W\d]{4,}([ /-][^\W\d]+)*", text) and not is_placeholder(text) else None


def code(element: Any) -> str | None:
    """The first code of a CodeableConcept that is not empty."""
    return next((found for coding in codings(element) if (found := words(coding, "code"))), None)


def codes(elements: Any) -> frozenset[str]:
    """Every code of one CodeableConcept or a list of them."""
    return frozenset(found for coding in codings(elements) if (found := words(coding, "code")))


def coded(elements: Any) -> frozenset[tuple[str, str]]:
    """Every system and code of one CodeableConcept or a list of them."""
    return frozenset(
        (words(coding, "system") or "", found) for coding in codings(elements) if (found := words(coding, "code"))
    )


def loinc(element: Any) -> frozenset[str]:
    """The LOINC codes of a CodeableConcept, wherever they stand; codes without a system count as LOINC's."""
    return frozenset(code for system, code in coded(element) if system in ("", "http://loinc.org"))


def extensions(element: Any, *tails: str) -> Iterator[Resource]:
    """Extensions and modifier extensions whose URL ends with one of `tails`."""
    if isinstance(element, dict):
        for item in [*items(element.get("extension")), *items(element.get("modifierExtension"))]:
            if (words(item, "url") or "").endswith(tails):
                yield item


def sides(item: Resource) -> list[Any]:
    """Laterality as extensions of the code or the site have it (of German and Dutch profiles)."""
    holders = [item, *children(item, "bodySite"), *codings(item.get("code"))]
    found = [part for holder in holders for part in extensions(holder, "eitenlokalisation", "laterality", "Laterality")]
    return [part.get("valueCodeableConcept") or {"coding": [_side(part)]} for part in found]


def _side(extension: Resource) -> Resource:
    """R, L and B of the German key stand for right, left and both sides."""
    coding = child(extension, "valueCoding")
    display = {"R": "right", "L": "left", "B": "both sides"}.get(words(coding, "code") or "")
    return coding if words(coding, "display") or display is None else coding | {"display": display}


def listed(parts: Iterable[str | None], between: str = ", ") -> str:
    """The parts that say something, each once."""
    return between.join(dict.fromkeys(part for part in parts if part))


def notes(resource: Any) -> list[str]:
    """The texts of a resource's annotations."""
    return [text for item in children(resource, "note") if (text := words(item, "text"))]


def person_name(resource: Resource, *, prefixes: bool = False, at: datetime | None = None) -> str | None:
    """The name in use: official, then usual, then any other that is in force; then one that has ended.

    A maiden, old or anonymous name only where there is no other. In force is what is so `at` a time; without one, what
    has no end.
    """
    names = [item for item in items(resource.get("name")) if _written(item, prefixes)]
    best = min(names, key=lambda name: _precedence(name, at), default=None)
    return _written(best, prefixes) if best else None


_NAME_USES = {"official": 0, "usual": 1, "": 2, "nickname": 4, "temp": 5, "anonymous": 6, "maiden": 8, "old": 9}
_NICKNAME = 4  # from here on no name that a document is made out to


def _precedence(name: Resource, at: datetime | None) -> tuple[bool, bool, int]:
    use = _NAME_USES.get(words(name, "use") or "", 3)
    return use >= _NICKNAME, not _in_force(child(name, "period"), at), use


def _in_force(period: Resource, at: datetime | None) -> bool:
    start, end = moments.read(period.get("start")), moments.read(period.get("end"))
    if at is None or (end is None and words(period, "end")):
        return words(period, "end") is None
    return (start is None or start.begins <= at) and (end is None or end.ends >= at)


def _written(name: Resource, prefixes: bool) -> str | None:
    """`Donna Schwartz`; the text as it is where it is no `Family, Given`."""
    text = words(name, "text")
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

"""Make, parse and compare references between FHIR resources. Pure.

A reference may be relative, absolute (by our base URL or another spelling of it), versioned, a `urn:uuid` of a Bundle,
contained (`#id`), logical (an identifier) or conditional (`Patient?identifier=…`); its type may stand beside it.
https://hl7.org/fhir/R4/references.html
"""

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from shared.contracts.subjects import FHIR_ID

_TYPE = re.compile(r"[A-Z][A-Za-z]+")
_ID = re.compile(FHIR_ID)
_DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Reference:
    """A resource by type and id. `type` is empty where the reference does not state it (`urn:uuid`)."""

    type: str
    id: str

    def __str__(self) -> str:
        return f"{self.type}/{self.id}"

    def matches(self, other: "Reference") -> bool:
        """Return whether both may be the same resource: equal ids, and equal types where both are known."""
        return self.id == other.id and (not self.type or not other.type or self.type == other.type)


def normalized_base(url: str) -> str:
    """Return a base URL normalized for comparison: host in lower case, no scheme, default port or final `/`.

    A server behind a proxy that terminates TLS writes `http` where its clients write `https`, so the scheme is ignored.
    """
    parts = urlsplit(url)
    try:
        port = parts.port
    except ValueError:
        port = None
    shown = f":{port}" if port and port != _DEFAULT_PORTS.get(parts.scheme.lower()) else ""
    return f"{(parts.hostname or '').lower()}{shown}{parts.path.rstrip('/')}"


def parse(element: Any, bases: Collection[str] = ()) -> Reference | None:
    """Return the resource that a Reference element names literally.

    Returns None where it is contained, logical, conditional, invalid, or of another server than `bases` (as
    `normalized_base` gives them; without any, every server is accepted).
    """
    text = element.get("reference") if isinstance(element, dict) else element
    stated = element.get("type") if isinstance(element, dict) else None
    type = stated if isinstance(stated, str) and _TYPE.fullmatch(stated) else ""
    return parse_url(text, bases, type) if isinstance(text, str) else None


def parse_url(text: str, bases: Collection[str] = (), type: str = "") -> Reference | None:
    """Return the resource that a reference's text names, None for none.

    Accepts `Patient/1`, `https://ehr/fhir/Patient/1/_history/2`, `urn:uuid:…` and `1`.
    """
    text = text.strip()
    if text.startswith(("urn:uuid:", "urn:oid:")):
        return Reference(type, text.rpartition(":")[2])
    if text.startswith("#") or "?" in text or not text:
        return None
    path, _, _ = text.partition("/_history")
    head, _, id = path.rstrip("/").rpartition("/")
    base, _, named = head.rpartition("/")
    if not _ID.fullmatch(id := unquote(id)):
        return None
    if not head:
        return Reference(type, id)
    if not _TYPE.fullmatch(named):
        return None
    if "://" in base and bases and normalized_base(base) not in bases:
        return None
    return Reference(named, id)


def relative(element: Any, bases: Collection[str] = ()) -> str | None:
    """Return `Type/id` of a literal reference; None where the type is unknown."""
    found = parse(element, bases)
    return str(found) if found is not None and found.type else None


def identifiers_of(element: Any) -> frozenset[tuple[str, str]]:
    """Return the (system, value) pairs of a logical or conditional reference."""
    if not isinstance(element, dict):
        return frozenset()
    found = set(_pairs([element.get("identifier")]))
    text = element.get("reference")
    if isinstance(text, str) and "?" in text:
        for value in parse_qs(urlsplit(text).query).get("identifier", []):
            system, bar, code = value.rpartition("|")
            found.add((system if bar else "", code))
    return frozenset(found)


def _pairs(elements: Iterable[Any]) -> Iterable[tuple[str, str]]:
    for item in elements:
        if isinstance(item, dict) and isinstance(value := item.get("value"), str) and value:
            system = item.get("system")
            yield system if isinstance(system, str) else "", value


@dataclass(frozen=True, slots=True)
class ReferenceTargets:
    """Resources to compare references with: the encounters of one stay, the records of one patient."""

    references: frozenset[Reference]
    identifiers: frozenset[tuple[str, str]] = frozenset()
    bases: frozenset[str] = field(default_factory=frozenset)
    all_identifiers: frozenset[tuple[str, str]] = frozenset()  # every identifier, also those without a system

    def __contains__(self, element: object) -> bool:
        """Return whether a Reference element names one of the resources, in any legal spelling."""
        found = parse(element, self.bases)
        if found is not None and any(found.matches(item) for item in self.references):
            return True
        return bool(self.identifiers & identifiers_of(element))


def reference_targets(resources: Iterable[Any], bases: Collection[str] = ()) -> ReferenceTargets:
    """Return the targets for `resources`: by type and id, or by identifiers that have a system."""
    found = [item for item in resources if isinstance(item, dict)]
    numbers = frozenset(
        pair
        for item in found
        for pair in _pairs(item["identifier"] if isinstance(item.get("identifier"), list) else [])
    )
    return ReferenceTargets(
        frozenset(Reference(str(item.get("resourceType", "")), str(item["id"])) for item in found if item.get("id")),
        frozenset(pair for pair in numbers if pair[0]),
        frozenset(bases),
        numbers,
    )

"""What the rules of derived sheets read of a record: text of concepts, times, and which entries belong to the stay."""

import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any

from tests.stays.model import Fact, Kind, Pattern, Resource, Severity

UNKNOWN = "(display unavailable)"


class Record:
    """The resources of one patient around one stay."""

    def __init__(self, resources: Iterable[Resource], encounter: str) -> None:
        self.resources = list(resources)
        self.encounter = next(r for r in self.of("Encounter") if r["id"] == encounter)
        self.start, self.end = moment(self.encounter["period"]["start"]), moment(self.encounter["period"]["end"])
        disposition = (self.encounter.get("hospitalization") or {}).get("dischargeDisposition")
        self.disposition = next(iter(codes(disposition)), "")
        self.died = self.disposition == "exp"

    def of(self, type: str) -> Iterator[Resource]:
        return (r for r in self.resources if r["resourceType"] == type)

    def of_stay(self, type: str) -> Iterator[Resource]:
        """Entries that name the stay."""
        return (r for r in self.of(type) if self.names_stay(r))

    def names_stay(self, resource: Resource) -> bool:
        context = resource.get("context") or {}
        named = [resource.get("encounter") or context, *(context.get("encounter") or ())]  # R4 documents have a list
        return any(str(one.get("reference", "")).endswith(f"Encounter/{self.encounter['id']}") for one in named)

    def read(self, reference: Resource | None) -> Resource | None:
        """The resource that a relative reference names."""
        type, _, id = str((reference or {}).get("reference", "")).partition("/")
        return next((r for r in self.of(type) if r["id"] == id), None)


def moment(text: str) -> datetime:
    """A FHIR date or time; the first moment of a day."""
    found = datetime.fromisoformat(text)
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def codes(concepts: Any) -> list[str]:
    """The codes of a CodeableConcept or of several."""
    several = concepts if isinstance(concepts, list) else [concepts]
    return [coding["code"] for one in several if one for coding in one.get("coding", ()) if "code" in coding]


def names(concept: Resource | None) -> list[str]:
    """Every usable name of a CodeableConcept, its text first."""
    found = [(concept or {}).get("text"), *(coding.get("display") for coding in (concept or {}).get("coding", ()))]
    return list(dict.fromkeys(name for name in found if name and name != UNKNOWN))


def any_name(concept: Resource | None) -> str:
    """A regular expression for any of the names; never matches where there is none."""
    return "|".join(literal(name) for name in names(concept)) or "(?!)"


def literal(text: str) -> str:
    """Text as a regular expression in which white space is any white space."""
    return r"\s+".join(re.escape(word) for word in text.split())


def plain(div: str) -> str:
    """The text of a Narrative's XHTML."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", div)).strip()


def must(severity: Severity, kind: Kind, what: str, *any_of: Pattern | str, anywhere: bool = False) -> Fact:
    patterns = tuple(Pattern(one) if isinstance(one, str) else one for one in any_of)
    return Fact(what, kind, severity, patterns, anywhere=anywhere)


def never(severity: Severity, kind: Kind, what: str, *any_of: Pattern | str) -> Fact:
    patterns = tuple(Pattern(one) if isinstance(one, str) else one for one in any_of)
    return Fact(what, kind, severity, patterns, never=True)

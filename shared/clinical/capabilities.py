"""What a FHIR server says that it supports: its CapabilityStatement. Pure.

https://hl7.org/fhir/R4/capabilitystatement.html
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Capabilities:
    """Search parameters by type. Empty where the server states none: then only `_id` and `patient` are relied on."""

    search: Mapping[str, frozenset[str]]
    update_creates: frozenset[str] = frozenset()  # types of which a PUT to an id of ours makes the resource

    def has(self, type: str, parameter: str) -> bool:
        return parameter in self.search.get(type, frozenset())

    def knows(self, type: str) -> bool:
        """Whether the type can be asked for. A server that states nothing is asked for everything."""
        return not self.search or type in self.search


def read_capabilities(statement: dict[str, Any]) -> Capabilities:
    """The search parameters of a CapabilityStatement, and where a PUT creates."""
    search: dict[str, frozenset[str]] = {}
    update_creates: set[str] = set()
    for rest in statement.get("rest") or []:
        for item in rest.get("resource") or []:
            type = str(item.get("type"))
            names = (parameter.get("name") for parameter in item.get("searchParam") or [])
            search[type] = frozenset(str(name) for name in names)
            if item.get("updateCreate") is True:
                update_creates.add(type)
    return Capabilities(search, frozenset(update_creates))

"""Parse a FHIR server's CapabilityStatement. Pure.

https://hl7.org/fhir/R4/capabilitystatement.html
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Capabilities:
    """The search parameters that a server supports, by resource type.

    Empty where the server states none: callers then rely on `_id` and `patient` only. `update_creates` are the types of
    which a PUT creates the resource.
    """

    search: Mapping[str, frozenset[str]]
    update_creates: frozenset[str] = frozenset()  # types that a PUT with our id creates
    creates: frozenset[str] = frozenset()  # types that may be created

    def supports_parameter(self, type: str, parameter: str) -> bool:
        """Return whether the server states that it supports the search parameter."""
        return parameter in self.search.get(type, frozenset())

    def supports_type(self, type: str) -> bool:
        """Return whether the type can be searched; always true for a server that states nothing."""
        return not self.search or type in self.search


def parse_capabilities(statement: dict[str, Any]) -> Capabilities:
    """Return the search parameters of a CapabilityStatement and the types that a PUT creates."""
    search: dict[str, frozenset[str]] = {}
    update_creates: set[str] = set()
    creates: set[str] = set()
    for rest in statement.get("rest") or []:
        for item in rest.get("resource") or []:
            type = str(item.get("type"))
            names = (parameter.get("name") for parameter in item.get("searchParam") or [])
            search[type] = frozenset(str(name) for name in names)
            if item.get("updateCreate") is True:
                update_creates.add(type)
            if any(interaction.get("code") == "create" for interaction in item.get("interaction") or []):
                creates.add(type)
    return Capabilities(search, frozenset(update_creates), frozenset(creates))

"""Parse a FHIR server's CapabilityStatement. Pure.

https://hl7.org/fhir/R4/capabilitystatement.html
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

# https://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition-capabilitystatement-subscriptiontopic-canonical.html
TOPIC_EXTENSION = "capabilitystatement-subscriptiontopic-canonical"


@dataclass(frozen=True, slots=True)
class Capabilities:
    """The search parameters that a server supports, by resource type.

    Empty where the server states none: callers then rely on `_id` and `patient` only. `everywhere` are parameters of
    all types, `creates` the types that can be created, `topics` canonical URLs of subscription topics (R4 backport).
    """

    search: Mapping[str, frozenset[str]]
    update_creates: frozenset[str] = frozenset()  # types that a PUT with our id creates
    creates: frozenset[str] = frozenset()
    everywhere: frozenset[str] = frozenset()
    topics: tuple[str, ...] = ()

    def supports_parameter(self, type: str, parameter: str) -> bool:
        """Return whether the server states that it supports the search parameter."""
        return parameter in self.search.get(type, frozenset()) or (type in self.search and parameter in self.everywhere)

    def supports_type(self, type: str) -> bool:
        """Return whether the type can be searched; always true for a server that states nothing."""
        return not self.search or type in self.search


def parse_capabilities(statement: dict[str, Any]) -> Capabilities:
    """Return what a CapabilityStatement says about searches, creates and subscription topics."""
    search: dict[str, frozenset[str]] = {}
    update_creates: set[str] = set()
    creates: set[str] = set()
    everywhere: set[str] = set()
    topics: list[str] = []
    for rest in statement.get("rest") or []:
        everywhere.update(str(parameter.get("name")) for parameter in rest.get("searchParam") or [])
        for item in rest.get("resource") or []:
            type = str(item.get("type"))
            names = (parameter.get("name") for parameter in item.get("searchParam") or [])
            search[type] = frozenset(str(name) for name in names)
            if item.get("updateCreate") is True:
                update_creates.add(type)
            if any(interaction.get("code") == "create" for interaction in item.get("interaction") or []):
                creates.add(type)
            if type == "Subscription":
                topics += [
                    str(extension["valueCanonical"])
                    for extension in item.get("extension") or []
                    if str(extension.get("url", "")).endswith(TOPIC_EXTENSION) and extension.get("valueCanonical")
                ]
    return Capabilities(search, frozenset(update_creates), frozenset(creates), frozenset(everywhere), tuple(topics))

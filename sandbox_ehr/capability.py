"""The CapabilityStatement of the sandbox: only what is implemented."""

from sandbox_ehr.quirks import ENCOUNTER_KEYS, Quirks
from sandbox_ehr.search import INCLUDES, PARAMETERS, Parameter
from sandbox_ehr.store import Resource


def capability_statement(quirks: Quirks | None, *, subscriptions: bool = False) -> Resource:
    """Return the CapabilityStatement, with the search parameters that the quirks leave."""
    types = [type for type in sorted(PARAMETERS) if subscriptions or type != "Subscription"]
    return {
        "resourceType": "CapabilityStatement",
        "status": "active",
        "date": "2026-11-23",
        "kind": "instance",
        "fhirVersion": "4.0.1",
        "format": ["json"],
        "software": {"name": "Countersign sandbox EHR"},
        "rest": [
            {
                "mode": "server",
                "resource": [_capability(type, _parameters(type, quirks)) for type in types],
            }
        ],
    }


def _parameters(type: str, quirks: Quirks | None) -> dict[str, Parameter]:
    parameters = PARAMETERS[type]
    if type == "Encounter" and quirks is not None and quirks.keyed_encounter_search:
        return {name: item for name, item in parameters.items() if name in ENCOUNTER_KEYS}
    return parameters


def _capability(type: str, parameters: dict[str, Parameter]) -> Resource:
    return {
        "type": type,
        "interaction": [{"code": code} for code in ("read", "search-type", "create", "update")],
        "versioning": "versioned-update",
        "conditionalCreate": True,
        "updateCreate": False,
        "searchParam": [{"name": name, "type": kind} for name, (kind, _) in parameters.items()],
        "searchInclude": [name for name in INCLUDES if name.startswith(f"{type}:")],
    }

"""Find the resources that a search asks for, and return a page of them as a searchset Bundle.

https://hl7.org/fhir/R4/bundle.html#searchset
"""

import base64
from urllib.parse import urlencode

from sandbox_ehr.responses import search_entry
from sandbox_ehr.search import INCLUDES, find_parameter, known_identifiers, matches, sort_resources, values
from sandbox_ehr.store import Resource, Store

Pairs = list[tuple[str, str]]

RESULT_PARAMETERS = ("_count", "_sort", "_include", "_total", "_cursor", "_format")


def unknown_parameters(type: str, pairs: Pairs) -> list[str]:
    """Return the names of the parameters that are neither of the type nor about the result."""
    return [name for name, _ in pairs if find_parameter(type, name) is None and name not in RESULT_PARAMETERS]


def find(store: Store, type: str, pairs: Pairs) -> list[Resource]:
    """Return the resources of a type that match; parameters that are not of the type are ignored."""
    named = dict(pairs)
    patient = named.get("patient", named.get("subject"))
    patient = patient.removeprefix("Patient/") if patient and type != "Appointment" and "," not in patient else None
    identifier = named.get("identifier")
    identifier = identifier if identifier and "|" in identifier[:-1] and "," not in identifier else None
    conditions = [(known, wanted) for name, wanted in pairs if (known := find_parameter(type, name)) is not None]
    people = known_identifiers(named.get("patient:identifier", named.get("subject:identifier", "")))
    return [
        resource
        for resource in store.candidates(type, patient, identifier, people)
        if all(matches(resource, parameter, wanted) for parameter, wanted in conditions)
    ]


def searchset(store: Store, base: str, type: str, pairs: Pairs, max_page_size: int) -> Resource:
    """Return the page of the search that `_count` and `_cursor` ask for. `base` is the FHIR base URL."""
    control = {name: value for name, value in pairs if name in RESULT_PARAMETERS}
    found = sort_resources(find(store, type, pairs), control.get("_sort"))
    count = min(_to_int(control.get("_count"), max_page_size), max_page_size)
    offset = _to_int(base64.urlsafe_b64decode(control.get("_cursor", "")).decode() or "0", 0)
    page = found[offset : offset + count]
    plain = [(name, value) for name, value in pairs if name != "_cursor"]
    links = [{"relation": "self", "url": f"{base}/{type}?{urlencode(plain)}"}]
    if offset + count < len(found):
        cursor = base64.urlsafe_b64encode(str(offset + count).encode()).decode()
        links.append({"relation": "next", "url": f"{base}/{type}?{urlencode([*plain, ('_cursor', cursor)])}"})
    included = _included(store, page, [value for name, value in pairs if name == "_include"])
    entries = [search_entry(base, item, "match") for item in page]
    entries += [search_entry(base, item, "include") for item in included]
    bundle: Resource = {"resourceType": "Bundle", "type": "searchset", "link": links, "entry": entries}
    if control.get("_total") == "accurate":
        bundle["total"] = len(found)
    return bundle


def _included(store: Store, page: list[Resource], includes: list[str]) -> list[Resource]:
    found: dict[str, Resource] = {}
    for path in (INCLUDES[name] for name in includes if name in INCLUDES):
        for reference in (value.get("reference", "") for item in page for value in values(item, path)):
            type, _, id = reference.partition("/")
            if (resource := store.get(type, id)) is not None:
                found[reference] = resource
    return list(found.values())


def _to_int(text: str | None, default: int) -> int:
    return int(text) if text and text.isdigit() else default

"""Find the Encounter of a visit, its patient's identifiers and its attending in the EHR."""

from collections.abc import Iterator

from shared.clinical import elements, references
from shared.clinical.elements import Resource
from shared.clinical.fhir_client import FhirClient
from shared.contracts.errors import PermanentError
from shared.contracts.visits import IdentifierValue, patient_digest


class EncounterFinder:
    """Looks up what ADT messages name by business identifiers."""

    def __init__(self, ehr: FhirClient) -> None:
        self._ehr = ehr

    async def encounters(self, visit: IdentifierValue) -> list[Resource]:
        """Return the Encounters that carry the visit number, each once."""
        return await self._find("Encounter", visit)

    async def practitioner(self, identifier: IdentifierValue) -> str | None:
        """Return the reference of the one Practitioner with the identifier; None for none or several."""
        found = await self._find("Practitioner", identifier)
        return f"Practitioner/{found[0]['id']}" if len(found) == 1 else None

    async def patient_digests(self, encounter: Resource) -> frozenset[str]:
        """Return what stands for each identifier of the Encounter's patient.

        Raises PermanentError where the Encounter names no patient of this server.
        """
        patient = references.parse(encounter.get("subject"), self._ehr.bases)
        if patient is None:
            raise PermanentError("the Encounter of the visit names no patient")
        found = await self._ehr.read("Patient", patient.id)
        return frozenset(digest for item in elements.children(found, "identifier") for digest in _digests(item))

    async def _find(self, type: str, identifier: IdentifierValue) -> list[Resource]:
        """Search by identifier; a server may ignore the parameter and answer with what belongs to others."""
        value = _escaped(identifier.value)
        wanted = value if identifier.system is None else f"{_escaped(identifier.system)}|{value}"
        found = await self._ehr.search(type, {"identifier": wanted}, fresh=True)
        carrying = {
            item["id"]: item
            for item in found
            if item.get("resourceType") == type and isinstance(item.get("id"), str) and _carries(item, identifier)
        }
        return list(carrying.values())


def _carries(resource: Resource, identifier: IdentifierValue) -> bool:
    return any(
        item.get("value") == identifier.value and identifier.system in (None, item.get("system"))
        for item in elements.children(resource, "identifier")
    )


def _digests(identifier: Resource) -> Iterator[str]:
    """Yield the digest of an identifier with its system, and without one: a sender may know no system."""
    system, value = identifier.get("system"), identifier.get("value")
    if isinstance(value, str):
        yield patient_digest(None, value)
        if isinstance(system, str):
            yield patient_digest(system, value)


def _escaped(value: str) -> str:
    """Escape what separates parts of a search parameter: https://hl7.org/fhir/R4/search.html#escaping"""
    for mark in "\\|,$":
        value = value.replace(mark, f"\\{mark}")
    return value

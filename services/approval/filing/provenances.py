"""Find the Provenances of a resource in the EHR, and those among them that are ours."""

from collections.abc import Iterable

from services.approval.filing.resources import chain_head_of
from shared.clinical import references
from shared.clinical.elements import Resource, children
from shared.clinical.fhir_client import FhirClient
from shared.contracts.errors import PermanentError


async def provenances_of(ehr: FhirClient, target: str) -> list[Resource]:
    """Return the Provenances whose target is `Type/id`; empty if the EHR cannot search for them.

    The search is by the typed reference, which conforming servers support, and by the bare id if that finds nothing.
    Other Provenances are removed: a server may ignore a parameter that it does not support.
    """
    wanted = references.reference_targets(
        [dict(zip(("resourceType", "id"), target.split("/"), strict=True))], ehr.bases
    )
    for spelling in (target, target.partition("/")[2]):
        try:
            found = await ehr.search("Provenance", {"target": spelling}, fresh=True)
        except PermanentError:
            continue
        about = [item for item in found if any(target in wanted for target in children(item, "target"))]
        if about:
            return about
    return []


def carrying(chain_head: str, found: Iterable[Resource]) -> list[Resource]:
    """Return our Provenances with this head of the audit chain. An EHR may write others about a document."""
    return [item for item in found if chain_head_of(item) == chain_head]

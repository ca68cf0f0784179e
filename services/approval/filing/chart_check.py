"""Compare documents in the chart with what was signed: identifiers can be guessed, and a chart outlives a backup."""

from collections.abc import Iterable, Mapping

from services.approval.filing.errors import DocumentHeldError
from services.approval.filing.provenances import carrying
from services.approval.filing.renditions import chart
from services.approval.filing.renditions.in_chart import digest_in_chart
from services.approval.filing.renditions.make import TEXT
from services.approval.filing.resources import chain_head_of
from shared.clinical.elements import Resource
from shared.clinical.fhir_client import FhirClient
from shared.contracts.envelope import sha256_hex


class NotAsSignedError(DocumentHeldError):
    """A document in the chart has an identifier of ours and is not what was signed: a person has to check."""


async def verify_as_signed(document: Resource, renditions: Mapping[str, bytes], ehr: FhirClient) -> None:
    """Check that `document` in the chart contains the signed text, and no rendition that differs from `renditions`.

    `renditions` maps content type to bytes. What the EHR does not show cannot be compared; `audit verify` reports it.

    Raises NotAsSignedError, TransientError.
    """
    held = chart.attachments(document)
    if not held:  # the server shows no contents
        held = chart.attachments(await ehr.read("DocumentReference", str(document["id"])))
    if held and not held.keys() <= renditions.keys():
        raise _not_as_signed(document)
    for content_type, attachment in held.items():
        found = await digest_in_chart(attachment, ehr)
        if found is not None and found != sha256_hex(renditions[content_type]):
            raise _not_as_signed(document)
    if held and TEXT not in held:
        raise _not_as_signed(document)


def of_this_signature(head: str, document: str, provenances: Iterable[Resource]) -> list[Resource]:
    """Return the Provenances with the digest of this signature. Raises NotAsSignedError if there are only others."""
    found = list(provenances)
    own = carrying(head, found)
    if not own and any(chain_head_of(item) is not None for item in found):
        raise NotAsSignedError(
            f"DocumentReference {document} stands in the chart with a signature that the case does not have"
        )
    return own


def _not_as_signed(document: Resource) -> NotAsSignedError:
    return NotAsSignedError(
        f"DocumentReference {document['id']} stands in the chart under this document's identifier, "
        "and is not what was signed"
    )

"""What an EHR holds of a document's contents, also where it has put them into Binary resources of their own."""

from services.approval.filing.renditions import chart
from shared.clinical.elements import Resource
from shared.clinical.fhir_client import FhirClient
from shared.clinical.references import parse_url
from shared.contracts.envelope import sha256_hex
from shared.contracts.errors import PermanentError


async def digest_in_chart(attachment: Resource, ehr: FhirClient) -> str | None:
    """SHA-256 of what an attachment holds; None where the EHR does not show it. Raises TransientError."""
    data = await bytes_in_chart(attachment, ehr)
    return sha256_hex(data) if data is not None else None


async def bytes_in_chart(attachment: Resource, ehr: FhirClient) -> bytes | None:
    """What an attachment holds; None where the EHR does not show it. Raises TransientError."""
    if "data" in attachment:
        return chart.data_of(attachment)
    named = parse_url(str(attachment.get("url") or ""))
    if named is None or named.type != "Binary":
        return None
    try:
        return chart.data_of(await ehr.read("Binary", named.id))
    except PermanentError:
        return None

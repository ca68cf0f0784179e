"""Read the contents of a document in the EHR, also if they are in Binary resources."""

from services.approval.filing.renditions import chart
from shared.clinical.elements import Resource
from shared.clinical.fhir_client import FhirClient
from shared.clinical.references import parse_url
from shared.contracts.envelope import sha256_hex
from shared.contracts.errors import PermanentError


async def digest_in_chart(attachment: Resource, ehr: FhirClient) -> str | None:
    """Return the SHA-256 of an attachment's data; None if the EHR does not show it. Raises TransientError."""
    data = await bytes_in_chart(attachment, ehr)
    return sha256_hex(data) if data is not None else None


async def bytes_in_chart(attachment: Resource, ehr: FhirClient) -> bytes | None:
    """Return an attachment's data; None if the EHR does not show it. Raises TransientError."""
    if "data" in attachment:
        return chart.data_of(attachment)
    named = parse_url(str(attachment.get("url") or ""))
    if named is None or named.type != "Binary":
        return None
    try:
        return chart.data_of(await ehr.read("Binary", named.id))
    except PermanentError:
        return None

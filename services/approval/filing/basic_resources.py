"""The DocumentReference for an EHR that keeps few of its elements. Pure.

Oracle Health takes one content with a charset, the discharge with its time, and an author of its own; it drops our
identifier, relatesTo, security labels and an author that is a Device.
https://docs.oracle.com/en/industries/health/millennium-platform-apis/mfrap/api-documentreference.html
"""

import base64

from services.approval.filing.renditions.make import PDF, TEXT, XHTML
from shared.clinical.elements import Resource
from shared.contracts.corrections import Amended
from shared.contracts.events import Signature
from shared.contracts.timestamps import format_timestamp

# What is filed → Attachment.contentType
CONTENT_TYPES = {TEXT: "text/plain;charset=utf-8", XHTML: "application/xhtml+xml;charset=utf-8", PDF: PDF}
CATEGORY = "http://hl7.org/fhir/us/core/CodeSystem/us-core-documentreference-category"


def document(signature: Signature, signer: str, content_type: str, data: bytes, signed_at: str) -> Resource:
    """Return the DocumentReference of one content. `signer` is the author's FHIR reference."""
    stay, type = signature.stay, signature.draft.type
    period = {"end": format_timestamp(stay.end)}
    if stay.start is not None:
        period["start"] = format_timestamp(stay.start)
    return {
        "resourceType": "DocumentReference",
        "status": "current",
        "docStatus": "amended" if isinstance(signature, Amended) else "final",
        "type": {"coding": [{"system": "http://loinc.org", "code": type.code, "display": type.display}]},
        "category": [{"coding": [{"system": CATEGORY, "code": "clinical-note"}]}],
        "subject": {"reference": stay.patient},
        "date": signed_at,
        "author": [{"reference": signer}],
        "content": [
            {
                "attachment": {
                    "contentType": CONTENT_TYPES[content_type],
                    "data": base64.b64encode(data).decode(),
                    "title": type.title,
                    "creation": signed_at,
                }
            }
        ],
        "context": {"encounter": [{"reference": stay.encounter}], "period": period},
    }

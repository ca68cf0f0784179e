"""Renditions as the chart holds them: contents of a DocumentReference, entities of a Provenance. Pure.

https://hl7.org/fhir/R4/documentreference.html, https://hl7.org/fhir/R4/datatypes.html#Attachment
"""

import base64
import binascii
import hashlib
from collections.abc import Mapping
from datetime import datetime

from services.approval.filing.renditions.make import TEXT
from services.approval.filing.renditions.xhtml import LANGUAGE
from services.approval.filing.resources import NAMING
from shared.clinical.elements import Resource, child, children
from shared.contracts.envelope import sha256_hex
from shared.contracts.timestamps import format_timestamp

RENDITION_SYSTEM = f"{NAMING}/rendition-sha256"


def contents(renditions: Mapping[str, bytes], signed_at: datetime, title: str = "Discharge summary") -> list[Resource]:
    """Return `DocumentReference.content` of renditions (content type → bytes) of a document with that title."""
    return [
        {"attachment": _attachment(content_type, data, signed_at, title)} for content_type, data in renditions.items()
    ]


def _attachment(content_type: str, data: bytes, signed_at: datetime, title: str) -> Resource:
    return {
        "contentType": f"{TEXT}; charset=utf-8" if content_type == TEXT else content_type,
        "language": LANGUAGE,
        "data": base64.b64encode(data).decode(),
        "size": len(data),
        # R4 fixes SHA-1 here; the SHA-256 is in the Provenance.
        "hash": base64.b64encode(hashlib.sha1(data, usedforsecurity=False).digest()).decode(),
        "title": title,
        "creation": format_timestamp(signed_at),
    }


def entities(digests: Mapping[str, str]) -> list[Resource]:
    """Return `Provenance.entity` of renditions (content type → SHA-256)."""
    return [
        {
            "role": "derivation",
            "what": {"identifier": {"system": RENDITION_SYSTEM, "value": value}, "display": content_type},
        }
        for content_type, value in digests.items()
    ]


def digests_in(provenance: Resource) -> dict[str, str]:
    """Return content type → SHA-256 of the renditions that a Provenance names."""
    found: dict[str, str] = {}
    for what in (child(entity, "what") for entity in children(provenance, "entity")):
        identifier = child(what, "identifier")
        if identifier.get("system") == RENDITION_SYSTEM:
            found[str(what.get("display"))] = str(identifier.get("value"))
    return found


def attachments(document: Resource) -> dict[str, Resource]:
    """Return content type without parameters → attachment."""
    found: dict[str, Resource] = {}
    for attachment in (part for content in children(document, "content") for part in children(content, "attachment")):
        found.setdefault(str(attachment.get("contentType")).partition(";")[0].strip().lower(), attachment)
    return found


def digests_in_document(document: Resource, renditions: Mapping[str, bytes]) -> dict[str, str]:
    """Return content type → SHA-256 of those of `renditions` that a document contains; all if it shows no contents."""
    shown = attachments(document)
    return {
        content_type: sha256_hex(data)
        for content_type, data in renditions.items()
        if not shown or content_type in shown
    }


def data_of(attachment: Resource) -> bytes | None:
    """Return the inline data of an attachment or a Binary; None if it has none that can be decoded."""
    data = attachment.get("data")
    if not isinstance(data, str):
        return None
    try:
        return base64.b64decode(data, validate=True)
    except (binascii.Error, ValueError):
        return None

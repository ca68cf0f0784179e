"""Writes the renditions that an EHR takes."""

import logging
from collections.abc import Iterable

from services.approval.renditions import bundle, pdf, xhtml
from services.approval.renditions.pdf import Paper
from services.approval.renditions.source import Source

logger = logging.getLogger(__name__)

TEXT, XHTML, PDF, FHIR = "text/plain", "application/xhtml+xml", "application/pdf", "application/fhir+json"
CONTENT_TYPES = (TEXT, XHTML, PDF, FHIR)  # in the order in which they are filed: the signed text comes first


def make(source: Source, wanted: Iterable[str], paper: Paper) -> dict[str, bytes]:
    """Content type → bytes, for each of `wanted` that can be written; the signed text alone where none can."""
    chosen = set(wanted)
    found: dict[str, bytes] = {}
    for content_type in CONTENT_TYPES:
        if content_type in chosen and (data := _make(source, content_type, paper)) is not None:
            found[content_type] = data
    return found or {TEXT: source.text.encode()}


def _make(source: Source, content_type: str, paper: Paper) -> bytes | None:
    match content_type:
        case "text/plain":
            return source.text.encode()
        case "application/xhtml+xml":
            return xhtml.page(source.document, source.signature)
        case "application/fhir+json":
            return bundle.write(source)
        case _:
            data = pdf.write(
                source.document,
                patient=source.patient,
                hospital=source.hospital,
                author=source.signer,
                signature=source.signature,
                at=source.at,
                paper=paper,
            )
            if data is None:
                logger.warning(
                    "case %s: the PDF could not be written, perhaps for want of a font", source.decision.case.id
                )
            return data

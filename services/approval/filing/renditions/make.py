"""Writes the renditions that an EHR takes."""

import logging
from collections.abc import Iterable

from services.approval.filing.renditions import bundle, pdf, xhtml
from services.approval.filing.renditions.pdf import Paper
from services.approval.filing.renditions.source import Source

logger = logging.getLogger(__name__)

TEXT, XHTML, PDF, FHIR = "text/plain", "application/xhtml+xml", "application/pdf", "application/fhir+json"
CONTENT_TYPES = (TEXT, XHTML, PDF, FHIR)  # in the order in which they are filed: the signed text comes first
# Bytes of a rendition: NATS takes messages of 1 MiB. The text itself is no longer than that (`LONGEST_TEXT`).
MAX_XHTML_BYTES = 1_000_000


def make(source: Source, wanted: Iterable[str], paper: Paper) -> dict[str, bytes]:
    """Return content type → bytes for each of `wanted` that can be written; only the text if none can."""
    chosen = set(wanted)
    found: dict[str, bytes] = {}
    for content_type in CONTENT_TYPES:
        data = _make(source, content_type, paper) if content_type in chosen else None
        if data is not None and len(data) <= MAX_XHTML_BYTES:
            found[content_type] = data
        elif content_type in chosen:
            size = (
                "it cannot be written, perhaps because a font is missing"
                if data is None
                else f"it has {len(data)} bytes"
            )
            logger.warning("case %s: filed without %s: %s", source.decision.case.id, content_type, size)
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
            return pdf.write(
                source.document,
                patient=source.patient,
                hospital=source.hospital,
                author=source.signer,
                signature=source.signature,
                at=source.at,
                paper=paper,
            )

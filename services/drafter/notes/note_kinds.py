"""Classify notes by their LOINC type, else by their title. Pure.

https://build.fhir.org/ig/HL7/US-Core/ValueSet-us-core-clinical-note-type.html; titles as records have them.
"""

import re
from collections.abc import Collection
from typing import get_args

from services.drafter.notes import pattern_files
from shared.contracts.context import NoteKind

_CODES: dict[str, NoteKind] = {
    "34117-2": "admission",  # History and physical note
    "47039-3": "admission",  # Hospital Admission history and physical note
    "67851-6": "admission",  # Admission evaluation note
    "34094-3": "admission",  # Cardiology Hospital Admission history and physical note
    "11506-3": "progress",  # Progress note
    "28569-2": "progress",
    "11488-4": "consult",  # Consult note
    "34104-0": "consult",
    "34099-2": "consult",  # Cardiology Consult note
    "11504-8": "operation",  # Surgical operation note
    "34137-0": "operation",
    "8724-7": "operation",
    "28570-0": "procedure",  # Procedure note
    "28577-5": "procedure",
    "34746-8": "nursing",  # Nurse Note
    "28651-8": "nursing",  # Nurse Transfer note
    "78390-2": "nursing",  # Nurse Admission history and physical note
    "34119-8": "nursing",
    "34111-5": "emergency",  # Emergency department Note
    "68552-9": "emergency",
    "28568-4": "emergency",  # Physician Emergency department Note
    "18761-7": "transfer",  # Transfer summary note
    "34755-9": "transfer",
}
# Documents that are no notes on the course of a stay: read for what they are elsewhere, or named.
_NOT_NOTES = frozenset(
    "18748-4 11502-2 11526-1 59284-0 81334-5 42348-3 64297-5 69409-1 60591-5 74213-0 10160-0 57133-1 8716-3"  # noqa: SIM905
    " 68604-8 18842-5 28655-9 34105-7 85208-7 77599-9 56445-0 10183-2".split()
)
_NOT_A_NOTE_TITLE = re.compile(
    r"consent|directive|living will|imaging|radiolog|x-?ray|laborator|patholog|certificate|insurance|referral letter"
    r"|medication list|face ?sheet|aftercare instruction|discharge instruction|patient education"
    r"|einwilligung|befundbericht|totenschein|todesbescheinigung|toestemming|ecg tracing|\bemar\b",
    re.IGNORECASE,
)
_TITLES = pattern_files.read_patterns("titles.tsv", get_args(NoteKind))


def note_kind(codes: Collection[str], title: str) -> NoteKind | None:
    """Return the kind of a document with these type codes; None where it is no note on the course of a stay."""
    coded = next((_CODES[code] for code in codes if code in _CODES), None)
    if coded is not None:
        return coded
    if any(code in _NOT_NOTES for code in codes):
        return None
    for kind, pattern in _TITLES:
        if pattern.search(title):
            return None if kind in ("progress", "procedure") and _NOT_A_NOTE_TITLE.search(title) else kind
    return None if _NOT_A_NOTE_TITLE.search(title) else "other"


KIND_NAMES: dict[NoteKind, str] = {
    "admission": "Admission note",
    "progress": "Progress note",
    "consult": "Consult note",
    "operation": "Operation note",
    "procedure": "Procedure note",
    "nursing": "Nursing note",
    "emergency": "Emergency note",
    "transfer": "Transfer note",
    "therapy": "Therapy note",
    "other": "Note",
}

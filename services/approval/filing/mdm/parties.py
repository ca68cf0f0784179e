"""Read the patient, the visit and the signer of an MDM message from the EHR.

The patient is that of the Encounter as it is, not as it was when the draft was written: patients are merged.
"""

from dataclasses import dataclass

from services.approval.filing.errors import DocumentHeldError
from services.approval.filing.mdm.message import MdmIdentifier, MdmPatient, Signer, Visit
from shared.clinical import references
from shared.clinical.elements import Resource, child, children, codes, string
from shared.clinical.fhir_client import FhirClient
from shared.contracts.corrections import Retracted
from shared.contracts.errors import PermanentError
from shared.contracts.events import Actor, Signature
from shared.runtime.mdm_settings import MdmSettings

NPI_SYSTEM = "http://hl7.org/fhir/sid/us-npi"
# Encounter.class (v3-ActCode) → HL7 table 0004
CLASSES = {"IMP": "I", "ACUTE": "I", "NONAC": "I", "EMER": "E", "AMB": "O", "SS": "O", "OBSENC": "B", "PRENC": "P"}
SEXES = {"male": "M", "female": "F", "other": "O", "unknown": "U"}


@dataclass(frozen=True, slots=True)
class Parties:
    """The patient, the visit and the signer of one document."""

    patient: MdmPatient
    visit: Visit
    signer: Signer


async def read_parties(ehr: FhirClient, settings: MdmSettings, signed: Signature | Retracted) -> Parties:
    """Read patient, visit and signer from the EHR.

    Raises DocumentHeldError for a patient or a visit without an identifier, TransientError, PermanentError.
    """
    encounter = await ehr.read("Encounter", _id(signed.stay.encounter))
    subject = references.relative(encounter.get("subject"), ehr.bases) or signed.stay.patient
    patient = await ehr.read("Patient", _id(subject))
    return Parties(
        _patient(patient, settings), _visit(encounter, settings), await _signer(ehr, settings, signed.by, signed.signer)
    )


def _patient(patient: Resource, settings: MdmSettings) -> MdmPatient:
    mrn = _identifier(patient, settings.mrn_system, "MR")
    if mrn is None:
        raise DocumentHeldError("the patient has no MRN in the EHR by COUNTERSIGN_MDM_MRN_SYSTEM")
    family, given = _name(patient)
    birth_date = (string(patient, "birthDate") or "").replace("-", "")
    sex = SEXES.get(string(patient, "gender") or "", "")
    return MdmPatient(MdmIdentifier(mrn, settings.mrn_authority), family, given, birth_date, sex)


def _visit(encounter: Resource, settings: MdmSettings) -> Visit:
    number = _identifier(encounter, settings.visit_system, "VN")
    if number is None:
        raise DocumentHeldError("the stay has no visit number in the EHR by COUNTERSIGN_MDM_VISIT_SYSTEM")
    code = string(child(encounter, "class"), "code") or ""
    return Visit(CLASSES.get(code, "U"), MdmIdentifier(number, settings.visit_authority))


async def _signer(ehr: FhirClient, settings: MdmSettings, by: Actor, reference: str | None) -> Signer:
    """Return the signer, by the EHR's Practitioner as far as it shows one."""
    found: Resource = {}
    if reference is not None and reference.startswith("Practitioner/"):
        try:
            found = await ehr.read("Practitioner", _id(reference))
        except PermanentError:  # the name of the sign-in is used
            found = {}
    family, given = _name(found)
    known = _identifier(found, settings.practitioner_system or NPI_SYSTEM, None)
    id = known or (by.npi if settings.practitioner_system is None else None) or (reference or by.subject)
    if not family:
        family = by.name or ""
    return Signer(MdmIdentifier(id.rpartition("/")[2], settings.practitioner_authority), family, given)


def _identifier(resource: Resource, system: str | None, type: str | None) -> str | None:
    """Return the identifier of the system; without one that of the type, or the only one there is."""
    valid = [item for item in children(resource, "identifier") if string(item, "value") and item.get("use") != "old"]
    if system is not None:
        return next((string(item, "value") for item in valid if item.get("system") == system), None)
    typed = [item for item in valid if type is not None and type in codes(item.get("type"))]
    chosen = typed[:1] or (valid if len(valid) == 1 else [])
    return string(chosen[0], "value") if chosen else None


def _name(resource: Resource) -> tuple[str, str]:
    """Return family and first given name of the official name, or of the first one."""
    names = children(resource, "name")
    name = next((item for item in names if item.get("use") == "official"), names[0] if names else {})
    given = name.get("given")
    first = given[0] if isinstance(given, list) and given and isinstance(given[0], str) else ""
    family = string(name, "family")
    return (family, first) if family else (string(name, "text") or "", first)


def _id(reference: str) -> str:
    return reference.rpartition("/")[2]

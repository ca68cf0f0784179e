"""Which section of a FHIR document a group of the text belongs to, as LOINC has it. Pure data.

The codes are those of HL7's value set of section codes (https://hl7.org/fhir/R4/valueset-doc-section-codes.html), which
is made of the sections of C-CDA. LOINC is copyright Regenstrief Institute, free of charge under its licence
(http://loinc.org/license); displays are left out, the titles are ours.
"""

from dataclasses import dataclass

from shared.contracts.draft import PartCode


@dataclass(frozen=True, slots=True)
class Kind:
    """A section of the FHIR document. `code` is None where LOINC's section codes have none that fits."""

    code: str | None
    title: str


REASON = Kind("29299-5", "Reason for hospitalization")
DIAGNOSES = Kind("11535-2", "Discharge diagnoses")
FAMILY = Kind("10157-6", "Family history")
ALLERGIES = Kind("48765-2", "Allergies and intolerances")
RESULTS = Kind("30954-2", "Results")
PLAN = Kind("18776-5", "Plan: pending results, follow-up, referrals")
PROCEDURES = Kind("47519-4", "Procedures")
DEVICES = Kind("46264-8", "Devices and lines")
IMMUNIZATIONS = Kind("11369-6", "Immunizations")
GIVEN = Kind("29549-3", "Medications given in hospital")
HOME = Kind("42346-7", "Medications before admission")
DISCHARGE_MEDICINES = Kind("10183-2", "Medications at discharge")
COURSE = Kind("8648-8", "Hospital course")
VITALS = Kind("8716-3", "Last vital signs")
FUNCTION = Kind("47420-5", "Functional and cognitive status")
DIRECTIVES = Kind("42348-3", "Code status and advance directives")
DIET = Kind("42344-2", "Diet and activity")
INSTRUCTIONS = Kind("8653-8", "Instructions for patient and family")
CONDITION = Kind(None, "Condition and disposition")
SIGNATURE = Kind(None, "Attending physician")
ABOVE = Kind(None, "Patient and stay")

# Of lines below a part's own heading, or a heading that is not listed below.
PARTS: dict[PartCode, Kind] = {
    "reason-for-hospitalization": REASON,
    "significant-findings": RESULTS,
    "procedures-and-treatment": COURSE,
    "condition-at-discharge": CONDITION,
    "patient-and-family-instructions": INSTRUCTIONS,
    "attending-signature": SIGNATURE,
}

GROUPS: dict[str, Kind] = {
    "principal diagnosis": DIAGNOSES,
    "other diagnoses and problems": DIAGNOSES,
    "diagnoses that began during the stay (hospital-acquired)": DIAGNOSES,
    "suspected diagnoses, not confirmed": DIAGNOSES,
    "diagnoses ruled out": DIAGNOSES,
    "family history": FAMILY,
    "allergies and intolerances": ALLERGIES,
    "results pending at discharge": PLAN,
    "procedures": PROCEDURES,
    "devices and lines": DEVICES,
    "immunizations": IMMUNIZATIONS,
    "medications given in hospital": GIVEN,
    "home medications before admission": HOME,
    "medication reconciliation": DISCHARGE_MEDICINES,
    "medications to take at home": DISCHARGE_MEDICINES,
    "medications not to take": DISCHARGE_MEDICINES,
    "last vital signs": VITALS,
    "functional and cognitive status": FUNCTION,
    "code status and advance directives": DIRECTIVES,
    "follow-up": PLAN,
    "referrals and services": PLAN,
    "care plan": PLAN,
    "goals": PLAN,
    "care team": PLAN,
    "diet and activity": DIET,
}

# Their lines state what does not or no longer apply. Software that reads entries without the narrative would take a
# stopped medicine for one at discharge, and a ruled-out diagnosis for one of the patient. They have no entries.
NARRATIVE_ONLY = frozenset(
    {
        "suspected diagnoses, not confirmed",
        "diagnoses ruled out",
        "medication reconciliation",
        "medications not to take",
    }
)

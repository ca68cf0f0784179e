"""A signed text with its draft, made up, as the renditions of a document are made from it."""

from collections import Counter
from datetime import date
from re import findall

from services.approval.filing.renditions.source import Source
from shared.contracts.context import EncounterContext, Patient
from shared.contracts.draft import DocumentPart, Draft, Fact, FactGroup, PartCode, Sentence
from shared.contracts.envelope import ChainHead, RecordedEvent, sha256_hex
from shared.contracts.events import Approved
from tests.support.examples import CASE, PHYSICIAN, PROMPT, STAY, T0, draft_ref

BASE = "https://ehr.test/fhir/"
IDENTITY = "Patient: Jane Roe, born 1950-01-02, female, MRN 17"
SIGNER = PHYSICIAN.model_copy(update={"name": "Dr. Ada Moss", "npi": "1234567893"})
COLUMNS = ("Medicine", "Dose and directions", "Route", "Change")


def group(title: str, *facts: tuple[str, str], columns: tuple[str, ...] = ()) -> FactGroup:
    return FactGroup(
        title=title, facts=tuple(Fact(text=text, source=source) for text, source in facts), columns=columns
    )


RECONCILIATION = FactGroup(
    title="Medication reconciliation",
    columns=COLUMNS,
    facts=(
        Fact(
            text="Lisinopril, 10 mg PO daily — new",
            source="MedicationRequest/m1",
            cells=("Lisinopril", "10 mg PO daily", "oral", "new"),  # the route is not in the text
        ),
        Fact(
            text="Warfarin, 5 mg PO daily — stopped",
            source="MedicationRequest/m2",
            cells=("Warfarin", "5 mg PO daily", "PO", "stopped"),
        ),
    ),
)
COURSE = Sentence(narrative="hospital-course", text="She was treated for pneumonia.")


def part(code: PartCode, title: str, *groups: FactGroup, narrative: tuple[Sentence, ...] = ()) -> DocumentPart:
    return DocumentPart(code=code, title=title, groups=groups, narrative=narrative)


PARTS = (
    part(
        "reason-for-hospitalization",
        "Reason for hospitalization",
        group("Reason for admission", ("Cough and fever", "Encounter/e1")),
        group("Principal diagnosis", ("Pneumonia", "Condition/c1")),
        group("Diagnoses ruled out", ("Pulmonary embolism", "Condition/c2")),
    ),
    part(
        "significant-findings",
        "Significant findings",
        group("Allergies and intolerances", ("Penicillin: rash", "AllergyIntolerance/a1")),
        group("Abnormal laboratory results", ("Creatinine 1.9 mg/dL (high)", "Observation/o1")),
        group("Results pending at discharge", ("Blood culture", "DiagnosticReport/r1")),
    ),
    part(
        "procedures-and-treatment",
        "Procedures and treatment",
        group("Procedures", ("None recorded", "")),
        RECONCILIATION,
        narrative=(COURSE,),
    ),
    part("condition-at-discharge", "Condition at discharge", group("Discharged to", ("Home", "Encounter/e1"))),
    part(
        "patient-and-family-instructions",
        "Instructions for patient and family",
        group("Medications to take at home", ("Lisinopril, 10 mg PO daily", "MedicationRequest/m1")),
        group("Follow-up", ("Dr. Finch, 2026-12-01", "Appointment/f1")),
    ),
    part("attending-signature", "Attending physician", group("Signature", ("Attending: Dr. Ada Moss", ""))),
)


def text_of(parts: tuple[DocumentPart, ...] = PARTS) -> str:
    """The document in plain text, as a drafter writes it."""
    lines = ["DISCHARGE SUMMARY", "", IDENTITY, "Stay: Admitted 2026-11-20, discharged 2026-11-23, Elm Hospital"]
    for item in parts:
        lines += ["", item.title.upper()]
        for found in item.groups:
            lines += [f"{found.title}:", *(f"  - {fact.text}" for fact in found.facts)]
        if item.narrative:
            lines += ["Hospital course:", f"  {' '.join(sentence.text for sentence in item.narrative)}"]
    return "\n".join([*lines, "", "Drafted by an AI model.", ""])


def context() -> EncounterContext:
    return EncounterContext(
        encounter="Encounter/e1",
        encounter_status="finished",
        kind="discharge-summary",
        patient=Patient(
            source="Patient/p1",
            name="Jane Roe",
            mrn="17",
            birth_date=date(1950, 1, 2),
            birth="1950-01-02",
            sex="female",
        ),
        organization="Organization/o1",
        organization_name="Elm Hospital",
        start=STAY.start,
        end=STAY.end,
    )


def draft(text: str) -> Draft:
    return Draft(
        kind="discharge-summary",
        number=1,
        parts=PARTS,
        text=text,
        model="drafter test",
        prompt=PROMPT,
        context_digest="c" * 64,
    )


def source(text: str | None = None, **other: object) -> Source:
    """What is signed is `text`, of the draft that `text_of` writes. `other` fields replace those of the approval."""
    drafted = text_of()
    signed = drafted if text is None else text
    approved = Approved(
        stay=STAY,
        draft=draft_ref(),
        signed=sha256_hex(signed.encode(errors="replace")),
        edited=signed != drafted,
        by=SIGNER,
        signer="Practitioner/dr-1",
    ).model_copy(update=other)
    decision = RecordedEvent(CASE, "id-5", "countersign/approval", T0, "", approved, ChainHead(5, "h" * 64))
    identifier = ("urn:test", f"{CASE.id}/final")
    return Source(decision, approved, identifier, signed, draft(drafted), context(), "dev-1", BASE)


def words(text: str) -> Counter[str]:
    return Counter(findall(r"\w+", text.casefold()))

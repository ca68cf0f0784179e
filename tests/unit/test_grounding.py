"""Sentences against a record: what is there is supported, what is not is named with what the record says instead."""

from datetime import date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.contracts.context import (
    Allergy,
    ContextEntry,
    Diagnosis,
    EncounterContext,
    Measurement,
    Medicine,
    ObservationSeries,
    Patient,
)
from shared.grounding import EvidenceIndex, Verdict, check, split_sentences
from shared.grounding.quantities import find_dates, find_quantities


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def series(name: str, reference: str, *values: tuple[str, str, str | None]) -> ObservationSeries:
    """A course of (day in June, value, flag)."""
    items = [
        Measurement.model_validate(
            {
                "value": value,
                "time": f"2026-06-{day}T08:00:00Z",
                "flag": flag,
                "source": f"Observation/{name.lower()}-{day}",
            }
        )
        for day, value, flag in values
    ]
    worst = items[1] if len(items) > 2 else None
    return ObservationSeries(name=name, range=reference, first=items[0], last=items[-1], worst=worst, count=len(items))


def medicine(name: str, dose: str, id: str, **more: object) -> Medicine:
    found = {"text": f"{name}, {dose}", "source": f"MedicationRequest/{id}", "name": name, "dose": dose, "normal": dose}
    return Medicine.model_validate(found | {"ingredients": (name.lower(),)} | more)


CONTEXT = EncounterContext(
    encounter="Encounter/e1",
    encounter_status="finished",
    kind="discharge-summary",
    patient=Patient(source="Patient/p1", name="Ann Doe", birth_date=date(1958, 9, 25), sex="female"),
    start=moment("2026-06-01T10:00:00Z"),
    end=moment("2026-06-04T15:00:00Z"),
    disposition="Home",
    reasons=(ContextEntry(text="Fever and cough", source="Encounter/e1"),),
    diagnoses=(
        Diagnosis(text="Community acquired pneumonia", source="Condition/c1", role="principal"),
        Diagnosis(text="Type 2 diabetes mellitus", source="Condition/c2", role="comorbidity"),
        Diagnosis(text="Pulmonary embolism", source="Condition/c3", role="comorbidity", certainty="ruled-out"),
        Diagnosis(text="Gout", source="Condition/c4", role="comorbidity", certainty="suspected"),
    ),
    family_history=(ContextEntry(text="mother: Breast cancer", source="FamilyMemberHistory/f1"),),
    procedures=(
        ContextEntry(
            text="Left chest tube placement",
            source="Procedure/p1",
            time=moment("2026-06-02T09:00:00Z"),
            on="2026-06-02",
        ),
    ),
    allergies=(Allergy(text="Penicillin (Rash)", source="AllergyIntolerance/a1"),),
    home_medicines=(
        medicine("Metformin", "500 mg PO twice daily", "m1"),
        medicine("Lisinopril", "10 mg PO daily", "m2"),
        medicine("Simvastatin", "20 mg PO nightly", "m3"),
    ),
    hospital_medicines=(
        medicine("Ceftriaxone", "1 g IV daily for 3 days", "h1", reason="Community acquired pneumonia"),
    ),
    discharge_medicines=(
        medicine("Metformin", "500 mg PO twice daily", "d1"),
        medicine("Lisinopril", "20 mg PO daily", "d2"),
        medicine("Doxycycline", "100 mg PO every 12 hours for 7 days", "d3"),
    ),
    other_medicines=(medicine("Simvastatin", "20 mg PO nightly", "o1", status="on-hold"),),
    labs=(
        series("Potassium", "3.5-5.0 mmol/L", ("01", "3.1 mmol/L", "low"), ("03", "4.20 mmol/L", None)),
        series("Leukocytes", "3500-10500 /µL", ("01", "15200 /µL", "high"), ("03", "9801 /µL", None)),
        series(
            "Creatinine",
            "0.6-1.2 mg/dL",
            ("01", "1.0 mg/dL", None),
            ("02", "1.9 mg/dL", "high"),
            ("03", "1.1 mg/dL", None),
        ),
    ),
    vitals=(series("Body temperature", "36.0-37.5 °C", ("01", "38.9 °C", "high"), ("03", "36.8 °C", None)),),
    reports=(ContextEntry(text="Chest X-ray: Consolidation in the left lower lobe.", source="DiagnosticReport/r1"),),
    follow_up=(
        ContextEntry(
            text="Pulmonology clinic", source="Appointment/v1", time=moment("2026-06-18T09:00:00Z"), on="2026-06-18"
        ),
    ),
    notes=(
        ContextEntry(text="She was weaned off oxygen and walked the corridor without help.", source="Composition/n1"),
    ),
)
RECORD = EvidenceIndex(CONTEXT)

SUPPORTED = [
    "A 67-year-old woman was admitted with community acquired pneumonia.",
    "She stayed for three days.",
    "She was admitted on June 1 and discharged on 06/04/2026.",
    "Metformin 500 mg by mouth BID was continued.",
    "She takes metformin 1,000 mg per day.",
    "Lisinopril was increased to 20 mg daily.",
    "Doxycycline 100 mg twice a day for seven days was started at discharge.",
    "Simvastatin was held.",
    "Ceftriaxone 1000 mg IV q24h was given for pneumonia.",
    "An antibiotic was given.",
    "Glucophage was continued.",
    "Potassium rose from 3.1 to 4.2 mmol/L.",
    "Creatinine peaked at 1.9 mg/dL.",
    "Creatinine at discharge was 97 µmol/L.",
    "WBC was 9.8 K/µL at discharge.",
    "Leukocytosis was noted on admission.",
    "There was hypokalemia on admission.",
    "Her temperature was 102.0 °F.",
    "She has T2DM.",
    "Pulmonary embolism was ruled out.",
    "Gout is suspected.",
    "Her mother had breast cancer.",
    "A left chest tube was placed on June 2.",
    "Chest X-ray showed consolidation in the left lower lobe.",
    "She is allergic to penicillin.",
    "She was discharged home.",
    "She will follow up in the pulmonology clinic in two weeks.",
    "She was weaned off oxygen and walked the corridor without help.",
    "Lisinopril was increased from 10 to 20 mg.",
    "Leukocytosis of 15.2 K/µL and a creatinine of 1.0 mg/dL were found.",
    "She does not tolerate penicillin.",
    "Both potassium and leukocytes were normal at discharge.",
]
CONTRADICTED = [
    ("Creatinine was 1.5 mg/dL.", "number", "Creatinine 1.5 mg/dL"),
    ("A 71-year-old woman was admitted.", "age", "71-year-old"),
    ("He was admitted with pneumonia.", "person", "He"),
    ("She died in hospital.", "outcome", "died"),
    ("She was discharged to hospice.", "disposition", "hospice"),
    ("She was discharged on June 1.", "date", "June 1"),
    ("She stayed for five days.", "duration", "five days"),
    ("Metformin 1000 mg twice daily was continued.", "dose", "Metformin 1000 mg"),
    ("Metformin 500 mg TID was continued.", "frequency", "Metformin TID"),
    ("Metformin 500 mg IV was given.", "route", "Metformin IV"),
    ("Doxycycline was prescribed for 14 days.", "duration", "Doxycycline 14 days"),
    ("Metformin was newly started at discharge.", "status", "Metformin newly started"),
    ("Metformin was stopped.", "status", "Metformin stopped"),
    ("Lisinopril was decreased.", "status", "Lisinopril decreased"),
    ("Simvastatin was continued.", "status", "Simvastatin continued"),
    ("Potassium fell from 4.2 on admission to 3.1 mmol/L.", "order-of-time", "Potassium fell"),
    ("Potassium was 3.1 mmol/L at discharge.", "order-of-time", "Potassium 3.1 mmol/L"),
    ("Potassium was 9.8 mmol/L.", "number", "Potassium 9.8 mmol/L"),
    ("Potassium was 3.1 mg/dL.", "unit", "Potassium 3.1 mg/dL"),
    ("There was no leukocytosis.", "polarity", "no leukocytosis"),
    ("There was thrombocytopenia and hyperkalemia.", "finding", "hyperkalemia"),
    ("There was no pneumonia.", "polarity", "no pneumonia"),
    ("She had a pulmonary embolism.", "polarity", "pulmonary embolism"),
    ("She has gout.", "certainty", "gout"),
    ("Pneumonia is suspected.", "certainty", "possible Pneumonia"),
    ("She has breast cancer.", "family", "breast cancer"),
    ("A right chest tube was placed.", "side", "right chest tube was"),
    ("She has no known drug allergies.", "allergy", "no known drug allergies"),
    ("She was given amoxicillin.", "allergy", "amoxicillin"),
]
NOT_IN_RECORD = [
    ("She was given warfarin.", "drug", "warfarin"),
    ("Hemodialysis was performed.", "procedure", "Hemodialysis"),
    ("CT of the head was done.", "procedure", "CT"),
    ("She had a stroke.", "diagnosis", "stroke"),
    ("She recovered well.", "statement", "recovered well"),
    ("The low potassium was attributed to metformin.", "cause", "The low potassium was attributed to metformin."),
    ("She was taught to use an inhaler.", "advice", "taught to use an inhaler"),
    ("Follow-up with cardiology was arranged.", "follow-up", "Follow-up with cardiology was arranged"),
    ("Come back next week.", "date", "next week"),
    ("She underwent a tracheostenectomy.", "procedure", "tracheostenectomy"),
    ("She lost 5 kg.", "number", "5 kg"),
    ("She received potassium.", "drug", "potassium"),
    ("The therapy was stopped.", "status", "stopped"),
    ("She is DNR.", "statement", "DNR"),
]  # fmt: skip


def claims(verdict: Verdict) -> set[tuple[str, str]]:
    return {(item.kind, item.text) for item in verdict.findings if item.label != "supported"}


@pytest.mark.parametrize("sentence", SUPPORTED)
def test_what_the_record_has_is_supported(sentence: str) -> None:
    verdict = check(sentence, RECORD)
    assert (verdict.label, claims(verdict)) == ("supported", set())
    assert verdict.evidence


@pytest.mark.parametrize(("sentence", "kind", "text"), CONTRADICTED)
def test_what_the_record_says_otherwise_is_contradicted_with_its_source(sentence: str, kind: str, text: str) -> None:
    verdict = check(sentence, RECORD)
    assert verdict.label == "contradicted"
    assert (kind, text) in claims(verdict)
    found = next(item for item in verdict.findings if (item.kind, item.text) == (kind, text))
    assert found.source
    assert found.detail.startswith("record: ")


@pytest.mark.parametrize(("sentence", "kind", "text"), NOT_IN_RECORD)
def test_what_the_record_does_not_have_is_named(sentence: str, kind: str, text: str) -> None:
    verdict = check(sentence, RECORD)
    assert verdict.label == "not-in-record"
    assert (kind, text) in claims(verdict)


@pytest.mark.parametrize(
    "sentence", ["", ".", "The patient was treated.", "\x00 5/5/5 [[[", "½ 1/0 mg " * 50, "9" * 400]
)
def test_a_sentence_without_a_claim_is_not_in_the_record_and_odd_ones_do_not_raise(sentence: str) -> None:
    assert check(sentence, RECORD).label == "not-in-record"


def test_an_empty_record_supports_nothing() -> None:
    empty = EncounterContext(
        encounter="Encounter/e", encounter_status="finished", kind="discharge-summary",
        patient=Patient(source="Patient/p", name=""), end=moment("2026-06-04T15:00:00Z"),
    )  # fmt: skip
    record = EvidenceIndex(empty)
    for sentence in (*SUPPORTED, *(item[0] for item in CONTRADICTED)):
        if "stayed" not in sentence and "discharged on" not in sentence:
            assert check(sentence, record).label != "supported"


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("One. Two.", ["One.", "Two."]),
        ("Potassium was 3.5 mmol/L. It rose.", ["Potassium was 3.5 mmol/L.", "It rose."]),
        ("Dr. Miller saw her. She left.", ["Dr. Miller saw her.", "She left."]),
        ("No end", ["No end"]),
        ("", []),
    ],
)
def test_clinical_prose_is_split_where_sentences_end(text: str, sentences: list[str]) -> None:
    assert split_sentences(text) == sentences


def test_figures_carry_their_unit_and_dates_are_no_figures() -> None:
    found, rest = find_dates("On 2026-06-03 she took 0.50 mg, then 1,000 units for two and a half days, 1/2 tablet.")
    assert [(day.year, day.month, day.day) for day in found] == [(2026, 6, 3)]
    read = [(item.value, item.dimension) for item in find_quantities(rest)]
    assert read == [(0.5, "mass"), (1000.0, "activity"), (2.5, "time"), (0.5, "tablet")]


@pytest.mark.parametrize(
    ("words", "value"), [("twenty-one", 21), ("one hundred and five", 105), ("three thousand two hundred", 3200)]
)
def test_numbers_in_words_are_read_to_thousands(words: str, value: float) -> None:
    assert [item.value for item in find_quantities(f"{words} mg")] == [value]


@given(st.lists(st.sampled_from([*" ".join(SUPPORTED).split(), "5/5", "½", "mg", "(", "no", "%", "-", "from", "to"])))
def test_words_in_any_order_do_not_raise(words: list[str]) -> None:
    assert check(" ".join(words), RECORD).label in ("supported", "contradicted", "not-in-record")


@given(st.text())
def test_any_text_does_not_raise_and_is_not_supported(text: str) -> None:
    assert check(text, RECORD).label != "supported" or any(letter.isalnum() for letter in text)


CULTURES = EvidenceIndex(
    CONTEXT.model_copy(
        update={
            "microbiology": (
                ContextEntry(
                    text="Bacteria identified in Urine: Escherichia coli (Ceftriaxone susceptible)", source="O/1"
                ),
                ContextEntry(text="Piperacillin/tazobactam 8 µg/mL resistant", source="O/2"),
                ContextEntry(text="Susceptibility: Meropenem=S, Ciprofloxacin=R", source="O/3"),
            )
        }
    )
)


@pytest.mark.parametrize(
    ("sentence", "label", "source"),
    [
        ("Urine grew Escherichia coli susceptible to ceftriaxone.", "supported", "O/1"),
        ("Escherichia coli was resistant to ceftriaxone.", "contradicted", "O/1"),
        ("Escherichia coli was not susceptible to ceftriaxone.", "contradicted", "O/1"),
        ("Escherichia coli was susceptible to piperacillin/tazobactam.", "contradicted", "O/2"),
        ("Escherichia coli was sensitive to meropenem and resistant to ciprofloxacin.", "supported", "O/3"),
        ("Escherichia coli was resistant to meropenem and sensitive to ciprofloxacin.", "contradicted", "O/3"),
        ("Escherichia coli was susceptible to gentamicin.", "not-in-record", ""),
    ],
)
def test_what_a_culture_answers_is_what_the_record_has(sentence: str, label: str, source: str) -> None:
    verdict = check(sentence, CULTURES)
    assert verdict.label == label, verdict.findings
    assert not source or source in {item.source for item in verdict.findings}

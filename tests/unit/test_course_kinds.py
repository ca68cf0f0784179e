"""Kinds of sentences that readers found wrong, misleading or odd in composed courses; each in shapes of its own."""

from datetime import UTC, date, datetime

import pytest

from services.drafter.course import hospital_course, instructions
from services.drafter.course.person import describe_patient
from services.drafter.course.plain_directions import administration_verb, plain_directions
from services.drafter.record.social_determinants import is_social_determinant
from shared.contracts.context import ContextEntry, Diagnosis, EncounterContext, Medicine, Patient
from tests.support.course import AT, context, diagnosis, entry, medicine


def course(stay: EncounterContext) -> str:
    return "\n".join(item.text for item in hospital_course(stay))


def told(stay: EncounterContext) -> str:
    return "\n".join(item.text for item in instructions(stay))


def at(text: str, on: str, source: str) -> ContextEntry:
    return ContextEntry(text=text, source=source, on=on, time=datetime.fromisoformat(f"{on}T08:00:00+00:00"))


@pytest.mark.parametrize(
    ("born", "sex", "expected"),
    [
        (date(2026, 3, 2), "male", "This newborn boy"),
        (date(2026, 2, 20), "female", "This 10-day-old girl"),
        (date(2025, 9, 2), "male", "This 6-month-old boy"),
        (date(2025, 9, 3), "male", "This 5-month-old boy"),
        (date(2025, 3, 2), "other", "This 1-year-old child"),
        (date(2008, 3, 2), "female", "This 18-year-old woman"),
        (date(2008, 3, 3), "female", "This 17-year-old girl"),
        (date(2026, 3, 9), "female", "This woman"),  # born after the admission: the record is wrong, and no age is told
    ],
)
def test_an_age_is_told_in_its_unit_and_is_that_of_the_admission(born: date, sex: str, expected: str) -> None:
    patient = Patient(source="Patient/p", name="A B", sex=sex, birth_date=born)
    assert describe_patient(context(patient=patient, end=datetime(2026, 3, 20, tzinfo=UTC))) == expected


def test_names_keep_the_letters_of_their_language() -> None:
    stay = context(reasons=(entry("Sepsis durch Pneumokokken"),), diagnoses=(diagnosis("Sepsis durch Pneumokokken"),))
    assert "sepsis" not in course(stay)


def test_a_reason_is_not_told_twice_where_a_complaint_is_left() -> None:
    reasons = (entry("Pneumonia, unspecified", 1), entry("Fever and cough", 2))
    stay = context(reasons=reasons, diagnoses=(diagnosis("Pneumonia (Lung, severe)"),))
    assert course(stay).startswith("This woman was admitted on 2026-03-02; reason recorded: Fever and cough.")
    alone = context(reasons=reasons[:1], diagnoses=(diagnosis("Pneumonia"),))
    assert "reason recorded: Pneumonia, unspecified" in course(alone)
    other = context(
        reasons=(entry("Fracture of the right wrist"),), diagnoses=(diagnosis("Fracture of the left wrist"),)
    )
    assert "Fracture of the right wrist" in course(other)


@pytest.mark.parametrize(("certainty", "word"), [("suspected", "suspected, not confirmed"), ("ruled-out", "ruled out")])
def test_a_reason_is_never_surer_than_its_diagnosis(certainty: str, word: str) -> None:
    found = diagnosis("Pulmonary embolism", "comorbidity").model_copy(update={"certainty": certainty})
    heparin = medicine("Heparin", "5000 units", 1).model_copy(update={"reason": "Pulmonary embolism"})
    stay = context(reasons=(entry("Pulmonary embolism"),), diagnoses=(found,), hospital_medicines=(heparin,))
    assert f"reason recorded: Pulmonary embolism ({word})" in course(stay)
    assert f"Heparin (reason: Pulmonary embolism ({word}))" in course(stay)


def test_a_complaint_that_was_the_reason_is_not_another_diagnosis() -> None:
    found = (diagnosis("NSTEMI"), diagnosis("Chest pain", "comorbidity"), diagnosis("Gout", "comorbidity"))
    said = course(context(reasons=(entry("Chest pain"),), diagnoses=found))
    assert "Another recorded diagnosis or problem: Gout." in said
    assert said.count("Chest pain") == 1
    alone = context(reasons=(entry("Pneumonia"),), diagnoses=(diagnosis("Pneumonia", "comorbidity"),))
    assert "Recorded diagnosis or problem: Pneumonia." in course(alone)


def test_a_list_of_diagnoses_is_called_other_only_where_another_stands_before_it() -> None:
    assert "Recorded diagnosis or problem: Gout." in course(context(diagnoses=(diagnosis("Gout", "comorbidity"),)))
    both = (diagnosis("Stroke"), diagnosis("Gout", "comorbidity"))
    assert "Another recorded diagnosis or problem: Gout." in course(context(diagnoses=both))


@pytest.mark.parametrize(
    ("text", "code", "social"),
    [
        ("Full-time employment", None, True),
        ("Received higher education", None, True),
        ("Lack of access to transportation", None, True),
        ("Limited social contact", None, True),
        ("Stress", None, True),
        ("Problems at home", "Z63.0", True),
        ("Obdachlosigkeit", "Z59", True),
        ("Lebt allein", None, True),
        ("Stress fracture of the foot", None, False),
        ("Employment-related dermatitis", None, False),
        ("Personal history of malignant neoplasm", "Z85.3", False),
        ("Alcohol dependence", "F10.20", False),
        ("Malnutrition", "E46", False),
    ],
)
def test_how_somebody_lives_is_no_diagnosis(text: str, code: str | None, social: bool) -> None:
    item = Diagnosis(text=text, source="Condition/1", role="problem", code=code)
    assert is_social_determinant(item) is social
    said = course(context(diagnoses=(diagnosis("Asthma"), item)))
    assert (f"Social circumstances recorded: {text}." in said) is social
    assert (f"Another recorded diagnosis or problem: {text}." in said) is not social


def test_a_principal_diagnosis_is_never_taken_for_a_social_one() -> None:
    assert not is_social_determinant(diagnosis("Homelessness"))


def test_a_notes_words_are_not_told_as_a_diagnosis() -> None:
    coded = diagnosis("Wound infection", "comorbidity", acquired=True)
    noted = coded.model_copy(update={"text": "Course complicated by ileus", "source": "DocumentReference/n"})
    said = course(context(diagnoses=(coded, noted)))
    assert "Recorded as begun in hospital: Wound infection." in said
    assert "Complication, in a note's words: Course complicated by ileus." in said


def test_lines_of_an_operation_note_are_no_procedures() -> None:
    own = at("Open appendectomy", "2026-03-03", "Procedure/1")
    lines = [
        at(text, "2026-03-03", "Composition/op")
        for text in (
            "Procedure: Open appendectomy (code 44950); operative time 50 min",
            "Surgeon: Primary surgeon: Ada Moss",
            "Findings: perforated appendix",
            "Specimens: none",
            "Post-operative plan: ward",
        )
    ]
    said = course(context(procedures=(own, *lines)))
    assert "Procedure: Open appendectomy (2026-03-03)." in said
    assert (
        "Operation note of 2026-03-03: Procedure: Open appendectomy; operative time 50 min; Findings: perforated"
        in said
    )
    assert "3 further lines of it are listed above" in said
    assert "Ada Moss" not in said


def test_an_implant_stands_once_with_its_procedure_and_a_period_reads_from_its_beginning() -> None:
    done = (
        at("Pacemaker insertion (implant: Azure XT)", "2026-03-03", "Procedure/1"),
        at("Ventilation (until 2026-03-05 07:00; mask)", "2026-03-04", "Procedure/2"),
    )
    said = course(context(procedures=done, devices=(entry("Azure XT"), entry("Central line"))))
    assert "Devices and lines: Central line" in said
    assert said.count("Azure XT") == 1
    assert "Ventilation (2026-03-04 until 2026-03-05 07:00; mask)" in said


def test_what_happened_on_several_days_is_told_once_with_its_days() -> None:
    done = [at("Haemodialysis", f"2026-03-0{number}", f"Procedure/{number}") for number in (3, 5, 7)]
    assert "Procedure: Haemodialysis (2026-03-03, 2026-03-05, 2026-03-07)." in course(context(procedures=tuple(done)))
    more = [*done, at("Haemodialysis", "2026-03-09", "Procedure/9")]
    assert "Haemodialysis (4 days, 2026-03-03 to 2026-03-09)" in course(context(procedures=tuple(more)))


def test_susceptibilities_without_organism_come_after_the_cultures_in_a_sentence_of_their_own() -> None:
    found = (
        at("Amoxicillin resistant", "2026-03-03", "Observation/1"),
        at("Blood culture: Klebsiella oxytoca", "2026-03-03", "Observation/2"),
        at("Meropenem susceptible", "2026-03-03", "Observation/3"),
        at("Cefepime susceptible", "2026-03-03", "Observation/4"),
    )
    lines = course(context(microbiology=found)).splitlines()
    place = lines.index("Microbiology: Blood culture: Klebsiella oxytoca (2026-03-03).")
    assert lines[place + 1] == (
        "Susceptibility, recorded without its organism: resistant to Amoxicillin (2026-03-03); "
        "susceptible to Meropenem, Cefepime (2026-03-03)."
    )


def test_telling_reports_have_the_places_and_stand_in_order_of_time() -> None:
    calm = [at(f"X-ray {name}: No acute finding", "2026-03-02", f"DiagnosticReport/{name}") for name in "abcdef"]
    late = at("CT head: Subdural haematoma", "2026-03-06", "DiagnosticReport/late")
    early = at("CT chest: Embolus; Abnormal", "2026-03-03", "DiagnosticReport/early")
    said = course(context(reports=(*calm, late, early)))
    assert said.index("X-ray a") < said.index("CT chest") < said.index("CT head")
    assert "3 further reports are listed above" in said


def test_a_laboratorys_report_is_not_told_among_imaging() -> None:
    values = at("Coagulation: PT INR 1.5 [H], APTT 30 s", "2026-03-03", "DiagnosticReport/1")
    seen = at("CT chest: Embolus", "2026-03-03", "DiagnosticReport/2")
    said = course(context(reports=(values, seen)))
    assert "Imaging and other reports: CT chest: Embolus (2026-03-03); 1 further report is listed above." in said


@pytest.mark.parametrize(
    ("disposition", "said"),
    [
        ("Left against medical advice", "discharge disposition: Left against medical advice."),
        ("code zz9 (no code system)", "where to is recorded only as code zz9."),
    ],
)
def test_a_disposition_is_not_told_as_a_place(disposition: str, said: str) -> None:
    assert said in course(context(disposition=disposition))
    assert "discharged to" not in course(context(disposition=disposition))


def test_a_death_has_its_directives_causes_without_codes_and_nothing_pending_at_its_time() -> None:
    stay = context(
        kind="death-summary",
        directives=(entry("DNR"),),
        outcome=(entry("Cause of death: Pneumonia, unspecified (J18.9)"),),
        pending=(entry("Autopsy report (registered)"),),
        discharge_medicines=(medicine("Ramipril", "5 mg", 1),),
        care_plans=(entry("Walk every day"),),
    )
    said = course(stay)
    assert "Code status, directives and alerts: DNR (2026-03-02)." in said
    assert "Recorded of the death: Cause of death: Pneumonia, unspecified." in said
    assert "Results still pending: Autopsy report, no result yet (2026-03-02)." in said
    assert "Ramipril" not in said
    assert instructions(stay) == ()


def test_nothing_is_called_started_without_a_list_of_before() -> None:
    after = (medicine("Digoxin", "0.125 mg daily", 1),)
    assert "Started" not in course(context(discharge_medicines=after))
    assert "without a current list of before to compare with: Digoxin, 0.125 mg daily" in course(
        context(discharge_medicines=after)
    )
    before = (medicine("Ramipril", "5 mg daily", 2),)
    assert "Started: Digoxin" in course(context(discharge_medicines=after, home_medicines=before))
    stopped = (medicine("Naproxen", "500 mg", 3).model_copy(update={"status": "stopped"}),)
    assert "Started" not in course(context(discharge_medicines=after, other_medicines=stopped))


def test_an_order_that_may_be_for_the_ward_is_neither_started_nor_to_be_taken() -> None:
    order = medicine("Cefuroxime", "500 mg PO BID", 1).model_copy(update={"question": "it names no time"})
    stay = context(discharge_medicines=(order,), home_medicines=(medicine("Ramipril", "5 mg", 2),))
    assert "To be confirmed, as it names no time: Cefuroxime, 500 mg PO BID." in course(stay)
    assert "Started" not in course(stay)
    assert told(stay) == ("Ask your doctor whether this is for you at home: Cefuroxime: 500 mg by mouth twice a day.")


def test_a_dose_in_two_ways_is_said_to_be_so() -> None:
    order = medicine("Lisinopril", "10-20 mg daily, 20 mg", 1).model_copy(update={"doubt": True})
    assert "the record gives this dose in two ways" in told(context(discharge_medicines=(order,)))


def test_directions_without_amount_and_frequency_say_so() -> None:
    order = medicine("Insulin", "SC", 1).model_copy(update={"lacks": ("amount", "frequency")})
    assert told(context(discharge_medicines=(order,))) == (
        "Use Insulin: under the skin (how much and how often is not recorded)."
    )


def test_what_is_not_clear_is_said_with_what_is_open_about_it() -> None:
    stay = context(home_medicines=(medicine("Losartan", "100 mg daily", 1),))
    assert "Losartan, 100 mg daily (taken before, no order at discharge)." in course(stay)
    over = medicine("Amoxicillin", "500 mg", 1).model_copy(update={"ended": "course over 2026-03-01"})
    assert "Over before the discharge: Amoxicillin, 500 mg (course over 2026-03-01)." in course(
        context(home_medicines=(over,))
    )


def test_a_reason_shared_by_all_medicines_is_told_once() -> None:
    orders = [medicine(name, "", 1).model_copy(update={"reason": "Asthma"}) for name in ("Salbutamol", "Prednisone")]
    said = course(context(hospital_medicines=tuple(orders)))
    assert "Medicines ordered in hospital (reason recorded for each: Asthma): Salbutamol and Prednisone." in said
    other = orders[1].model_copy(update={"reason": ""})
    assert "Salbutamol (reason: Asthma) and Prednisone." in course(context(hospital_medicines=(orders[0], other)))


@pytest.mark.parametrize(
    ("route", "dose", "name", "word"),
    [
        ("oral", "5 mg once daily", "Ramipril 5 mg tablet", "Take"),
        ("", "5 mg", "Ramipril", "Take"),
        ("oral", "1 mL once daily", "Cholecalciferol oral drops", "Take"),
        ("transdermal", "1 patch every 72 hours", "fentanyl", "Use"),
        ("", "2 puffs twice daily", "budesonide", "Use"),
        ("subcutaneous", "40 mg once daily", "enoxaparin", "Use"),
        ("intramuscular", "150 µg as needed", "adrenaline auto-injector", "Use"),
        ("intramuscular", "156 mg every 4 weeks", "paliperidone", "You are to be given"),
        ("", "60 microgram IV weekly at dialysis", "darbepoetin", "You are to be given"),
        ("intravenous", "2 g once daily", "ceftriaxone", "You are to be given"),
    ],
)
def test_a_medicine_is_taken_used_or_given(route: str, dose: str, name: str, word: str) -> None:
    assert administration_verb(route, dose, name) == word


def test_directions_that_are_a_sentence_stand_without_another_verb() -> None:
    order = medicine("Tiotropium", "Inhale 1 capsule daily.", 1)
    assert told(context(discharge_medicines=(order,))) == "Tiotropium: Inhale 1 capsule daily."


@pytest.mark.parametrize(
    ("recorded", "said"),
    [
        ("75 µg oral once daily", "75 micrograms by mouth once a day"),
        ("1.25 mg Oral use once daily", "1.25 mg by mouth once a day"),
        ("5 mL oral solution at night", "5 mL oral solution at night"),
        ("40 mg subcutaneous once daily", "40 mg under the skin once a day"),
        (
            "2.5-5 mg PO q6h PRN pain, max 4 doses/day",
            "2.5-5 mg by mouth every 6 hours as needed for pain, max 4 doses/day",
        ),
        ("80 mg = 1 tab(s), Oral, Bedtime", "80 mg = 1 tablet(s), by mouth, at bedtime"),
        ("1 tab, Oral, BID, # 60 tab(s)", "1 tablet(s), by mouth, twice a day, supply of 60 tablet(s)"),
        ("1-2 puffs inhalation every 4 hours", "1-2 puffs inhaled every 4 hours"),
        ("1 inhalation capsule daily", "1 inhalation capsule daily"),
        ("25 mcg/hr", "25 mcg/hr"),
    ],
)
def test_routes_units_and_forms_are_told_in_words(recorded: str, said: str) -> None:
    assert plain_directions(recorded) == said


def test_a_held_medicine_says_until_when_and_why() -> None:
    held = medicine("Aspirin", "Withhold until the clip is out", 1).model_copy(
        update={"status": "on-hold", "reason": "Bleeding", "note": "see GP"}
    )
    dosed = medicine("Apixaban", "5 mg twice daily", 2).model_copy(update={"status": "stopped"})
    assert told(context(other_medicines=(held, dosed))).splitlines() == [
        "Do not take Aspirin for now (Bleeding; see GP; Withhold until the clip is out).",
        "Do not take Apixaban any more.",
    ]


@pytest.mark.parametrize(
    ("start", "said"),
    [
        (
            datetime(2026, 2, 27, tzinfo=UTC),
            "You were in hospital from 2026-02-27 to 2026-03-02; main diagnosis: Gout.",
        ),
        (AT, "You were in hospital on 2026-03-02; main diagnosis: Gout."),
        (None, "You were in hospital until 2026-03-02; main diagnosis: Gout."),
    ],
)
def test_a_patient_is_told_why_they_were_here(start: datetime | None, said: str) -> None:
    assert told(context(start=start, diagnoses=(diagnosis("Gout"),))) == said


def test_a_patient_is_not_told_a_code_or_a_suspicion_as_their_diagnosis() -> None:
    assert told(context(diagnoses=(diagnosis("code N17.9 (ICD-10-CM)"),))) == ""
    assert told(context(diagnoses=(diagnosis("Cancer", certainty="suspected"),))) == ""


def test_what_is_ordered_for_after_the_stay_stands_in_the_course_too() -> None:
    orders = (entry("Home oxygen"), entry("No driving"))
    assert "Ordered for the time after the stay: Home oxygen (2026-03-02); No driving" in course(
        context(services=orders)
    )
    assert "No driving" not in course(context(services=orders, kind="death-summary"))


def test_a_held_medicine_stands_in_the_course_with_its_note() -> None:
    held = medicine("Metamizol", "500 mg", 1).model_copy(update={"status": "on-hold", "note": "Leukocytes 2.1"})
    assert "On hold: Metamizol, 500 mg (Leukocytes 2.1)." in course(context(other_medicines=(held,)))


def test_the_care_plan_is_told_to_the_patient_and_a_visit_begins_with_its_day() -> None:
    visit = ContextEntry(text="Wound check (Dr. Roe, at 09:00)", source="Appointment/1", time=AT, on="2026-03-12")
    said = told(context(care_plans=(entry("Come back with fever"),), follow_up=(visit,)))
    assert "Your appointments and follow-up: 2026-03-12: Wound check (Dr. Roe, at 09:00)." in said
    assert "From your care plan: Come back with fever" in said


@pytest.mark.parametrize(
    ("recorded", "said"),
    [
        ("Zinc (registered)", "Zinc, no result yet"),
        ("Zinc (ordered, no result yet)", "Zinc, no result yet"),
        ("Biopsy (partial)", "Biopsy, only preliminary so far"),
        ("Zinc (reported 2026-03-09, after the discharge)", "Zinc (reported 2026-03-09, after the discharge)"),
    ],
)
def test_a_result_that_is_awaited_is_told_without_status_codes(recorded: str, said: str) -> None:
    stay = context(pending=(entry(recorded),))
    assert f"Still pending at discharge: {said} (2026-03-02)." in course(stay)
    assert f"Results not back at the end of your stay: {said} (2026-03-02)." in told(stay)


def test_underscores_of_local_names_are_spaces() -> None:
    order = Medicine(text="Metoprolol_succinate", source="MedicationRequest/1", name="Metoprolol_succinate", dose="")
    assert "Metoprolol succinate" in told(context(discharge_medicines=(order,)))

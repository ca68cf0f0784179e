"""A child, a birth and an operation of a child: doses by weight, and what belongs to the newborn."""

from tests.stays.build import Chart
from tests.stays.elements import LOINC, SNOMED, dosage, hl7
from tests.stays.model import Stay
from tests.stays.words import ABNORMAL, ALLERGIES, DIAGNOSES, FOUR_TIMES, GIVEN, item, mg, number, taken


def child() -> Stay:
    chart = Chart(
        "au-kind",
        "review",
        "doses by weight with the computed one, millilitres and milligrams, a salbutamol wean, weight in two units",
        start="2026-06-02T03:00:00+10:00",
        end="2026-06-04T11:00:00+10:00",
    )
    chart.patient |= {"birthDate": "2022-09-14", "contact": [{"name": {"text": "Mia Example"}}]}
    chart.diagnosis(chart.condition("Acute asthma exacerbation, severe"), rank=1)
    chart.vital("Body weight", 15.4, "kg", (LOINC, "29463-7"), at="2026-06-02T03:20:00+10:00")
    chart.vital("Body weight", 34, "[lb_av]", (LOINC, "29463-7"), at="2026-06-02T04:20:00+10:00")
    chart.says("high", "vital sign", "weight 15.4 kg", item("weight", number("15.4"), "kg"))
    rate = {"doseQuantity": {"value": 15, "unit": "mg", "code": "mg"}, "type": hl7("dose-rate-type", "calculated")}
    chart.medicine(
        "prednisolone 5 mg/mL oral liquid",
        dosage(
            "3 mL (15 mg, 1 mg/kg) once daily in the morning for 2 more days",
            frequency=1,
            days=2,
            doseAndRate=[
                rate,
                {"type": hl7("dose-rate-type", "ordered"), "doseQuantity": {"value": 1, "unit": "mg/kg"}},
            ],
        ),
    )
    chart.says("critical", "dose", "prednisolone 15 mg for 2 days", taken("prednisolone", mg("15"), "2 (more )?days"))
    chart.medicine(
        "salbutamol 100 microgram/actuation inhaler",
        dosage("6 puffs every 4 hours for 24 hours", dose=(6, "{puff}"), frequency=1, period=4, unit="h", days=1),
        dosage("then 2 puffs every 6 hours as needed", dose=(2, "{puff}"), frequency=1, period=6, unit="h"),
    )
    chart.says("critical", "dose", "salbutamol 6 puffs, then 2", taken("salbutamol", r"6 puffs.*then.*2 puffs"))
    chart.never("high", "dose", "raw unit of puffs", item(r"\{puff"))
    chart.medicine("paracetamol 120 mg/5 mL oral liquid", dosage("15 mg/kg every 6 hours if required", frequency=4))
    chart.says("critical", "dose", "paracetamol: dose not computed, asked", item("paracetamol", "15 mg/kg"))
    chart.says("high", "dose", "the weight is asked beside it", item("paracetamol", "confirm"), anywhere=True)
    chart.allergy("Egg", reaction="Anaphylaxis", criticality="high", category=["food"])
    chart.says("critical", "allergy", "egg anaphylaxis", item("egg", "anaphyla", under=ALLERGIES))
    chart.immunization(
        "Influenza vaccine", "2026-06-04T09:00:00+10:00", "not-done", statusReason={"text": "Egg allergy review first"}
    )
    chart.never("critical", "immunization", "influenza vaccine given", item(r"influenza vaccine(?!.*(not|declin))"))
    return chart.stay(time_zone="Australia/Brisbane")


def birth() -> Stay:
    chart = Chart(
        "uk-geburt",
        "review",
        "results with the newborn as focus or in an extension; blood loss; injections for ten days",
        start="2026-07-01T21:00:00+01:00",
        end="2026-07-04T12:00:00+01:00",
    )
    chart.patient["birthDate"] = "1993-03-03"
    chart.diagnosis(chart.condition("Primary postpartum haemorrhage"), rank=1)
    chart.says("critical", "diagnosis", "haemorrhage", item("postpartum haemorrhage", under=DIAGNOSES))
    baby = chart.add(
        "RelatedPerson", patient=chart.ref(chart.patient), relationship=[hl7("v3-RoleCode", "CHILD")],
        name=[{"text": "Baby Example"}],
    )  # fmt: skip
    chart.lab("Bilirubin total", 290, "umol/L", high=21, focus=[chart.ref(baby)], at="2026-07-03T09:00:00+01:00")
    chart.never("critical", "laboratory", "the newborn's bilirubin as hers", item(r"^bilirubin", under=ABNORMAL))
    chart.observation(
        "Birth weight", category="vital-signs", focus=[chart.ref(baby)],
        valueQuantity={"value": 3420, "unit": "g"}, at="2026-07-02T02:00:00+01:00",
    )  # fmt: skip
    chart.never("critical", "vital sign", "the newborn's weight as hers", item(r"^birth weight", under=("vital",)))
    chart.lab("Haemoglobin", 69, "g/L", low=115, high=160, flag="LL", at="2026-07-02T06:00:00+01:00")
    chart.lab("Haemoglobin", 88, "g/L", low=115, high=160, flag="L", at="2026-07-04T07:00:00+01:00")
    chart.says("critical", "laboratory", "haemoglobin 69", item("haemoglobin", number("69"), under=ABNORMAL))
    chart.says("critical", "laboratory", "haemoglobin 88 at last", item("haemoglobin", number("88"), under=ABNORMAL))
    chart.administration("Anti-D immunoglobulin 1500 units", {"dose": {"value": 1500, "unit": "units"}})
    chart.says("critical", "medicine", "anti-D given", item("anti-D", "1,?500", under=GIVEN))
    chart.medicine(
        "enoxaparin 40 mg/0.4 mL pre-filled syringe",
        dosage("40 mg ONCE a day subcutaneously for 10 days", dose=(40, "mg"), frequency=1, days=10, route="SC"),
    )
    chart.says("critical", "dose", "enoxaparin 40 mg for 10 days", taken("enoxaparin", mg("40"), "10 days"))
    chart.procedure("Manual removal of retained placenta", at="2026-07-02T02:40:00+01:00")
    chart.condition("Pregnancy", clinical="resolved", category="problem-list-item", encounter=None)
    chart.never("high", "diagnosis", "when pregnancy ended, which nothing says", item("pregnancy", "before this stay"))
    return chart.stay(time_zone="Europe/London")


def tonsils() -> Stay:
    chart = Chart(
        "us-tonsils",
        "review",
        "alternating analgesics, a duplicated order, a medicine to avoid by age in the plan, a corrected allergy",
        start="2026-08-03T06:30:00Z",
        end="2026-08-04T10:00:00Z",
    )
    chart.patient |= {"gender": "male", "birthDate": "2019-02-10"}
    chart.diagnosis(chart.condition("Obstructive sleep apnea due to tonsillar hypertrophy"), rank=1)
    ibuprofen = dosage("7.5 mL (150 mg) by mouth every 6 hours as needed for pain, max 4 doses/day")
    for _ in range(2):
        chart.medicine("ibuprofen 100 mg/5 mL suspension", ibuprofen)
    chart.says("critical", "dose", "ibuprofen 150 mg every 6 hours", taken("ibuprofen", mg("150"), FOUR_TIMES + "|6 h"))
    chart.medicine(
        "codeine-acetaminophen 12-120 mg/5 mL elixir",
        status="cancelled",
        statusReason={"text": "contraindicated under 12 years after tonsillectomy"},
    )
    chart.never("critical", "medicine status", "codeine to take", taken("codeine"))
    chart.allergy("Amoxicillin", verification="entered-in-error", clinical=None, reaction="Rash")
    chart.never("critical", "allergy", "amoxicillin as an allergy", item("amoxicillin", under=ALLERGIES))
    chart.allergy("No known drug allergy", (SNOMED, "409137002", "No known drug allergy"))
    chart.says("critical", "allergy", "no known drug allergy", item("no known (drug|medic)", under=ALLERGIES))
    chart.care_plan("Return at once for any bleeding from the mouth")
    chart.says("critical", "care plan", "return for bleeding", item("return.*bleeding"))
    return chart.stay()

"""Stroke: sides, scores as Observations, what is suspected or ruled out, a code status, rehabilitation."""

from tests.stays.build import Chart
from tests.stays.elements import BASE, ICD10CM, LOINC, dosage, hl7, limits, quantity
from tests.stays.habits import named, oracle, signed
from tests.stays.model import Stay
from tests.stays.words import (
    ABNORMAL,
    AFTERCARE,
    ALLERGIES,
    AS_NEEDED,
    CODE_STATUS,
    DAILY,
    DIAGNOSES,
    DISPOSITION,
    FAMILY,
    FUNCTION,
    GIVEN,
    PRINCIPAL,
    PROCEDURES,
    SUSPECTED,
    UNSURE,
    item,
    mg,
    number,
    taken,
)


def stroke() -> Stay:
    chart = Chart(
        "us-stroke",
        "US Core",
        "contained and absolute references; scores as survey Observations; code status by Observation",
        start="2026-05-04T19:30:00-04:00",
        end="2026-05-13T13:00:00-04:00",
        disposition="rehab",
    )
    oracle(chart, "11820447")
    named(chart, "Abernathy", "Lorraine", born="1943-02-11", gender="female")
    signed(chart, "Tobias", "Nkemelu")
    _diagnoses(chart)
    _findings(chart)
    _scores(chart)
    _treatment(chart)
    _medicines(chart)
    _aftercare(chart)
    return chart.stay(time_zone="America/New_York")


def _diagnoses(chart: Chart) -> None:
    main = chart.condition("Acute ischemic stroke of the right middle cerebral artery", (ICD10CM, "I63.511"))
    chart.diagnosis(main, "DD", 1)
    chart.encounter["diagnosis"][0]["condition"] = {"reference": f"{BASE}/Condition/{main['id']}/_history/2"}
    chart.says("critical", "diagnosis", "right MCA stroke", item("stroke", "right middle cerebral", under=PRINCIPAL))
    chart.condition("Left hemiparesis", (ICD10CM, "G81.94"))
    chart.says("critical", "diagnosis", "left hemiparesis", item("left hemiparesis", under=DIAGNOSES))
    chart.never("critical", "diagnosis", "a right hemiparesis", "right hemiparesis")
    chart.condition("Paroxysmal atrial fibrillation", verification="differential")
    chart.says(
        "high",
        "diagnosis",
        "atrial fibrillation is only suspected",
        item("atrial fibrillation", under=SUSPECTED),
        f"atrial fibrillation.*{UNSURE}",
    )
    chart.never(
        "critical",
        "diagnosis",
        "atrial fibrillation as confirmed",
        item(f"^(?!.*{UNSURE}).*atrial fibrillation", under=("other diagnos|principal|problem",)),
    )
    chart.condition("Seizure", verification="refuted", clinical=None)
    chart.never("high", "diagnosis", "seizure", item("^(?!.*(ruled out|refuted)).*seizure", under=DIAGNOSES))
    chart.family("Mother", "Atrial fibrillation")
    chart.says(
        "medium", "family history", "the mother's atrial fibrillation", item("mother", "fibrillation", under=FAMILY)
    )


def _findings(chart: Chart) -> None:
    chart.report(
        "CT angiography head and neck",
        "Occlusion of the right M1 segment. No hemorrhage.",
        subject={"reference": f"{BASE}/Patient/{chart.patient['id']}"},
        encounter={"reference": f"{BASE}/Encounter/{chart.encounter['id']}"},
    )
    chart.says("critical", "report", "right M1 occlusion (absolute references)", "right M1")
    chart.report(
        "MRI brain",
        None,
        conclusionCode=[{"text": "Infarct of the right basal ganglia"}],
        at="2026-05-06T10:00:00-04:00",
    )
    chart.says("high", "report", "infarct of the right basal ganglia", "right basal ganglia")
    chart.lab(
        "Glucose",
        11.46,
        "mmol/L",
        (LOINC, "14749-6"),
        referenceRange=[limits(3.9, 5.5, "mmol/L", type=hl7("referencerange-meaning", "normal"))],
    )
    chart.says("high", "laboratory", "glucose 11.46, abnormal", item("glucose", number("11.46"), under=ABNORMAL))
    chart.lab(
        "Prothrombin time INR",
        1.1,
        None,
        (LOINC, "6301-6"),
        referenceRange=[
            limits(2, 3, text="therapeutic", type=hl7("referencerange-meaning", "therapeutic")),
            limits(0.8, 1.2, text="normal", type=hl7("referencerange-meaning", "normal")),
        ],
    )
    chart.never("high", "laboratory", "INR 1.1 as low: the therapeutic range is not hers", item(r"INR.*1\.1.*\blow\b"))


def _scores(chart: Chart) -> None:
    chart.observation(
        "NIH stroke scale total score",
        (LOINC, "72089-6"),
        category="survey",
        at="2026-05-13T08:00:00-04:00",
        valueInteger=6,
    )
    chart.says("high", "function", "NIHSS 6 at discharge", r"(NIH|NIHSS).*\b6\b")
    chart.observation(
        "Modified Rankin scale",
        (LOINC, "75859-9"),
        category="survey",
        at="2026-05-13T08:00:00-04:00",
        valueCodeableConcept={"text": "4 - Moderately severe disability"},
    )
    chart.says("high", "function", "Rankin 4", r"Rankin.*\b4\b")
    chart.observation(
        "Cognitive status",
        category="cognitive-status",
        at="2026-05-12T08:00:00-04:00",
        valueString="Neglect of the left side, oriented",
    )
    chart.says(
        "high",
        "function",
        "neglect of the left side",
        item("neglect of the left", under=FUNCTION),
        "neglect of the left",
    )
    chart.observation(
        "Resuscitation status",
        (LOINC, "81352-6"),
        category="survey",
        at="2026-05-05T10:00:00-04:00",
        valueCodeableConcept={"text": "Do not resuscitate, intubation accepted"},
    )
    chart.says(
        "critical",
        "code status",
        "do not resuscitate",
        item("do not resuscitate|DNR", under=CODE_STATUS),
        "resuscitation.*do not resuscitate",
    )


def _treatment(chart: Chart) -> None:
    chart.procedure("Mechanical thrombectomy, right MCA", at="2026-05-04T21:10:00-04:00", outcome={"text": "TICI 2b"})
    chart.says("critical", "procedure", "thrombectomy", item("thrombectomy", under=PROCEDURES))
    chart.administration(
        "alteplase", {"dose": quantity(63, "mg"), "route": {"text": "Intravenous"}}, at="2026-05-04T20:25:00-04:00"
    )
    chart.says("high", "medicine", "alteplase was given", item("alteplase", under=(*GIVEN, *PROCEDURES)))
    chart.administration(
        "heparin", {"dose": quantity(5000, "U")}, status="not-done", statusReason=[{"text": "Hemorrhage feared"}]
    )
    chart.never("high", "medicine", "heparin as given", item("^(?!.*not (given|done)).*heparin", under=GIVEN))


def _medicines(chart: Chart) -> None:
    contained = {"resourceType": "Medication", "id": "m1", "code": {"text": "clopidogrel 75 mg tablet"}}
    chart.medicine(
        "",
        dosage(dose=(75, "mg"), route="Oral", frequency=1, days=21),
        contained=[contained],
        medicationReference={"reference": "#m1"},
    )
    chart.says(
        "critical",
        "dose",
        "clopidogrel 75 mg daily for 21 days (contained)",
        taken("clopidogrel", mg("75"), DAILY, r"21 d|3 weeks"),
    )
    chart.medicine("aspirin 81 mg tablet", dosage(dose=(81, "mg"), route="Oral", frequency=1))
    chart.says("critical", "dose", "aspirin 81 mg daily", taken("aspirin", mg("81"), DAILY))
    chart.medicine(
        "labetalol 100 mg tablet",
        dosage(dose=(100, "mg"), route="Oral", frequency=2, as_needed="systolic blood pressure above 180 mmHg"),
    )
    chart.says(
        "critical",
        "dose",
        "labetalol only as needed for pressure above 180",
        taken("labetalol", mg("100"), AS_NEEDED, "180"),
    )
    chart.home_medicine(
        "warfarin 5 mg tablet",
        dosage("5 mg daily"),
        status="stopped",
        statusReason={"text": "Stopped in 2022 after bleeding"},
    )
    chart.never("critical", "medicine status", "warfarin, stopped", taken("warfarin"))


def _aftercare(chart: Chart) -> None:
    chart.of_stay(
        "NutritionOrder",
        patient=chart.ref(chart.patient),
        subject=None,
        status="active",
        intent="order",
        dateTime="2026-05-12T09:00:00-04:00",
        oralDiet={
            "type": [{"text": "Dysphagia diet"}],
            "texture": [{"modifier": {"text": "Minced and moist, level 5"}}],
            "fluidConsistencyType": [{"text": "Mildly thick liquids"}],
        },
    )
    chart.says("critical", "care plan", "dysphagia diet", "dysphagia diet|minced and moist")
    chart.says("critical", "care plan", "mildly thick liquids", "mildly thick")
    chart.order("Speech therapy", category=[{"text": "Therapy"}], reasonCode=[{"text": "Dysphagia"}])
    chart.says("high", "follow-up", "speech therapy", item("speech therapy", under=AFTERCARE))
    chart.order("14-day Holter monitor", occurrenceDateTime="2026-05-20")
    chart.says("high", "follow-up", "Holter monitor", "Holter")
    chart.says("critical", "disposition", "to rehabilitation", item("rehab", under=DISPOSITION))
    chart.allergy("Latex", category=["environment"], reaction="Contact dermatitis", recorded=None)
    chart.says("critical", "allergy", "latex", item("latex", under=ALLERGIES))

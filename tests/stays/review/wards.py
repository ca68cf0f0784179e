"""Epic, Oracle Health, Synthea on HAPI, and a Dutch operation in day care."""

from base64 import b64encode

from tests.stays.build import Chart
from tests.stays.elements import LOINC, RXNORM, SNOMED, Element, coded, concept, dosage, exact
from tests.stays.model import Stay
from tests.stays.words import (
    ABNORMAL,
    DIAGNOSES,
    FOLLOW_UP,
    NOT_TAKEN,
    PENDING,
    PROCEDURES,
    TAKEN,
    TWICE,
    item,
    mg,
    number,
    taken,
    together,
)

EPIC = "urn:oid:1.2.840.114350.1.13.0.1.7.10.798268.7573"

_DISCHARGE: Element = {"category": None}


def _discharge(chart: Chart) -> None:
    """Marks all orders without a category as those of the discharge, as Epic does."""
    for resource in chart.resources:
        if resource["resourceType"] == "MedicationRequest" and "category" not in resource:
            resource["category"] = [coded(EPIC, "3", "Discharge")]


def apixaban() -> Stay:
    chart = Chart(
        "epic-apixaban",
        "review",
        "a taper in steps, a loading dose, held medicines, a corrected result, contained Medications, a note in HTML",
        start="2026-02-03T22:10:00Z",
        end="2026-02-08T15:30:00Z",
    )
    chart.patient |= {"gender": "male", "birthDate": "1949-08-11"}
    pe = chart.condition("Acute saddle pulmonary embolism without cor pulmonale")
    chart.diagnosis(pe, rank=1)
    chart.condition("Stage 3b chronic kidney disease", category="problem-list-item", encounter=None)
    chart.says("high", "diagnosis", "kidney disease", item("kidney", under=DIAGNOSES))
    held = {"resourceType": "Medication", "id": "m1", "code": {"text": "apixaban 5 mg tablet"}}
    chart.medicine(
        "",
        dosage("Take 2 tablets (10 mg total) by mouth 2 times daily for 7 days.", sequence=1),
        dosage("Then take 1 tablet (5 mg total) by mouth 2 times daily.", sequence=2),
        contained=[held],
        medicationReference={"reference": "#m1"},
        **_DISCHARGE,
    )
    chart.says("critical", "dose", "apixaban 10 mg first", taken("apixaban", mg("10"), TWICE))
    chart.says("critical", "dose", "apixaban 5 mg then", taken("apixaban", r"then.*5 mg", TWICE))
    steps = [
        dosage(
            dose=(amount, "mg"),
            frequency=1,
            repeat={"boundsPeriod": {"start": start, "end": end}},
            route="Oral",
            sequence=n,
        )
        for n, (amount, start, end) in enumerate(
            ((40, "2026-02-08", "2026-02-10"), (20, "2026-02-11", "2026-02-13"), (10, "2026-02-14", "2026-02-16")), 1
        )
    ]
    chart.medicine("predniSONE 10 mg tablet", *steps, **_DISCHARGE)
    chart.says("critical", "dose", "prednisone tapers to 10 mg", taken("prednisone", r"40 mg.*20 mg.*10 mg"))
    chart.home_medicine("metFORMIN 1,000 mg tablet", dosage("Take 1 tablet by mouth 2 times daily with meals."))
    chart.medicine(
        "metFORMIN 1,000 mg tablet",
        dosage("Take 1 tablet by mouth 2 times daily with meals."),
        status="on-hold",
        statusReason={"text": "Acute kidney injury, recheck creatinine in 1 week"},
        **_DISCHARGE,
    )
    chart.says("critical", "medicine status", "metformin is held", item("metformin", "hold|held|pause"))
    chart.never("critical", "medicine status", "metformin to take", taken("metformin"))
    chart.home_medicine("diclofenac 75 mg tablet", dosage("Take 1 tablet every 6 hours as needed."))
    chart.medicine(
        "diclofenac 75 mg tablet",
        doNotPerform=True,
        reasonCode=[{"text": "risk of bleeding with apixaban"}],
        **_DISCHARGE,
    )
    chart.says("critical", "medicine status", "no diclofenac", item("diclofenac", under=NOT_TAKEN))
    old = chart.lab("Creatinine", exact("1.20"), "mg/dL", (LOINC, "2160-0"), high=1.2, at="2026-02-08T06:00:00Z")
    old["status"] = "entered-in-error"
    new = chart.lab("Creatinine", exact("2.10"), "mg/dL", (LOINC, "2160-0"), high=1.2, at="2026-02-08T06:00:00Z")
    new |= {"status": "corrected", "note": [{"text": "Corrected result. Previously reported as 1.20 (mislabelled)."}]}
    chart.says("high", "laboratory", "that it was corrected", item("creatinine", "corrected|1\\.20"))
    chart.says("critical", "laboratory", "creatinine 2.10", item("creatinine", number("2.10"), under=ABNORMAL))
    chart.never("critical", "laboratory", "creatinine 1.20 as a result", item(r"creatinine:? 1\.20? mg"))
    chart.order("Antiphospholipid antibodies", status="active", category=[coded(SNOMED, "108252007", "Laboratory")])
    chart.says("high", "pending", "antibodies pending", item("antiphospholipid", under=PENDING), anywhere=True)
    html = b"<html><body><h1>Plan</h1><p>Hold metformin. <b>Follow-up CT chest in 3 months</b></p></body></html>"
    chart.of_stay(
        "DocumentReference",
        status="current",
        type={"text": "Discharge Summary Note"},
        encounter=None,
        context={"encounter": [chart.ref(chart.encounter)]},
        date="2026-02-08T14:00:00Z",
        content=[{"attachment": {"contentType": "text/html", "data": b64encode(html).decode()}}],
    )
    chart.never("high", "report", "mark-up of a note", item("<b>|<p>"))
    _discharge(chart)
    return chart.stay()


def cerner() -> Stay:
    chart = Chart(
        "oracle-heart",
        "review",
        "statement, request and dispense of one medicine; brand and generic; one result in two units",
        start="2026-01-12T09:00:00Z",
        end="2026-01-16T13:00:00Z",
    )
    chart.patient["birthDate"] = "1944-02-20"
    chart.diagnosis(chart.condition("Acute on chronic systolic heart failure"), rank=1)
    furosemide = concept("furosemide 40 mg oral tablet", (RXNORM, "313988", "furosemide 40 MG Oral Tablet"))
    lasix = concept("Lasix 40 mg oral tablet", (RXNORM, "200809", "furosemide 40 MG Oral Tablet [Lasix]"))
    chart.statement(lasix, dosage("40 mg = 1 tab(s), Oral, Daily", dose=(40, "mg"), frequency=1))
    request = chart.medicine(
        furosemide,
        dosage("80 mg = 2 tab(s), Oral, BID, # 120 tab(s)", dose=(80, "mg"), frequency=2, route="Oral"),
        category="discharge",
    )
    chart.dispense(furosemide, authorizingPrescription=[chart.ref(request)])
    chart.says("critical", "dose", "furosemide 80 mg twice daily", taken("furosemide", mg("80"), TWICE))
    chart.says("high", "medicine status", "from 40 mg to 80 mg", item("furosemide|lasix", "changed", mg("40")))
    chart.medicine(
        "carvedilol 3.125 mg oral tablet",
        dosage("3.125 mg = 1 tab(s), Oral, BID", dose=(3.125, "mg"), frequency=2),
        status="completed",
        category="inpatient",
        at="2026-01-12T10:00:00Z",
    )
    chart.never("critical", "medicine status", "the ward's carvedilol to take", taken("carvedilol"))
    chart.medicine(
        "digoxin 125 mcg oral tablet",
        dosage("62.5 mcg = 0.5 tab(s), Oral, every other day", dose=(62.5, "ug"), frequency=1, period=2),
        category="discharge",
    )
    chart.says("critical", "dose", "digoxin 62.5 mcg", taken("digoxin", r"62\.5", "other day|2 days"))
    chart.lab("Glucose Lvl", 450, "mg/dL", low=70, high=99, flag="HH", at="2026-01-15T06:00:00Z")
    chart.lab("Glucose Lvl", 5.2, "mmol/L", low=3.9, high=5.5, at="2026-01-16T06:00:00Z")
    chart.says("critical", "laboratory", "glucose 450 mg/dL", item("glucose", number("450")))
    chart.says("high", "laboratory", "glucose 5.2 mmol/L", item("glucose", number("5.2"), "mmol"))
    chart.lab("Potassium Lvl", exact("6.9"), "mmol/L", low=3.5, high=5.1, flag="HH", at="2026-01-16T12:30:00Z")
    chart.says("critical", "laboratory", "potassium 6.9", item("potassium", number("6.9"), under=ABNORMAL))
    chart.allergy("sulfa drugs", reaction="Hives", criticality="low")
    chart.allergy("Sulfonamide antibiotics", reaction="Rash", verification="unconfirmed")
    chart.says("critical", "allergy", "sulfa with hives", item("sulfa", "hives"))
    chart.says("high", "allergy", "second sulfonamide entry is unconfirmed", item("sulfonamide", "unconfirmed"))
    return chart.stay()


def synthea() -> Stay:
    chart = Chart(
        "hapi-synthea",
        "review",
        "semantic tags, social findings as diagnoses, orders without dosage text, a DocumentReference in plain text",
        start="2026-04-01T10:00:00Z",
        end="2026-04-04T16:00:00Z",
        disposition=None,
    )
    chart.patient |= {"birthDate": "1970-05-05", "name": [{"family": "Kuhn96", "given": ["Tamra"]}]}
    chart.encounter["reasonCode"] = [coded(SNOMED, "233604007", "Pneumonia (disorder)")]
    chart.condition("Pneumonia (disorder)", (SNOMED, "233604007", "Pneumonia (disorder)"), recordedDate=chart.start)
    chart.says("critical", "diagnosis", "pneumonia", item("pneumonia", under=DIAGNOSES))
    chart.condition("Medication review due (situation)", onsetDateTime="2020-01-01", encounter=None)
    chart.condition(
        "Viral sinusitis (disorder)", clinical="resolved", encounter=None, abatementDateTime="2011-01-01",
        onsetDateTime="2010-12-20",
    )  # fmt: skip
    chart.never("high", "diagnosis", "sinusitis of 2011 as a diagnosis now", item("sinusitis", under=(r"principal",)))
    chart.medicine(
        "Amoxicillin 500 MG Oral Tablet",
        dosage(dose=(1, "{tbl}"), frequency=1, period=8, unit="h", days=5),
        category="community",
        at="2026-04-04T15:00:00Z",
    )
    chart.says("critical", "dose", "amoxicillin every 8 hours", taken("amoxicillin", "8 h|3 times"))
    chart.medicine("Simvastatin 20 MG Oral Tablet", category="community", at="2019-01-01", encounter=None)
    chart.says("high", "medicine", "simvastatin of home is not lost", "simvastatin", anywhere=True)
    chart.medicine(
        "Warfarin Sodium 5 MG Oral Tablet", category="community", status="stopped", at="2015-01-01", encounter=None
    )
    chart.never("critical", "medicine status", "warfarin of 2015 to take", taken("warfarin"))
    chart.vital("Oxygen saturation in Arterial blood", 87, "%", (LOINC, "2708-6"))
    chart.says("critical", "vital sign", "saturation 87 % at the discharge", item("saturation", number("87")))
    return chart.stay()


def hernia() -> Stay:
    chart = Chart(
        "zib-dagbehandeling",
        "review",
        "day surgery; a procedure of the wrong side in error; a limited opioid with a maximum; a paused anticoagulant",
        start="2026-05-11T07:15:00+02:00",
        end="2026-05-11T17:40:00+02:00",
    )
    chart.encounter["class"] |= {"code": "SS", "display": "short stay"}
    chart.patient |= {"gender": "male", "birthDate": "1961-01-30"}
    chart.diagnosis(chart.condition("Liesbreuk rechts"), rank=1)
    right = {"text": "right inguinal region"}
    chart.procedure("Laparoscopische liesbreukoperatie", bodySite=[right], at="2026-05-11T09:10:00+02:00")
    chart.procedure(
        "Laparoscopische liesbreukoperatie", bodySite=[{"text": "left inguinal region"}], status="entered-in-error"
    )
    chart.says("critical", "procedure", "operation on the right", item("liesbreuk", "right", under=PROCEDURES))
    chart.never("critical", "procedure", "operation on the left", item("liesbreuk", "left", under=PROCEDURES))
    chart.medicine(
        "oxycodon 5 mg tablet",
        dosage(
            dose=(5, "mg"), frequency=1, period=6, unit="h", days=3, as_needed="pijn", route="oraal",
            maxDosePerPeriod={"numerator": {"value": 20, "unit": "mg"}, "denominator": {"value": 1, "unit": "d"}},
        ),
    )  # fmt: skip
    chart.says("critical", "dose", "oxycodone at most 20 mg a day", taken("oxycodon", mg("5"), mg("20")))
    chart.home_medicine("rivaroxaban 20 mg tablet", dosage("1x per dag 1 tablet", dose=(20, "mg"), frequency=1))
    chart.medicine(
        "rivaroxaban 20 mg tablet",
        dosage(dose=(20, "mg"), frequency=1, repeat={"boundsPeriod": {"start": "2026-05-13"}}),
        note=[{"text": "Hervatten op 13 mei, 48 uur na de ingreep"}],
    )
    chart.says("critical", "dose", "rivaroxaban resumed on 13 May", together("rivaroxaban.*(13 m|05-13)", under=TAKEN))
    chart.appointment("Polikliniek chirurgie", "2026-06-01T10:00:00+02:00")
    chart.appointment("Polikliniek anesthesie", "2026-05-04T10:00:00+02:00", status="fulfilled")
    chart.says("high", "follow-up", "surgery clinic", item("chirurgie", under=FOLLOW_UP))
    chart.never("high", "follow-up", "the visit before the stay", item("anesthesie", under=FOLLOW_UP))
    return chart.stay(time_zone="Europe/Amsterdam")

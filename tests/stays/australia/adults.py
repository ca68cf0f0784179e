"""An infarction over the start of daylight saving, and a patient who leaves against advice."""

from tests.stays.australia.profiles import ended, separation, supply
from tests.stays.elements import LOINC, SNOMED, concept, dosage, exact
from tests.stays.model import Serve, Stay
from tests.stays.words import (
    ABNORMAL,
    AFTERCARE,
    ALLERGIES,
    AS_NEEDED,
    DEVICES,
    DIAGNOSES,
    DISPOSITION,
    EVENING,
    FOLLOW_UP,
    HOME,
    NORMAL,
    PENDING,
    PRINCIPAL,
    PROCEDURES,
    REPORTS,
    TWICE,
    day,
    first_before,
    item,
    mg,
    number,
    taken,
)


def coronary() -> Stay:
    chart = separation(
        "nstemi",
        "Sydney, from +10:00 to +11:00 in the night of 4 October; brands in an extension; results in UTC",
        "2026-10-03T23:10:00+10:00",
        "2026-10-08T00:05:00+11:00",
        urn="BRL 5520117",
        doctor="Dr Kirra Langford",
        place="Boorlo Bay Hospital",
    )
    chart.patient |= {"gender": "male", "birthDate": "1964-05-12"}
    chart.patient["name"] = [{"use": "official", "family": "O'Donoghue", "given": ["Declan"]}]
    chart.says("high", "identity", "the name with its apostrophe", "declan o.donoghue")
    chart.says("critical", "dates", "local days", item(day("2026-10-03"), day("2026-10-08")))
    chart.diagnosis(
        chart.condition("NSTEMI", (SNOMED, "401314000", "Acute non-ST segment elevation myocardial infarction")), rank=1
    )
    chart.says("critical", "diagnosis", "NSTEMI", item("nstemi|non-st", under=PRINCIPAL))
    chart.condition("Type 2 myocardial infarction", verification="refuted")
    chart.never(
        "critical", "diagnosis", "a refuted kind", item("^(?!.*(refuted|ruled)).*type 2 myocardial", under=DIAGNOSES)
    )
    for at, value, flag in (
        ("2026-10-03T14:00:00Z", 48, "H"),
        ("2026-10-03T17:30:00Z", 2310, "HH"),
        ("2026-10-06T21:00:00Z", 610, "H"),
    ):
        chart.lab("Troponin I (hs)", value, "ng/L", (LOINC, "89579-7"), high=26, flag=flag, at=at)
    chart.says("critical", "laboratory", "troponin up to 2310", item("troponin", number("2310"), under=ABNORMAL))
    chart.says("high", "laboratory", "last on 7 October, local", item("troponin", number("610"), day("2026-10-07")))
    chart.lab("eGFR", ">90", "mL/min/1.73m2", (LOINC, "62238-1"))
    chart.says("medium", "laboratory", "eGFR > 90", item("eGFR", r"> ?90"))
    chart.lab("HDL cholesterol", exact("0.90"), "mmol/L", (LOINC, "14646-4"), low=1.0, at="2026-10-04T07:00:00+11:00")
    chart.says("critical", "laboratory", "HDL 0.90 is low", item("HDL", number("0.90"), under=ABNORMAL))
    chart.report(
        "Coronary angiogram",
        "90% stenosis of the mid LAD, one drug-eluting stent. LVEF 45%.",
        category="CUS",
        at="2026-10-04T05:00:00+11:00",
    )
    chart.says("critical", "report", "the stenosis", item("angiogram", "90 ?%.*LAD", under=REPORTS))
    chart.procedure(
        "Percutaneous coronary intervention to LAD",
        at="2026-10-03T18:30:00Z",
        complication=[{"text": "Radial artery spasm"}],
    )
    chart.says(
        "critical", "procedure", "the stent, local day", item("percutaneous", day("2026-10-04"), under=PROCEDURES)
    )
    chart.says("medium", "procedure", "its complication", item("radial artery spasm"))
    supply(
        chart,
        "ticagrelor 90 mg tablet",
        dosage(dose=(1, "tablet"), frequency=2, route="Oral"),
        brand="Brilinta",
        amt="927551011000036105",
        reasonCode=[{"text": "Stent: 12 months"}],
    )
    chart.says("critical", "dose", "ticagrelor twice daily", taken("ticagrelor 90 mg", TWICE))
    chart.says("medium", "medicine", "its brand", item("ticagrelor", "brilinta", under=HOME))
    supply(chart, "rosuvastatin 40 mg tablet", dosage("Take ONE tablet at night"), brand="Crestor")
    chart.says("critical", "dose", "rosuvastatin at night", taken("rosuvastatin 40", EVENING))
    supply(
        chart,
        "glyceryl trinitrate 400 microgram/actuation spray",
        dosage(
            "1 spray under the tongue, repeat after 5 minutes if pain persists, maximum 3 sprays",
            as_needed="chest pain",
        ),
    )
    chart.says(
        "critical",
        "dose",
        "trinitrate as needed, at most three",
        taken("glyceryl", "maximum 3 sprays", f"chest pain|{AS_NEEDED}"),
    )
    chart.home_medicine(
        "celecoxib 200 mg capsule",
        dosage("1 daily"),
        status="stopped",
        statusReason=concept("Contraindicated after infarction"),
    )
    chart.never("critical", "medicine status", "celecoxib to be taken", taken("celecoxib"))
    why = item("celecoxib", "contraindicated")
    chart.says("high", "medicine status", "celecoxib stopped, and why", why, anywhere=True)
    chart.allergy("Morphine", reaction="Nausea", type="intolerance", recorded="2026-10-04T02:30:00+10:00")
    chart.says("critical", "allergy", "morphine", item("morphine", "nausea", under=ALLERGIES))
    ended(chart, "Other (includes discharge to usual residence)", "9")
    chart.says("high", "disposition", "usual residence", item("usual residence|home", under=DISPOSITION))
    chart.order("Cardiac rehabilitation, Boorlo Bay", category=[{"text": "Referral"}])
    chart.says("high", "follow-up", "rehabilitation", item("cardiac rehabilitation", under=AFTERCARE))
    return chart.stay(time_zone="Australia/Sydney", serve=Serve(page=6, mirror=True))


def dialysis() -> Stay:
    chart = separation(
        "kalium",
        "Darwin: left against advice; a haemolysed potassium and its repetition; a culture that is still preliminary",
        "2026-01-12T21:45:00+09:30",
        "2026-01-14T18:10:00+09:30",
        urn="TEN-0090412",
        doctor="Dr Priya Raman",
        place="Larrapinta Regional Hospital",
    )
    status = "http://hl7.org.au/fhir/StructureDefinition/indigenous-status"
    own = {
        "system": "https://healthterminologies.gov.au/fhir/CodeSystem/australian-indigenous-status-1",
        "code": "1",
        "display": "Aboriginal but not Torres Strait Islander origin",
    }
    chart.patient |= {"gender": "female", "birthDate": "1979-07-01", "extension": [{"url": status, "valueCoding": own}]}
    accuracy = {
        "url": "http://hl7.org.au/fhir/StructureDefinition/date-accuracy-indicator",
        "valueCoding": {"code": "UEA"},
    }
    chart.patient["_birthDate"] = {"extension": [accuracy]}
    chart.patient["name"] = [
        {"use": "usual", "text": "Mary Jungarrayi"},
        {"use": "old", "family": "Smith", "given": ["Mary"]},
    ]
    chart.says("critical", "identity", "the name that is used", "patient:? mary jungarrayi")
    chart.diagnosis(chart.condition("Hyperkalaemia"), rank=1)
    chart.says("critical", "diagnosis", "hyperkalaemia", item("hyperkalaemia", under=PRINCIPAL))
    chart.condition(
        "End stage kidney disease on haemodialysis (Mon/Wed/Fri)", category="problem-list-item", encounter=None
    )
    chart.says("high", "diagnosis", "on dialysis", item("haemodialysis", under=DIAGNOSES))
    chart.lab(
        "Potassium",
        at="2026-01-12T22:00:00+09:30",
        dataAbsentReason={"text": "Specimen haemolysed"},
        status="cancelled",
    )
    chart.lab(
        "Potassium", 7.9, "mmol/L", (LOINC, "2823-3"), low=3.5, high=5.2, flag="HH", at="2026-01-12T22:40:00+09:30"
    )
    chart.lab("Potassium", exact("4.0"), "mmol/L", (LOINC, "2823-3"), low=3.5, high=5.2, at="2026-01-14T06:00:00+09:30")
    chart.says(
        "critical", "laboratory", "potassium 7.9, then 4.0", first_before(f"potassium.*{number('7.9')}", number("4.0"))
    )
    chart.report(
        "Blood culture",
        "Gram positive cocci in clusters, identification to follow",
        category="MB",
        status="preliminary",
        at="2026-01-13T08:00:00+09:30",
    )
    chart.says("critical", "pending", "the culture is not final", item("blood culture", under=PENDING))
    chart.says("high", "microbiology", "cocci so far", item("gram positive cocci"))
    chart.lab("HBsAb", 8, "m[IU]/mL", at="2026-01-13T09:00:00+09:30", referenceRange=[{"text": "Immune if 10 or more"}])
    chart.never("critical", "laboratory", "antibodies within range", item("HBsAb", under=NORMAL))
    chart.procedure("Haemodialysis", at="2026-01-12T23:50:00+09:30")
    chart.says("high", "procedure", "dialysis, local day", item("haemodialysis", day("2026-01-12"), under=PROCEDURES))
    supply(
        chart,
        "sevelamer carbonate 800 mg tablet",
        dosage("2 tablets with each meal"),
        category="community",
        at="2025-03-01",
        encounter=None,
    )
    supply(chart, "sevelamer carbonate 800 mg tablet", dosage("3 tablets with each meal"))
    chart.says("critical", "dose", "sevelamer, three tablets", taken("sevelamer", "3 tablets with each meal"))
    chart.never("critical", "dose", "the old dose to take", item("^(?!.*3 tablets).*2 tablets with", under=HOME))
    supply(chart, "spironolactone 25 mg tablet", dosage("1 mane"), status="entered-in-error")
    chart.never("critical", "medicine status", "an order made in error", "spironolactone")
    chart.medicine(
        concept("", (SNOMED, "21415011000036104", "darbepoetin alfa")), dosage("60 microgram IV weekly at dialysis")
    )
    chart.says("critical", "dose", "darbepoetin weekly", taken("darbepoetin", mg("60", "microgram"), "weekly"))
    chart.add(
        "Device", status="active", type={"text": "Left radiocephalic AV fistula"}, patient=chart.ref(chart.patient)
    )
    chart.says("medium", "device", "the fistula", item("fistula", under=DEVICES))
    ended(chart, "Left against medical advice / discharge at own risk", "6")
    chart.says("critical", "disposition", "against advice", item("against medical advice", under=DISPOSITION))
    chart.appointment("Renal unit: next dialysis", "2026-01-16T06:30:00+09:30")
    chart.says("critical", "follow-up", "dialysis on 16 January", item("dialysis", day("2026-01-16"), under=FOLLOW_UP))
    return chart.stay(time_zone="Australia/Darwin")

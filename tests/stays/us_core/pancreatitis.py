"""Pancreatitis: units that change, two strengths of one medicine, names by display, requests without a result."""

from tests.stays.build import Chart
from tests.stays.elements import ICD10CM, LOINC, RXNORM, SNOMED, coded, dosage, hl7, identifier, person, quantity
from tests.stays.habits import epic, named, signed
from tests.stays.model import Stay
from tests.stays.words import (
    ABNORMAL,
    ACQUIRED,
    AFTERCARE,
    ALLERGIES,
    AS_NEEDED,
    DAILY,
    DEVICES,
    DIAGNOSES,
    HOME,
    PENDING,
    PRINCIPAL,
    PROCEDURES,
    TWICE,
    UNSURE,
    day,
    item,
    mg,
    number,
    taken,
)


def pancreatitis() -> Stay:
    chart = Chart(
        "us-pancreatitis",
        "US Core",
        "units that change in a series; requests without a result; two orders of one medicine; dangling references",
        start="2026-02-20T11:10:00-06:00",
        end="2026-02-27T14:45:00-06:00",
    )
    epic(chart, "445120", ssn="xxx-xx-2260")
    named(chart, "Bancroft", "Elliot", born="1981-03-03", gender="male")
    signed(chart, "Noemi", "Castro")
    _who(chart)
    _diagnoses(chart)
    _results(chart)
    _treatment(chart)
    _medicines(chart)
    _aftercare(chart)
    return chart.stay(time_zone="America/Chicago")


def _who(chart: Chart) -> None:
    chart.patient["identifier"].insert(
        0, identifier("OLD-7781", {"text": "MRN"}, use="old", period={"end": "2019-01-01"})
    )
    chart.says("critical", "identity", "MRN 445120", r"MRN:? ?445120")
    chart.never("critical", "identity", "the old number as the MRN", r"MRN:? ?OLD-7781")
    first = chart.add("Practitioner", name=[person("Whitaker", "Jonas")])
    chart.encounter["participant"].insert(
        0,
        {
            "type": [hl7("v3-ParticipationType", "ATND")],
            "individual": chart.ref(first),
            "period": {"start": "2026-02-20T11:10:00-06:00", "end": "2026-02-23T08:00:00-06:00"},
        },
    )
    chart.encounter["participant"][1]["period"] = {"start": "2026-02-23T08:00:00-06:00"}
    chart.says("high", "care team", "the attending at the discharge, Noemi Castro", item("attending:.*Noemi Castro"))
    chart.never(
        "medium", "care team", "the attending of the first days as the one who signs", item("attending:.*Whitaker")
    )


def _diagnoses(chart: Chart) -> None:
    chart.diagnosis(
        chart.condition(
            {
                "coding": [
                    {
                        "system": ICD10CM,
                        "code": "K85.20",
                        "display": "Alcohol induced acute pancreatitis without necrosis or infection",
                    }
                ]
            }
        ),
        "DD",
        1,
    )
    chart.says(
        "critical",
        "diagnosis",
        "alcohol induced acute pancreatitis",
        item("alcohol induced acute pancreatitis", under=PRINCIPAL),
    )
    chart.condition("Ileus", onsetDateTime="2026-02-22", clinical="resolved", abatementDateTime="2026-02-25")
    chart.says("medium", "diagnosis", "ileus, which resolved", item("ileus", under=(*DIAGNOSES, *ACQUIRED)))
    chart.condition("Gallstones", verification="unconfirmed")
    chart.never(
        "high",
        "diagnosis",
        "gallstones as certain",
        item(f"^(?!.*{UNSURE}).*gallstones", under=("principal|other diagnos|problem",)),
    )
    chart.condition({"text": ""}, category="encounter-diagnosis", code={})


def _results(chart: Chart) -> None:
    chart.lab("Calcium", 7.1, "mg/dL", (LOINC, "17861-6"), low=8.5, high=10.2, flag="L", at="2026-02-21T06:00:00-06:00")
    chart.lab("Calcium", 2.21, "mmol/L", (LOINC, "2000-8"), low=2.12, high=2.55, at="2026-02-27T06:00:00-06:00")
    chart.says("critical", "laboratory", "calcium 7.1 mg/dL, low", item("calcium", r"7\.1 ?mg/dL", under=ABNORMAL))
    chart.says("high", "laboratory", "calcium 2.21 mmol/L at last", item("calcium", r"2\.21 ?mmol/L"))
    chart.never("critical", "laboratory", "2.21 in the other unit", r"2\.21 ?mg/dL")
    chart.lab("Lipase", 2980, "U/L", (LOINC, "3040-3"), referenceRange=[{"text": "13-60 U/L"}])
    chart.says("critical", "laboratory", "lipase 2980", item("lipase", number("2980"), under=ABNORMAL))
    chart.lab("Triglycerides", 1140, "mg/dL", low=0, high=150, note=[{"text": "Lipemic sample"}])
    chart.says("high", "laboratory", "triglycerides 1140", item("triglycerides", number("1140"), under=ABNORMAL))
    chart.lab("Amylase isoenzymes", valueRange={"low": quantity(40, "U/L"), "high": quantity(60, "U/L")})
    chart.lab(
        "Protein/creatinine, urine",
        valueRatio={"numerator": quantity(350, "mg"), "denominator": quantity(1, "g")},
        flag="H",
    )
    chart.says(
        "medium", "laboratory", "the ratio 350 mg to 1 g", item("protein/creatinine", "350 ?mg ?(/|to|per|:) ?(1 ?)?g")
    )
    chart.lab("Ethanol", 0, "mg/dL", comparator=None, low=None, high=10)
    chart.says("medium", "laboratory", "ethanol 0", item("ethanol", r"(?<![\d.])0 ?mg"))
    chart.lab(
        "Hemoglobin",
        13.9,
        "g/dL",
        (LOINC, "718-7"),
        low=13.2,
        high=16.6,
        status="preliminary",
        at="2026-02-26T06:00:00-06:00",
    )
    chart.lab("Phosphatidylethanol", None, status="registered", at="2026-02-26T10:00:00-06:00")
    chart.says("high", "pending", "phosphatidylethanol pending", item("phosphatidylethanol", under=PENDING))
    chart.order(
        "IgG subclass 4, serum",
        category=[coded(SNOMED, "108252007", "Laboratory procedure")],
        at="2026-02-26T09:00:00-06:00",
    )
    chart.says(
        "high", "pending", "IgG4 was asked for and has no result", item("IgG subclass 4", under=(*PENDING, *AFTERCARE))
    )


def _treatment(chart: Chart) -> None:
    chart.procedure("Nasogastric tube insertion", at="2026-02-22T20:00:00-06:00")
    chart.says("medium", "procedure", "nasogastric tube", item("nasogastric", under=(*PROCEDURES, *DEVICES)))
    chart.procedure(
        "ERCP", status="stopped", statusReason={"text": "Ampulla not reached"}, at="2026-02-24T10:00:00-06:00"
    )
    chart.never(
        "critical",
        "procedure",
        "ERCP as completed",
        item(
            "^(?!.*(stopped|not (done|completed|reached)|broken off|aborted|abandoned|incomplete)).*ERCP",
            under=PROCEDURES,
        ),
    )
    chart.procedure("Paracentesis", status="unknown", at="2026-02-25T10:00:00-06:00")


def _medicines(chart: Chart) -> None:
    for name, text in (
        ("oxycodone ER 10 mg tablet", "Take 10 mg by mouth every 12 hours for 5 days."),
        ("oxycodone IR 5 mg tablet", "Take 5 mg by mouth every 6 hours as needed for pain for 3 days."),
    ):
        chart.medicine(name, dosage(text))
    chart.says("critical", "dose", "oxycodone ER 10 mg every 12 hours", taken("oxycodone ER", mg("10"), TWICE))
    chart.says("critical", "dose", "oxycodone IR 5 mg as needed beside it", taken("oxycodone IR", mg("5"), AS_NEEDED))
    gone = {"reference": "Medication/not-on-this-server", "display": "pancrelipase 36,000 units capsule"}
    chart.medicine("", dosage("Take 2 capsules with each meal and 1 with snacks."), medicationReference=gone)
    chart.says(
        "critical",
        "dose",
        "pancrelipase 2 capsules with meals, 1 with snacks",
        taken("pancrelipase", "2 capsules with each meal", "1 with snacks"),
    )
    chart.medicine(
        {"coding": [{"system": RXNORM, "code": "198051", "display": "omeprazole 20 MG Delayed Release Oral Capsule"}]},
        dosage(
            dose=(20, "mg"),
            route="Oral",
            frequency=1,
            repeat={"frequency": 1, "period": 1, "periodUnit": "d", "when": ["ACM"], "offset": 30},
        ),
    )
    chart.says(
        "critical", "dose", "omeprazole 20 mg before breakfast", taken("omeprazole", mg("20"), "before breakfast|daily")
    )
    chart.home_medicine("gabapentin 300 mg capsule", dosage("Take 300 mg by mouth 3 times daily."), status="completed")
    chart.medicine("gabapentin 300 mg capsule", dosage("Take 300 mg by mouth 2 times daily."))
    chart.says("critical", "dose", "gabapentin 300 mg twice daily", taken("gabapentin", mg("300"), TWICE))
    chart.never("critical", "dose", "gabapentin three times at home", item("gabapentin.*3 times", under=HOME))
    chart.medicine(
        "thiamine 100 mg tablet", dosage("Take 100 mg by mouth daily."), dosage("Take 100 mg by mouth daily.")
    )
    chart.says("high", "dose", "thiamine 100 mg daily", taken("thiamine", mg("100"), DAILY))
    chart.medicine(
        "naltrexone 50 mg tablet",
        dosage(dose=(50, "mg"), route="Oral", frequency=1, repeat={"boundsPeriod": {"start": "2026-03-06"}}),
        note=[{"text": "Start only seven days after the last opioid"}],
    )
    chart.says("critical", "dose", "naltrexone from 6 March", taken("naltrexone", mg("50"), day("2026-03-06")))
    chart.says("high", "dose", "naltrexone only seven days after the last opioid", "naltrexone.*(seven|7) days after")


def _aftercare(chart: Chart) -> None:
    chart.allergy("Hydromorphone", verification="confirmed", clinical="inactive")
    chart.never(
        "medium",
        "allergy",
        "hydromorphone, inactive",
        item("^(?!.*(inactive|resolved|former|past)).*hydromorphone", under=ALLERGIES),
    )
    chart.allergy("Bee venom", category=["biologic"], reaction="Anaphylaxis", clinical=None, verification=None)
    chart.says("critical", "allergy", "bee venom, without statuses", item("bee venom", under=ALLERGIES))
    chart.appointment("Gastroenterology", "2026-03-13T00:30:00Z", with_="Dr. Felix Aduba")
    chart.says(
        "critical", "follow-up", "12 March by local time", item("gastroenterology", day("2026-03-12"), under=AFTERCARE)
    )
    chart.of_stay("Communication", status="completed", payload=[{"contentString": "Told to stop drinking"}])

"""Colon surgery: a stoma, a drain that stays, staging, pathology that was addended, orders in drops and millilitres."""

from tests.stays.build import Chart
from tests.stays.elements import LOINC, SNOMED, dosage, exact, hl7
from tests.stays.habits import named, signed
from tests.stays.model import Stay
from tests.stays.words import (
    ABNORMAL,
    ACQUIRED,
    AFTERCARE,
    ALLERGIES,
    DAILY,
    DIAGNOSES,
    DISPOSITION,
    PENDING,
    PRINCIPAL,
    PROCEDURES,
    TWICE,
    day,
    item,
    mg,
    number,
    taken,
)


def colectomy() -> Stay:
    chart = Chart(
        "ips-colectomy",
        "IPS",
        "attending by PractitionerRole; addended pathology; a range of frequencies; counted doses",
        start="2026-05-11T07:00:00+02:00",
        end="2026-05-19T10:15:00+02:00",
        disposition=None,
    )
    named(chart, "Moretti", "Giulia", born="1959-07-14", gender="female", before="Bianchi")
    signed(chart, "Paolo", "Ferri")
    chart.patient["name"][1]["text"] = "Giulia Moretti"
    _who(chart)
    _diagnoses(chart)
    _operation(chart)
    _results(chart)
    _medicines(chart)
    _aftercare(chart)
    return chart.stay(time_zone="Europe/Rome")


def _who(chart: Chart) -> None:
    role = chart.add(
        "PractitionerRole", practitioner=chart.ref(chart.attending), specialty=[{"text": "Colorectal surgery"}]
    )
    chart.encounter["participant"][0]["individual"] = chart.ref(role)
    chart.says("high", "care team", "attending Paolo Ferri, by his role", "Paolo Ferri")
    chart.says("critical", "identity", "Giulia Moretti", "Giulia Moretti")
    chart.encounter["hospitalization"] = {
        "dischargeDisposition": {
            "coding": [
                {
                    "system": "http://hospital.example.it/dimissione",
                    "code": "2",
                    "display": "Discharged home with home care",
                }
            ]
        }
    }
    chart.says("high", "disposition", "home with home care", item("home with home care", under=DISPOSITION))


def _diagnoses(chart: Chart) -> None:
    main = chart.condition(
        "", (SNOMED, "301756000", "Adenocarcinoma of sigmoid colon"), stage=[{"summary": {"text": "pT3 pN1a M0"}}]
    )
    chart.diagnosis(main, "DD", 1)
    chart.says("critical", "diagnosis", "adenocarcinoma of the sigmoid colon", item("sigmoid", under=PRINCIPAL))
    chart.says("high", "diagnosis", "pT3 pN1a M0", "pT3 ?pN1a ?M0")
    chart.condition(
        "Surgical site infection",
        onsetDateTime="2026-05-15T09:00:00+02:00",
        evidence=[{"code": [{"text": "Purulent discharge"}]}],
    )
    chart.says(
        "critical",
        "diagnosis",
        "surgical site infection",
        item("surgical site infection", under=(*ACQUIRED, *DIAGNOSES)),
    )
    chart.condition("Anastomotic leak", verification="refuted", clinical=None)
    chart.never(
        "critical",
        "diagnosis",
        "anastomotic leak",
        item("^(?!.*(ruled out|refuted)).*anastomotic leak", under=DIAGNOSES),
    )


def _operation(chart: Chart) -> None:
    chart.procedure(
        "Laparoscopic sigmoid colectomy with end colostomy",
        at="2026-05-11T09:30:00+02:00",
        outcome={"text": "R0 resection"},
        complication=[{"text": "Serosal tear, sutured"}],
        bodySite=[{"text": "Sigmoid colon"}],
    )
    chart.says(
        "critical",
        "procedure",
        "sigmoid colectomy with end colostomy",
        item("sigmoid colectomy", "colostomy", under=PROCEDURES),
    )
    chart.says("medium", "procedure", "R0", r"\bR0\b")
    chart.says("high", "procedure", "serosal tear", "serosal tear")
    chart.procedure("Conversion to open surgery", status="not-done")
    chart.never(
        "critical",
        "procedure",
        "a conversion",
        item("^(?!.*not (done|performed)).*conversion to open", under=PROCEDURES),
    )
    drain = chart.add("Device", type={"text": "Pelvic drain, right lower quadrant"}, patient=chart.ref(chart.patient))
    chart.add(
        "DeviceUseStatement",
        status="active",
        subject=chart.ref(chart.patient),
        device=chart.ref(drain),
        timingPeriod={"start": "2026-05-11"},
    )
    chart.says("critical", "device", "the drain is still in", item("pelvic drain"))


def _results(chart: Chart) -> None:
    chart.report(
        "Surgical pathology",
        "Adenocarcinoma, G2, 2 of 18 nodes positive. Addendum: MSI-high.",
        category="PAT",
        status="appended",
        at="2026-05-16T12:00:00+02:00",
    )
    chart.says("critical", "report", "2 of 18 nodes, MSI-high", item("2 of 18 nodes", "MSI-high"))
    chart.lab(
        "Bacteria identified in Wound by Culture",
        valueCodeableConcept={"text": "Pseudomonas aeruginosa"},
        at="2026-05-15T10:00:00+02:00",
        component=[
            {
                "code": {"text": "Piperacillin/tazobactam"},
                "valueString": "resistant",
                "interpretation": [hl7("v3-ObservationInterpretation", "R")],
            },
            {
                "code": {"text": "Ciprofloxacin"},
                "valueString": "susceptible",
                "interpretation": [hl7("v3-ObservationInterpretation", "S")],
            },
        ],
    )
    chart.says("critical", "microbiology", "Pseudomonas in the wound", item("pseudomonas aeruginosa"))
    chart.says(
        "critical",
        "microbiology",
        "resistant to piperacillin/tazobactam",
        r"piperacillin/tazobactam.{0,30}(resist|\bR\b)",
    )
    chart.lab("CEA", 48.6, "ug/L", (LOINC, "2039-6"), referenceRange=[{"text": "≤ 5.0"}])
    chart.says("high", "laboratory", "CEA 48.6, abnormal", item("CEA", number("48.6"), under=ABNORMAL))
    chart.lab("Blood group of the donor", "O negative", focus=[{"reference": "RelatedPerson/donor"}])
    chart.never("high", "laboratory", "the donor's blood group as hers", item("^(?!.*donor).*O negative"))
    chart.report("KRAS mutation analysis", None, category="GE", status="registered", at="2026-05-17T09:00:00+02:00")
    chart.says("critical", "pending", "KRAS analysis pending", item("KRAS", under=PENDING))


def _medicines(chart: Chart) -> None:
    chart.medicine(
        "Ciprofloxacin 500 mg",
        dosage(dose=(500, "mg"), route="Oral", frequency=2, repeat={"boundsPeriod": {"end": "2026-05-24"}}),
    )
    chart.says(
        "critical",
        "dose",
        "ciprofloxacin 500 mg twice daily until 24 May",
        taken("ciprofloxacin", mg("500"), TWICE, day("2026-05-24")),
    )
    chart.medicine(
        "Nadroparin 2850 IU anti-Xa/0.3 mL",
        dosage(dose=(exact("0.3"), "mL"), route="Subcutaneous", frequency=1, repeat={"count": 20}),
    )
    chart.says("critical", "dose", "nadroparin 0.3 mL daily", taken("nadroparin", r"(?<![\d.,])0[.,]3 ?mL", DAILY))
    chart.says("high", "dose", "20 doses", "nadroparin.*\\b20 (doses|times|injections|x)")
    chart.medicine(
        "Metamizole 500 mg/mL drops",
        dosage(
            "20-40 gocce fino a 4 volte al giorno",
            dose=(20, 40, "drop"),
            repeat={"frequency": 1, "frequencyMax": 4, "period": 1, "periodUnit": "d"},
            as_needed=True,
        ),
    )
    chart.says("critical", "dose", "metamizole 20-40 drops", taken("metamizole", r"20 ?(-|–|to) ?40 (gocce|drop)"))
    chart.medicine(
        "Loperamide 2 mg",
        dosage(
            dose=(2, "mg"),
            route="Oral",
            repeat={"frequency": 1, "period": 6, "periodMax": 8, "periodUnit": "h"},
            as_needed="High stoma output",
        ),
    )
    chart.says(
        "critical",
        "dose",
        "loperamide 2 mg every 6-8 hours for high output",
        taken("loperamide", mg("2"), r"6 ?(-|–|to) ?8 ?h", "high stoma output"),
    )
    chart.home_medicine(
        "Acetylsalicylic acid 100 mg",
        dosage("100 mg daily"),
        status="on-hold",
        statusReason={"text": "Until 14 days after surgery"},
    )
    chart.never("critical", "medicine status", "aspirin, which is on hold", taken("acetylsalicylic"))
    chart.says(
        "critical",
        "medicine status",
        "aspirin is on hold",
        "acetylsalicylic.*(hold|held|paus)|(hold|held).*acetylsalicylic",
        item("acetylsalicylic", under=("on hold|not to take",)),
    )


def _aftercare(chart: Chart) -> None:
    chart.of_stay(
        "SupplyRequest",
        subject=None,
        encounter=None,
        status="active",
        itemCodeableConcept={"text": "Colostomy bags, 57 mm"},
    )
    chart.order("Home care nurse: stoma care daily for two weeks", category=[{"text": "Home care"}])
    chart.says("high", "follow-up", "the nurse for the stoma", "stoma care daily")
    chart.appointment("Ambulatorio chirurgia: drain removal", "2026-05-26T08:40:00+02:00")
    chart.says(
        "critical", "follow-up", "drain removal on 26 May", item("drain removal", day("2026-05-26"), under=AFTERCARE)
    )
    chart.of_stay(
        "CarePlan",
        status="revoked",
        intent="plan",
        activity=[{"detail": {"status": "cancelled", "description": "Bowel preparation"}}],
    )
    chart.never("medium", "care plan", "a revoked plan", "^(?!.*(revoked|cancel)).*bowel preparation")
    chart.of_stay("CarePlan", status="active", intent="plan", description="Low-residue diet for four weeks")
    chart.says("high", "care plan", "low-residue diet", "low-residue diet")
    chart.allergy("Metronidazole", reaction="Peripheral neuropathy", type="intolerance", criticality="low")
    chart.says("critical", "allergy", "metronidazole", item("metronidazole", under=ALLERGIES))

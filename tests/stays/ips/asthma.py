"""A child with asthma: doses by spray and by weight, food allergy, orders with and without a category, guardians."""

from tests.stays.build import Chart
from tests.stays.elements import BASE, LOINC, SNOMED, dosage, hl7
from tests.stays.habits import named, signed
from tests.stays.model import Serve, Stay
from tests.stays.words import (
    ABNORMAL,
    AFTERCARE,
    ALLERGIES,
    AS_NEEDED,
    DAILY,
    DIAGNOSES,
    GIVEN,
    HOME,
    PRINCIPAL,
    RECONCILIATION,
    VITALS,
    day,
    item,
    mg,
    number,
    taken,
)


def asthma() -> Stay:
    chart = Chart(
        "ips-asthma",
        "IPS",
        "orders without category; a versioned reference; allergy with several reactions; pages of five",
        start="2026-03-28T22:30:00+00:00",
        end="2026-03-30T12:00:00+01:00",
    )
    named(chart, "Gallagher", "Niamh", born="2019-08-08", gender="female")
    signed(chart, "Padraig", "Keane")
    chart.says(
        "high", "dates", "28 to 30 March, over the change to summer time", f"{day('2026-03-28')}.*{day('2026-03-30')}"
    )
    _diagnoses(chart)
    _findings(chart)
    _medicines(chart)
    _aftercare(chart)
    return chart.stay(serve=Serve(page=5, mirror=True), time_zone="Europe/Dublin")


def _diagnoses(chart: Chart) -> None:
    versioned = {"reference": f"{BASE}/Encounter/{chart.encounter['id']}/_history/4"}
    main = chart.condition("", (SNOMED, "708090002", "Acute severe exacerbation of asthma"), encounter=versioned)
    chart.diagnosis(main, None, 1)
    chart.says(
        "critical",
        "diagnosis",
        "severe exacerbation of asthma",
        item("exacerbation of asthma", under=(*PRINCIPAL, *DIAGNOSES)),
    )
    chart.condition("Pneumothorax", verification="refuted", clinical=None)
    chart.never(
        "critical", "diagnosis", "pneumothorax", item("^(?!.*(ruled out|refuted)).*pneumothorax", under=DIAGNOSES)
    )
    peanut = chart.allergy("Peanut", (SNOMED, "91935009"), category=["food"], criticality="high")
    peanut["reaction"] = [
        {"manifestation": [{"text": "Angioedema"}], "severity": "severe"},
        {"manifestation": [{"text": "Wheeze"}], "severity": "moderate"},
    ]
    chart.says("critical", "allergy", "peanut: angioedema", item("peanut", "angioedema", under=ALLERGIES))
    chart.allergy("Egg", clinical="resolved", verification="confirmed", category=["food"])
    chart.never(
        "medium",
        "allergy",
        "egg as a present allergy",
        item("^(?!.*(resolved|outgrown|inactive|former|past)).*egg", under=ALLERGIES),
    )


def _findings(chart: Chart) -> None:
    chart.vital("Oxygen saturation", 97, "%", (LOINC, "2708-6"), at="2026-03-30T10:00:00+01:00")
    chart.vital("Oxygen saturation", 86, "%", (LOINC, "2708-6"), at="2026-03-28T22:40:00+00:00")
    chart.says("critical", "vital sign", "97 % at last", item("saturation", number("97"), under=VITALS))
    chart.lab("Eosinophils", 1.42, "10*9/L", (LOINC, "711-2"), low=0.04, high=0.4, flag="H")
    chart.says("high", "laboratory", "eosinophils 1.42", item("eosinophils", number("1.42"), under=ABNORMAL))
    chart.lab(
        "Respiratory virus panel",
        component=[
            {
                "code": {"text": "Rhinovirus"},
                "valueCodeableConcept": {"text": "Detected"},
                "interpretation": [hl7("v3-ObservationInterpretation", "POS")],
            },
            {"code": {"text": "Influenza B"}, "valueCodeableConcept": {"text": "Not detected"}},
        ],
    )
    chart.says("high", "laboratory", "rhinovirus detected", "rhinovirus.{0,12}detected")
    chart.never("critical", "laboratory", "influenza B as detected", r"influenza B:? *detected")


def _medicines(chart: Chart) -> None:
    chart.medicine(
        "Prednisolone 5 mg soluble tablet", dosage(dose=(40, "mg"), route="Oral", frequency=1, days=3), category=None
    )
    chart.says("critical", "dose", "prednisolone 40 mg daily for 3 days", taken("prednisolone", mg("40"), DAILY, "3 d"))
    chart.medicine(
        "Salbutamol 100 micrograms/puff",
        dosage("Up to 10 puffs by spacer every 4 hours when needed for wheeze", as_needed=True),
        category=None,
    )
    chart.says(
        "critical",
        "dose",
        "salbutamol up to 10 puffs every 4 hours when needed",
        taken("salbutamol", "10 puffs", "every 4 h", AS_NEEDED),
    )
    chart.home_medicine("Beclometasone 50 micrograms/puff", dosage(dose=(1, "puff"), route="Inhalation", frequency=2))
    chart.medicine("Beclometasone 50 micrograms/puff", dosage(dose=(2, "puff"), route="Inhalation", frequency=2))
    chart.says(
        "critical",
        "medicine status",
        "beclometasone from 1 to 2 puffs",
        item("beclometasone", r"\b1 puff", r"\b2 puff", "chang|increas", under=RECONCILIATION),
    )
    chart.medicine(
        "Magnesium sulfate",
        dosage("40 mg/kg IV over 20 minutes"),
        category="inpatient",
        status="completed",
        at="2026-03-28T23:10:00+00:00",
    )
    chart.says("medium", "medicine", "magnesium in hospital", item("magnesium", under=(*GIVEN, *RECONCILIATION)))
    chart.never("critical", "medicine status", "magnesium at home", item("magnesium", under=HOME))
    chart.medicine(
        "Adrenaline 150 micrograms auto-injector",
        dosage(dose=(150, "ug"), route="Intramuscular", as_needed="Anaphylaxis"),
    )
    chart.says(
        "critical",
        "dose",
        "adrenaline 150 micrograms for anaphylaxis",
        taken("adrenaline", r"150 ?(mcg|micrograms|ug|µg|μg)", "anaphylaxis"),
    )


def _aftercare(chart: Chart) -> None:
    chart.care_plan("Asthma action plan explained to both parents", status="active")
    chart.says("medium", "care plan", "asthma action plan", "asthma action plan")
    chart.appointment("GP review", "2026-04-01T09:10:00+01:00")
    chart.says("critical", "follow-up", "GP on 1 April", item("GP review", day("2026-04-01"), under=AFTERCARE))

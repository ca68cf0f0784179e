"""COPD exacerbation: a taper, a range of puffs, oxygen at home, blood gas as components, vaccines."""

from tests.stays.build import Chart
from tests.stays.elements import ICD10CM, LOINC, dosage, hl7, limits
from tests.stays.habits import epic, named, panel_part, signed
from tests.stays.model import Stay
from tests.stays.words import (
    ABNORMAL,
    ALLERGIES,
    AS_NEEDED,
    DIAGNOSES,
    FUNCTION,
    HOME,
    IMMUNIZATIONS,
    PENDING,
    PRINCIPAL,
    RECONCILIATION,
    RULED_OUT,
    SUSPECTED,
    TAKEN,
    UNSURE,
    VITALS,
    day,
    item,
    mg,
    number,
    taken,
    together,
)


def copd() -> Stay:
    chart = Chart(
        "us-copd",
        "US Core",
        "taper in four dosages; doseRange; oxygen as a DeviceRequest; components; a discharge date without a time",
        start="2026-02-10T08:00:00-07:00",
        end="2026-02-14",
    )
    epic(chart, "330981")
    named(chart, "Ostrander", "Leland", born="1949-12-05", gender="male", before="Ostranderson")
    signed(chart, "Miguel", "Ibarra")
    _diagnoses(chart)
    _results(chart)
    _breathing(chart)
    _taper(chart)
    _inhalers(chart)
    _aftercare(chart)
    _end(chart)
    return chart.stay(time_zone="America/Denver")


def _diagnoses(chart: Chart) -> None:
    chart.diagnosis(chart.condition("Acute exacerbation of COPD", (ICD10CM, "J44.1")), "DD", 1)
    chart.says("critical", "diagnosis", "COPD exacerbation", item("exacerbation of COPD", under=PRINCIPAL))
    chart.condition("Pulmonary embolism", clinical=None, verification="refuted")
    chart.says(
        "medium",
        "diagnosis",
        "pulmonary embolism was ruled out",
        item("pulmonary embolism", under=RULED_OUT),
        "pulmonary embolism.*(ruled out|refuted|excluded)",
        anywhere=True,
    )
    chart.never(
        "critical",
        "diagnosis",
        "pulmonary embolism as a diagnosis",
        item("^(?!.*(ruled out|refuted)).*pulmonary embolism", under=DIAGNOSES),
    )
    chart.condition("Lung nodule, possibly malignant", verification="provisional")
    chart.says(
        "high",
        "diagnosis",
        "lung nodule only as provisional",
        item("lung nodule", under=SUSPECTED),
        f"lung nodule.*{UNSURE}",
    )


def _results(chart: Chart) -> None:
    chart.observation(
        "Arterial blood gas",
        (LOINC, "24336-0"),
        category="laboratory",
        at="2026-02-10T08:40:00-07:00",
        component=[
            panel_part("pH", 7.248, "[pH]")
            | {"referenceRange": [limits(7.35, 7.45)], "interpretation": [hl7("v3-ObservationInterpretation", "L")]},
            panel_part("pCO2", 71.6, "mm[Hg]")
            | {"referenceRange": [limits(35, 45)], "interpretation": [hl7("v3-ObservationInterpretation", "HH")]},
            panel_part("Bicarbonate", 24, "mmol/L") | {"referenceRange": [limits(22, 26)]},
        ],
    )
    chart.says("critical", "laboratory", "pH 7.248, abnormal", item(r"\bpH\b", number("7.248"), under=ABNORMAL))
    chart.says("critical", "laboratory", "pCO2 71.6, abnormal", item("pCO2", number("71.6"), under=ABNORMAL))
    chart.never(
        "high",
        "laboratory",
        "bicarbonate 24 as abnormal",
        item("^[^;|]*bicarbonate.* 24 ", under=ABNORMAL, not_under=("none",)),
    )


def _breathing(chart: Chart) -> None:
    chart.vital("Oxygen saturation", 91, "%", (LOINC, "59408-5"), at="2026-02-14T07:30:00-07:00")
    chart.says(
        "high",
        "vital sign",
        "SpO2 91 % on the last day",
        item("saturation|SpO2", number("91"), under=(*VITALS, *FUNCTION)),
    )
    chart.vital("Inhaled oxygen flow rate", 2, "L/min", (LOINC, "3151-8"), at="2026-02-14T07:30:00-07:00")
    chart.says("critical", "vital sign", "on 2 L/min of oxygen", r"oxygen.*\b2(\.0)? ?L(/min| per minute)")


def _taper(chart: Chart) -> None:
    steps = [(40, 3, "Days 1 to 3"), (30, 3, "Days 4 to 6"), (20, 3, "Days 7 to 9"), (10, 3, "Days 10 to 12")]
    chart.medicine(
        "prednisone 10 mg tablet",
        *(
            dosage(text, sequence=n, dose=(mgs, "mg"), route="Oral", frequency=1, days=days)
            for n, (mgs, days, text) in enumerate(steps, 1)
        ),
        at="2026-02-14",
    )
    for mgs, _, days in steps:
        chart.says(
            "critical",
            "dose",
            f"prednisone {mgs} mg on {days.lower()}",
            item(
                "prednisone",
                mg(str(mgs)) + r".{0,60}(3 days|" + days + ")|" + days + ".{0,40}" + mg(str(mgs)),
                under=TAKEN,
            ),
            together("prednisone", mg(str(mgs)), under=HOME),
        )


def _inhalers(chart: Chart) -> None:
    chart.medicine(
        "albuterol HFA 90 mcg/actuation inhaler",
        dosage(dose=(1, 2, "puff"), route="Inhalation", frequency=1, period=4, unit="h", as_needed="Wheezing"),
        at="2026-02-14",
    )
    often = r"(every 4 ?h|q4h|4-hourly|6 times)"
    chart.says(
        "critical",
        "dose",
        "albuterol 1-2 puffs every 4 hours as needed",
        taken("albuterol", "1 ?(-|–|to) ?2 puff", often, AS_NEEDED),
    )
    chart.home_medicine("tiotropium 18 mcg inhalation capsule", dosage("Inhale 1 capsule (18 mcg) daily."))
    chart.medicine("tiotropium 18 mcg inhalation capsule", dosage("Inhale 1 capsule (18 mcg) daily."), at="2026-02-14")
    chart.says(
        "high", "medicine status", "tiotropium continued", item("tiotropium", "continu|unchanged", under=RECONCILIATION)
    )
    chart.home_medicine(
        "theophylline 200 mg ER capsule",
        dosage("Take 200 mg by mouth 2 times daily."),
        status="stopped",
        statusReason={"text": "Drug interaction with ciprofloxacin"},
    )
    chart.never("critical", "medicine status", "theophylline, stopped", taken("theophylline"))


def _aftercare(chart: Chart) -> None:
    chart.of_stay(
        "DeviceRequest",
        status="active",
        intent="order",
        codeCodeableConcept={"text": "Home oxygen concentrator, 2 L/min at night"},
        authoredOn="2026-02-14",
    )
    chart.says("critical", "follow-up", "oxygen concentrator at home", "oxygen concentrator")
    chart.immunization("Influenza, high-dose, quadrivalent", "2026-02-13T10:00:00-07:00")
    chart.says("high", "immunization", "influenza vaccine given", item("influenza", under=IMMUNIZATIONS))
    chart.immunization(
        "Pneumococcal conjugate PCV20",
        "2026-02-13T10:00:00-07:00",
        status="not-done",
        statusReason={"text": "Patient refused"},
    )
    chart.never(
        "critical",
        "immunization",
        "pneumococcal vaccine as given",
        item("^(?!.*(not (given|done)|refus|declin)).*(pneumococcal|PCV20)", under=IMMUNIZATIONS),
    )
    chart.allergy("Penicillin", verification="unconfirmed", reaction="Rash in childhood")
    chart.says("critical", "allergy", "penicillin", item("penicillin", under=ALLERGIES))


def _end(chart: Chart) -> None:
    chart.lab("Alpha-1 antitrypsin phenotype", None, status="registered", at="2026-02-12T08:00:00-07:00")
    chart.says(
        "high",
        "pending",
        "antitrypsin phenotype pending",
        item("antitrypsin", under=PENDING),
        "antitrypsin.*(pending|registered)",
    )
    chart.says("high", "dates", "discharged on 14 February", f"discharged {day('2026-02-14')}", day("2026-02-14"))

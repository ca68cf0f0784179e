"""Cesarean birth: titres, a vaccine, two orders of one medicine, the newborn's data in the mother's chart."""

from tests.stays.build import Chart
from tests.stays.elements import ICD10CM, LOINC, SNOMED, coded, dosage, hl7, quantity
from tests.stays.habits import epic, named, signed
from tests.stays.model import Stay
from tests.stays.words import (
    ABNORMAL,
    ALLERGIES,
    AS_NEEDED,
    FOUR_TIMES,
    GIVEN,
    HOME,
    IMMUNIZATIONS,
    PENDING,
    PRINCIPAL,
    PROCEDURES,
    RECONCILIATION,
    THREE_TIMES,
    item,
    mg,
    number,
    taken,
    together,
)


def cesarean() -> Stay:
    chart = Chart(
        "us-birth",
        "US Core",
        "titres as text; refuted penicillin allergy; two orders of one medicine; the newborn in the mother's chart",
        start="2026-04-08T05:50:00-05:00",
        end="2026-04-11T12:10:00-05:00",
    )
    epic(chart, "518830", ssn="xxx-xx-7144")
    named(chart, "Adeyemi", "Folasade", born="1994-10-02", gender="female", before="Balogun")
    signed(chart, "Karin", "Lindqvist")
    _diagnoses(chart)
    _results(chart)
    _birth(chart)
    _medicines(chart)
    _aftercare(chart)
    return chart.stay(time_zone="America/Chicago")


def _diagnoses(chart: Chart) -> None:
    chart.diagnosis(
        chart.condition("Cesarean delivery for breech presentation at 39 weeks", (ICD10CM, "O32.1XX0")), "DD", 1
    )
    chart.says("critical", "diagnosis", "cesarean for breech at 39 weeks", item("breech.*39 weeks", under=PRINCIPAL))
    chart.condition("Postpartum hemorrhage", onsetDateTime="2026-04-08T09:40:00-05:00")
    chart.says("critical", "diagnosis", "postpartum hemorrhage", "postpartum hemorrhage")
    chart.condition(
        "Gestational diabetes", clinical="resolved", onsetDateTime="2026-01-12", abatementDateTime="2026-04-08"
    )
    chart.says("medium", "diagnosis", "gestational diabetes", "gestational diabetes", anywhere=True)
    chart.allergy("Penicillin G", verification="refuted")
    chart.never(
        "critical",
        "allergy",
        "penicillin, refuted",
        item("^(?!.*(refuted|ruled out|disproved)).*penicillin", under=ALLERGIES),
    )
    chart.allergy("Ondansetron", reaction="Prolonged QT interval", criticality="high")
    chart.says("critical", "allergy", "ondansetron", item("ondansetron", under=ALLERGIES))


def _results(chart: Chart) -> None:
    chart.lab("Anti-D antibody titre", "1:16", interpretation=[{"text": "Abnormal"}])
    chart.says("high", "laboratory", "anti-D titre 1:16", item("anti-D", r"1:16\b"))
    chart.lab("Rubella IgG antibody", "Non-immune", interpretation=[hl7("v3-ObservationInterpretation", "A")])
    chart.says("high", "laboratory", "rubella: not immune", item("rubella", "non-immune", under=ABNORMAL))
    chart.lab("Hemoglobin", 8.1, "g/dL", (LOINC, "718-7"), low=11.6, high=15.0, at="2026-04-09T06:00:00-05:00")
    chart.says("critical", "laboratory", "hemoglobin 8.1", item("hemoglobin", number("8.1"), under=ABNORMAL))
    chart.lab("Hepatitis B surface antigen", valueCodeableConcept=coded(SNOMED, "260385009", "Negative"))
    chart.says("medium", "laboratory", "hepatitis B antigen negative", item("hepatitis B surface antigen", "negative"))
    chart.lab("Group B streptococcus culture", None, dataAbsentReason=hl7("data-absent-reason", "error"))
    chart.never("high", "laboratory", "a result of the GBS culture", "streptococcus.*(positive|negative)")
    chart.report("Placental pathology", None, category="LAB", status="partial", at="2026-04-08T11:00:00-05:00")
    chart.says("critical", "pending", "placental pathology", item("placental pathology", under=PENDING))


def _birth(chart: Chart) -> None:
    chart.procedure(
        "Primary low transverse cesarean section",
        at="2026-04-08T08:55:00-05:00",
        note=[{"text": "Estimated blood loss 1,250 mL"}],
    )
    chart.says("critical", "procedure", "cesarean section", item("cesarean section", under=PROCEDURES))
    chart.says("high", "procedure", "1,250 mL of blood lost", "1[,.]?250 ?mL")
    chart.procedure("Bilateral tubal ligation", status="preparation")
    chart.never(
        "critical",
        "procedure",
        "tubal ligation as done",
        item("^(?!.*(not|prepar|plan)).*tubal ligation", under=PROCEDURES),
    )
    chart.observation(
        "Newborn",
        category="social-history",
        at="2026-04-08T08:59:00-05:00",
        valueString="Live female infant, 3,310 g, Apgar 8 and 9",
    )
    chart.says("medium", "report", "a live girl of 3,310 g", "3[,.]?310 ?g", anywhere=True)
    chart.never("critical", "vital sign", "3,310 g as the mother's weight", item("^(?!.*(newborn|infant)).*3[,.]?310"))
    chart.immunization("MMR vaccine", "2026-04-11T10:00:00-05:00")
    chart.says("high", "immunization", "MMR given", item("MMR", under=IMMUNIZATIONS))
    chart.administration(
        "Rho(D) immune globulin",
        {"dose": quantity(300, "ug"), "route": {"text": "Intramuscular"}},
        at="2026-04-09T11:00:00-05:00",
    )
    chart.says(
        "high", "medicine", "anti-D immune globulin given", item("immune globulin", under=(*GIVEN, *IMMUNIZATIONS))
    )


def _medicines(chart: Chart) -> None:
    chart.medicine(
        "ibuprofen 600 mg tablet", dosage(dose=(600, "mg"), route="Oral", frequency=1, period=6, unit="h", days=7)
    )
    chart.says(
        "critical",
        "dose",
        "ibuprofen 600 mg every 6 hours for 7 days",
        taken("ibuprofen", mg("600"), FOUR_TIMES, "7 d|a week"),
    )
    chart.medicine(
        "acetaminophen 500 mg tablet",
        dosage(
            "Take 2 tablets (1,000 mg total) by mouth every 8 hours as needed for pain.",
            maxDosePerPeriod={"numerator": quantity(3000, "mg"), "denominator": quantity(24, "h")},
        ),
    )
    chart.says(
        "critical",
        "dose",
        "acetaminophen 1,000 mg every 8 hours as needed",
        taken("acetaminophen", "1,?000 ?mg", THREE_TIMES, AS_NEEDED),
    )
    chart.says(
        "critical",
        "dose",
        "at most 3,000 mg in 24 hours",
        r"acetaminophen.*(max|at most|no more|not more|up to).*3,?000 ?mg",
    )
    chart.medicine(
        "fentanyl 50 mcg/mL injection",
        dosage("50 mcg IV once"),
        category="inpatient",
        status="completed",
        at="2026-04-08T09:00:00-05:00",
    )
    chart.medicine(
        "fentanyl 2 mcg/mL epidural infusion",
        dosage("8 mL/hour, epidural"),
        category="inpatient",
        status="completed",
        at="2026-04-08T06:30:00-05:00",
    )
    both = (*GIVEN, *RECONCILIATION)
    chart.says("medium", "medicine", "both orders of fentanyl", together("50 ?mcg IV", "8 ?mL/h", under=both))
    chart.medicine(
        "ferrous sulfate 325 mg (65 mg iron) tablet", dosage("Take 1 tablet (325 mg total) by mouth every other day.")
    )
    chart.says(
        "critical", "dose", "iron every other day", taken("ferrous sulfate", "every other day|every 2 days|every 48 h")
    )
    chart.never("critical", "medicine status", "fentanyl to take at home", item("fentanyl", under=HOME))


def _aftercare(chart: Chart) -> None:
    chart.appointment("Postpartum visit", "2026-05-20T15:00:00-05:00", status="pending", with_="Women's Clinic")
    chart.says("high", "follow-up", "postpartum visit", "postpartum visit")
    chart.care_plan("No heavy lifting for six weeks", "Pelvic rest for six weeks")
    chart.says("high", "care plan", "no heavy lifting for six weeks", "no heavy lifting for (six|6) weeks")

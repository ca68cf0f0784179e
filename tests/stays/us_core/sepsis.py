"""Urosepsis: ranges as text, critical flags, a culture with susceptibilities, an allergy that was recorded late."""

from tests.stays.build import Chart
from tests.stays.elements import ICD10CM, LOINC, RXNORM, SNOMED, coded, dosage
from tests.stays.habits import epic, named, signed
from tests.stays.model import Stay
from tests.stays.words import (
    ABNORMAL,
    ACQUIRED,
    AFTERCARE,
    ALLERGIES,
    DEVICES,
    DIAGNOSES,
    GIVEN,
    HOME,
    MICRO,
    NORMAL,
    PENDING,
    PRINCIPAL,
    PROCEDURES,
    REASON,
    RECONCILIATION,
    REPORTS,
    TWICE,
    day,
    first_before,
    item,
    mg,
    number,
    taken,
)


def sepsis() -> Stay:
    chart = Chart(
        "us-sepsis",
        "US Core",
        "ranges and flags in words; susceptibilities as members; allergy recorded late; maiden name first",
        start="2026-03-02T21:40:00-06:00",
        end="2026-03-09T11:20:00-06:00",
    )
    epic(chart, "771204")
    named(chart, "Whitlock", "Marguerite", "Anne", born="1951-04-17", gender="female", before="Delacroix")
    signed(chart, "Priya", "Raman")
    _who(chart)
    _diagnoses(chart)
    _results(chart)
    _cultures(chart)
    _treatment(chart)
    _medicines(chart)
    _aftercare(chart)
    return chart.stay(time_zone="America/Chicago")


def _who(chart: Chart) -> None:
    chart.says("critical", "identity", "Marguerite Anne Whitlock", "Marguerite (Anne |A\\. )?Whitlock")
    chart.says("critical", "identity", "MRN 771204", r"MRN:? ?771204")
    chart.never("critical", "identity", "the SSN", "6019")
    chart.never("high", "identity", "the maiden name as the name", "Delacroix")
    chart.says("high", "dates", "2 to 9 March in Chicago, not 3 March", f"{day('2026-03-02')}.*{day('2026-03-09')}")
    chart.says("high", "care team", "attending Priya Raman", "Priya Raman")
    chart.encounter["reasonCode"] = [{"text": "Fever, rigors and confusion"}]
    chart.says("high", "reason", "fever, rigors and confusion", item("fever, rigors and confusion", under=REASON))


def _diagnoses(chart: Chart) -> None:
    chart.diagnosis(chart.condition("Fever", (ICD10CM, "R50.9")), "AD", 1)
    chart.diagnosis(chart.condition("Sepsis due to Escherichia coli", (ICD10CM, "A41.51")), "DD", 1)
    chart.says("critical", "diagnosis", "sepsis is the principal diagnosis", item("sepsis", under=PRINCIPAL))
    chart.never("high", "diagnosis", "fever as the principal diagnosis", item("^fever", under=PRINCIPAL))
    chart.diagnosis(chart.condition("Acute kidney injury", (ICD10CM, "N17.9")), "DD", 2)
    chart.says("high", "diagnosis", "acute kidney injury", item("acute kidney injury", under=DIAGNOSES))
    chart.condition("Endocarditis", clinical=None, verification="refuted")
    chart.never("critical", "diagnosis", "endocarditis, which was refuted", item("endocarditis", under=DIAGNOSES))
    chart.condition("Lung cancer", clinical=None, verification="entered-in-error")
    chart.never("critical", "diagnosis", "lung cancer, entered in error", "lung cancer")
    poa = {
        "url": "http://hl7.org/fhir/StructureDefinition/condition-dueTo",
        "valueCodeableConcept": {"text": "catheter"},
    }
    acquired = chart.condition(
        "Hospital-acquired delirium", onsetDateTime="2026-03-04T03:00:00-06:00", extension=[poa], clinical="resolved"
    )
    chart.diagnosis(acquired, "CC", 3)
    chart.says("high", "diagnosis", "delirium", item("delirium", under=(*ACQUIRED, *DIAGNOSES)))


def _results(chart: Chart) -> None:
    chart.lab(
        "Lactic acid",
        6.3,
        "mmol/L",
        (LOINC, "2524-7"),
        at="2026-03-02T22:05:00-06:00",
        referenceRange=[{"text": "0.5 - 2.0 mmol/L"}],
        interpretation=[{"text": "High Panic"}],
    )
    chart.says(
        "critical", "laboratory", "lactic acid 6.3, abnormal", item("lactic acid", number("6.3"), under=ABNORMAL)
    )
    chart.lab("Potassium", 6.6, "mmol/L", (LOINC, "2823-3"), low=3.5, high=5.1, flag="HH")
    chart.says("critical", "laboratory", "potassium 6.6, abnormal", item("potassium", number("6.6"), under=ABNORMAL))
    chart.lab("Procalcitonin", 38.25, "ng/mL", (LOINC, "33959-8"), referenceRange=[{"text": "<=0.5"}])
    chart.says(
        "high", "laboratory", "procalcitonin 38.25, abnormal", item("procalcitonin", number("38.25"), under=ABNORMAL)
    )
    chart.lab("Creatinine", 3.4, "mg/dL", (LOINC, "2160-0"), low=0.5, high=1.1, at="2026-03-02T22:05:00-06:00")
    chart.lab("Creatinine", 1.05, "mg/dL", (LOINC, "2160-0"), low=0.5, high=1.1, at="2026-03-09T06:00:00-06:00")
    both = item("creatinine", number("3.4"), number("1.05"))
    chart.says("critical", "laboratory", "creatinine from 3.4 to 1.05", both, first_before("3.4", "1.05", ABNORMAL))
    chart.lab("Sodium", 139, "mmol/L", (LOINC, "2951-2"), referenceRange=[{"text": "136 - 145"}])
    chart.says("medium", "laboratory", "sodium 139 is normal", item("sodium", number("139"), under=NORMAL))
    chart.lab("Glucose", 412, "mg/dL", (LOINC, "2345-7"), status="entered-in-error", low=70, high=99)
    chart.never("critical", "laboratory", "glucose 412, entered in error", number("412"))
    chart.lab("Hemoglobin", 12.8, "g/dL", (LOINC, "718-7"), low=12, high=16, at="2026-03-15T09:00:00-06:00")
    chart.never("high", "laboratory", "hemoglobin of the week after", number("12.8"))


def _cultures(chart: Chart) -> None:
    members = []
    for drug, value, sign, flag in (("Ceftriaxone", 1, "<=", "S"), ("Ciprofloxacin", 4, ">=", "R")):
        members.append(
            chart.lab(
                f"{drug} [Susceptibility]", value, "ug/mL", comparator=sign, flag=flag, at="2026-03-04T10:00:00-06:00"
            )
        )
    culture = chart.lab(
        "Bacteria identified in Blood by Culture",
        None,
        None,
        (LOINC, "600-7"),
        at="2026-03-02T22:10:00-06:00",
        valueCodeableConcept=coded(SNOMED, "112283007", "Escherichia coli"),
        hasMember=[chart.ref(member) for member in members],
    )
    chart.report("Blood culture", None, category="MB", at="2026-03-02T22:10:00-06:00", result=[chart.ref(culture)])
    chart.says(
        "critical", "microbiology", "E. coli in blood", item("escherichia coli|e\\. ?coli", under=(*MICRO, *REPORTS))
    )
    cipro = r"ciprofloxacin.{0,40}(resistant|\bR\b)|(resistant|\bR\b).{0,60}ciprofloxacin"
    chart.says("critical", "microbiology", "resistant to ciprofloxacin", cipro)
    cef = r"ceftriaxone.{0,40}(susceptible|sensitive|\bS\b)|(susceptible|sensitive|\bS\b).{0,40}ceftriaxone"
    chart.says("high", "microbiology", "susceptible to ceftriaxone", cef)
    chart.report("Urine culture, repeat", None, category="MB", status="preliminary", at="2026-03-08T09:00:00-06:00")
    chart.says("critical", "pending", "repeat urine culture pending", item("urine culture", under=PENDING))
    chart.report("CT abdomen and pelvis", "Obstructing 7 mm stone at the left ureterovesical junction.")
    chart.says("high", "report", "7 mm stone, left", item("7 mm stone", "left", under=REPORTS))


def _treatment(chart: Chart) -> None:
    chart.procedure("Left ureteral stent placement", (SNOMED, "176096003"), at="2026-03-03T08:15:00-06:00")
    chart.says(
        "critical", "procedure", "left ureteral stent", item("left ureteral stent", under=(*PROCEDURES, *DEVICES))
    )
    chart.procedure("Percutaneous nephrostomy", status="not-done", statusReason={"text": "Stent was sufficient"})
    not_done = "^(?!.*(not (done|performed)|cancel)).*nephrostomy"
    chart.never("critical", "procedure", "nephrostomy as done", item(not_done, under=PROCEDURES))
    chart.allergy(
        "Vancomycin", (RXNORM, "11124"), recorded="2026-03-11", reaction="Red man syndrome", criticality="low"
    )
    chart.says("critical", "allergy", "vancomycin, recorded two days later", item("vancomycin", under=ALLERGIES))
    chart.says("medium", "allergy", "its reaction", item("vancomycin", "red man", under=ALLERGIES))
    chart.allergy("Codeine", verification="refuted")
    refuted = "^(?!.*(refuted|disproved|ruled out)).*codeine"
    chart.never("high", "allergy", "codeine, refuted", item(refuted, under=ALLERGIES))


def _medicines(chart: Chart) -> None:
    chart.medicine("ceftriaxone 2 g in 50 mL IVPB", dosage("2 g, intravenous, every 24 hours"), category="inpatient")
    chart.says("high", "medicine", "ceftriaxone in hospital", item("ceftriaxone", under=(*GIVEN, *RECONCILIATION)))
    chart.never("critical", "medicine status", "ceftriaxone to take at home", item("ceftriaxone", under=HOME))
    chart.medicine(
        "cefuroxime axetil 500 mg tablet",
        dosage("Take 1 tablet (500 mg total) by mouth 2 (two) times daily for 5 days."),
    )
    chart.says(
        "critical", "dose", "cefuroxime 500 mg twice daily, 5 days", taken("cefuroxime", mg("500"), TWICE, "5 days")
    )
    chart.home_medicine("lisinopril 20 mg tablet", dosage("Take 1 tablet (20 mg total) by mouth daily."))
    chart.medicine(
        "lisinopril 20 mg tablet",
        dosage("Take 1 tablet (20 mg total) by mouth daily."),
        status="on-hold",
        statusReason={"text": "Acute kidney injury, until seen by primary care"},
    )
    chart.never("critical", "medicine status", "lisinopril, on hold, as one to take", taken("lisinopril"))
    chart.says(
        "critical",
        "medicine status",
        "lisinopril is on hold",
        "lisinopril.*(hold|held|paus)|(hold|held).*lisinopril",
        item("lisinopril", under=("on hold|not to take",)),
    )
    chart.says("high", "medicine status", "why lisinopril is on hold", "lisinopril.*kidney injury")


def _aftercare(chart: Chart) -> None:
    chart.appointment("Urology: stent removal", "2026-03-23T14:30:00-05:00", with_="Lakeshore Urology")
    chart.says(
        "critical",
        "follow-up",
        "stent removal on 23 March",
        item("stent removal|urology", day("2026-03-23"), under=AFTERCARE),
    )
    chart.appointment("Dermatology visit", "2026-03-20T09:00:00-05:00", status="cancelled")
    chart.never("high", "follow-up", "a cancelled visit", "^(?!.*cancel).*dermatology")

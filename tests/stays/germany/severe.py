"""Chemotherapy with neutropenia, and a septic shock that ends in death that only the Entlassungsgrund tells."""

from tests.stays.elements import LOINC, SNOMED, coded, dosage, hl7, quantity
from tests.stays.germany.profiles import contact, diagnosis, discharged, icd, insured, loinc, ops, ward
from tests.stays.model import Stay
from tests.stays.words import (
    ABNORMAL,
    ALLERGIES,
    CARE_PLAN,
    DEVICES,
    DIAGNOSES,
    HOME,
    MICRO,
    PRINCIPAL,
    PROCEDURES,
    day,
    first_before,
    item,
    number,
    taken,
)


def lung_cancer() -> Stay:
    chart = ward(
        "bronchialkarzinom",
        "a side at the diagnosis, TNM, a port, a course that is over, counts with comparators and a comma in text",
        "2026-10-19T15:20:00+02:00",
        "2026-10-26T09:00:00+01:00",
        pid="KO-0140-0058",
        doctor="Ruth Sellmann",
        department="Onkologie",
    )
    insured(chart, "B717220913")
    chart.patient |= {"gender": "other", "birthDate": "1966-07"}
    chart.patient["name"] = [{"text": "Kim Adomeit"}]
    chart.says("critical", "identity", "the name that is only text", "patient:? kim adomeit")
    chart.never("high", "identity", "a day of birth that nobody recorded", "1966-07-01|1 july 1966")
    chart.says("critical", "dates", "over the end of summer time", item(day("2026-10-19"), day("2026-10-26")))
    diagnosis(chart, icd("D70.10", "Arzneimittelinduzierte Agranulozytose"), "hauptdiagnose")
    chart.says("critical", "diagnosis", "agranulocytosis is principal", item("agranulozytose", under=PRINCIPAL))
    diagnosis(chart, icd("C34.1", "Bösartige Neubildung: Oberlappen (-Bronchus)", side="L"))
    chart.says(
        "high", "diagnosis", "cancer of the left upper lobe", item("oberlappen", r"left|links|\bL\b", under=DIAGNOSES)
    )
    chart.observation(
        loinc("21908-9", "Stadium nach TNM"), category="exam", at="2026-09-01", valueString="cT2b cN2 cM1c"
    )
    chart.lab(
        loinc("26464-8", "Leukozyten [Anzahl/Volumen] im Blut"),
        0.1,
        "10*9/L",
        low=4.0,
        high=10.0,
        comparator="<",
        flag="LL",
        at="2026-10-20T06:00:00+02:00",
    )
    chart.lab(
        loinc("26464-8", "Leukozyten [Anzahl/Volumen] im Blut"),
        3.05,
        "10*9/L",
        low=4.0,
        high=10.0,
        at="2026-10-26T06:00:00+01:00",
    )
    chart.says(
        "critical", "laboratory", "leucocytes < 0.1, then 3.05", first_before(r"leukozyten.*< ?0[.,]1", r"3[.,]05")
    )
    chart.observation(
        "Blutkultur aerob/anaerob",
        category="laboratory",
        at="2026-10-19T16:00:00+02:00",
        valueCodeableConcept=coded(SNOMED, "264868006", "Kein Wachstum nach 5 Tagen"),
        interpretation=[hl7("v3-ObservationInterpretation", "NEG")],
    )
    chart.says("high", "microbiology", "culture without growth", item("blutkultur", "kein wachstum"))
    chart.never("critical", "microbiology", "the culture as abnormal", item("blutkultur", under=ABNORMAL))
    chart.add(
        "Device", status="active", type={"text": "Portkatheter V. subclavia rechts"}, patient=chart.ref(chart.patient)
    )
    chart.says("high", "device", "the port", item("portkatheter", under=DEVICES))
    chart.medicine("Piperacillin/Tazobactam 4,5 g", dosage("3 x tgl. i.v."), category="inpatient", status="completed")
    chart.never("critical", "medicine status", "the antibiotic of the ward at home", taken("piperacillin"))
    chart.medicine("Filgrastim 30 Mio. E.", dosage("1 x tgl. s.c., Beginn 24 h nach Chemotherapie"), status="draft")
    chart.never("critical", "medicine status", "an order that is only a draft", taken("filgrastim"))
    chart.medicine("Dexamethason 4 mg", dosage("Tag 1: 2-0-0-0"), dosage("Tag 2 und 3: 1-0-0-0"))
    chart.says(
        "critical", "dose", "dexamethasone on each day", taken("dexamethason", "Tag 1: 2-0-0-0.*Tag 2 und 3: 1-0-0-0")
    )
    chart.allergy("Iodhaltiges Kontrastmittel", verification=None, clinical=None, reaction="Urtikaria", recorded="2018")
    chart.says("critical", "allergy", "contrast medium, without a status", item("kontrastmittel", under=ALLERGIES))
    chart.allergy("Carboplatin", verification="entered-in-error", clinical=None)
    chart.never("critical", "allergy", "an allergy entered in error", item("carboplatin", under=ALLERGIES))
    chart.care_plan("Zyklus 3 am 09.11.2026, Dosisreduktion auf 80 %")
    chart.says("high", "care plan", "the next cycle", item("09.11.2026", "80 ?%", under=CARE_PLAN))
    discharged(chart, "04", "Behandlung gegen ärztlichen Rat beendet")
    chart.says("critical", "disposition", "against advice", "gegen ärztlichen rat|against (medical )?advice")
    return chart.stay(time_zone="Europe/Berlin")


def septic_shock() -> Stay:
    chart = ward(
        "schock",
        "death only in the Entlassungsgrund (07); ventilation and dialysis as periods; cultures with resistances",
        "2026-02-14T22:05:00+01:00",
        "2026-02-17T03:42:00+01:00",
        pid="KO-0009-6001",
        doctor="Arvid Thomsen",
        department="Intensivmedizin",
    )
    insured(chart, "Y110099223")
    chart.patient |= {"gender": "male", "birthDate": "1949-11-30"}
    chart.patient["name"] = [{"use": "official", "family": "Oehlerking", "given": ["Hinnerk"]}]
    icu = contact(chart, "abteilungskontakt", "2026-02-14T22:05:00+01:00", "2026-02-17T03:42:00+01:00")
    here = chart.ref(icu)
    diagnosis(chart, icd("A41.51", "Sepsis durch Escherichia coli"), "hauptdiagnose", encounter=here)
    chart.says("critical", "diagnosis", "sepsis by E. coli", item("sepsis durch escherichia", under=PRINCIPAL))
    diagnosis(chart, icd("R57.2", "Septischer Schock"), encounter=here)
    diagnosis(chart, icd("U80.4", "Escherichia coli mit Multiresistenz 3MRGN"), encounter=here)
    chart.says("high", "diagnosis", "shock and resistance", item("septischer schock", under=DIAGNOSES))
    discharged(chart, "07", "Tod")
    chart.says("critical", "outcome", "he died", r"\b(died|deceased|tod\b|verstorben|death|expired)")
    chart.says("high", "outcome", "a part for the family", item(".", under=("for the family",)))
    chart.never("critical", "outcome", "medicines to take at home", item("tamsulosin", under=HOME))
    chart.never("critical", "outcome", "a visit of a dead man", item("urologische praxis", under=("follow.?up$",)))
    chart.home_medicine("Tamsulosin 0,4 mg", dosage("0-0-1-0"))
    chart.appointment("Urologische Praxis", "2026-03-02T10:00:00+01:00")
    growth = chart.observation(
        loinc("600-7", "Bakterien identifiziert in Blut durch Kultur"),
        category="laboratory",
        at="2026-02-14T22:30:00+01:00",
        encounter=here,
        valueCodeableConcept=coded(SNOMED, "112283007", "Escherichia coli"),
        interpretation=[hl7("v3-ObservationInterpretation", "POS")],
    )
    chart.says(
        "critical",
        "microbiology",
        "E. coli in the blood",
        item("kultur|blut", "escherichia coli", under=(*ABNORMAL, *MICRO)),
    )
    parts = []
    for code, display, letter in (
        ("18928-2", "Ciprofloxacin [Empfindlichkeit]", "R"),
        ("18943-1", "Meropenem [Empfindlichkeit]", "S"),
    ):
        parts.append(
            chart.observation(
                loinc(code, display),
                category="laboratory",
                at="2026-02-16T12:00:00+01:00",
                encounter=here,
                valueCodeableConcept={"text": "Resistent" if letter == "R" else "Sensibel"},
                interpretation=[hl7("v3-ObservationInterpretation", letter)],
            )
        )
    growth["hasMember"] = [chart.ref(part) for part in parts]
    chart.says("high", "microbiology", "resistant to ciprofloxacin", item("ciprofloxacin", r"resist[ae]n|\bR\b"))
    chart.never("critical", "microbiology", "meropenem resistant", r"meropenem[^;,.]{0,40}resist")
    chart.lab(
        {"coding": [{"system": LOINC, "code": "2524-7", "display": "Laktat [Mol/Volumen] in Serum"}]},
        14.25,
        "mmol/l",
        high=2.2,
        flag="HH",
        at="2026-02-17T02:00:00+01:00",
        encounter=here,
    )
    chart.says(
        "critical",
        "laboratory",
        "lactate 14.25",
        item("laktat", number("14.25").replace(r"\.", "[.,]"), under=ABNORMAL),
    )
    chart.procedure(
        ops("8-854.3", "Hämodialyse: kontinuierlich, venovenös"),
        encounter=here,
        performedDateTime=None,
        performedPeriod={"start": "2026-02-15T04:00:00+01:00", "end": "2026-02-17T03:00:00+01:00"},
    )
    chart.says("critical", "procedure", "dialysis", item("hämodialyse", day("2026-02-15"), under=PROCEDURES))
    chart.administration(
        "Noradrenalin", {"rateQuantity": quantity(1.2, "ug/kg/min")}, at="2026-02-16T20:00:00+01:00", context=here
    )
    chart.says("medium", "medicine", "noradrenaline", item("noradrenalin"))
    return chart.stay(time_zone="Europe/Berlin")

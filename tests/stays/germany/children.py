"""A child with bronchiolitis and a newborn: doses in millilitres, a mother's findings in the child's record."""

from tests.stays.elements import SNOMED, coded, dosage, exact, hl7, quantity
from tests.stays.germany.profiles import diagnosis, discharged, icd, loinc, ward
from tests.stays.model import Stay
from tests.stays.words import (
    ABNORMAL,
    AFTERCARE,
    DIAGNOSES,
    FAMILY,
    FOLLOW_UP,
    IMMUNIZATIONS,
    MICRO,
    PENDING,
    PRINCIPAL,
    PROCEDURES,
    VITALS,
    day,
    item,
    number,
    taken,
)


def bronchiolitis() -> Stay:
    chart = ward(
        "bronchiolitis",
        "doses in millilitres and by weight, oxygen as a rate, a test that is positive by interpretation only",
        "2026-12-02T02:15:00+01:00",
        "2026-12-06T11:30:00+01:00",
        pid="KO-0201-5512",
        doctor="Finja Detlefsen",
        department="Kinderheilkunde",
    )
    chart.patient |= {"gender": "male", "birthDate": "2026-05-20"}
    chart.patient["name"] = [{"use": "official", "family": "Yıldız", "given": ["Emil Can"]}]
    chart.says("high", "identity", "born in May 2026", "2026-05-20|20 may 2026")
    diagnosis(chart, icd("J21.0", "Akute Bronchiolitis durch Respiratory-Syncytial-Viren"), "hauptdiagnose")
    chart.says("critical", "diagnosis", "bronchiolitis", item("bronchiolitis", under=PRINCIPAL))
    chart.observation(
        loinc("92131-2", "RSV-RNA im Atemwegsmaterial"),
        category="laboratory",
        at="2026-12-02T03:00:00+01:00",
        valueCodeableConcept=coded(SNOMED, "260373001", "Nachweisbar"),
        interpretation=[hl7("v3-ObservationInterpretation", "POS"), hl7("v3-ObservationInterpretation", "A")],
    )
    chart.says("critical", "laboratory", "RSV found", item("RSV", "nachweisbar", under=(*ABNORMAL, *MICRO)))
    for at, value in (("2026-12-02T02:20:00+01:00", 86), ("2026-12-06T09:00:00+01:00", 97)):
        chart.vital(loinc("59408-5", "Sauerstoffsättigung durch Pulsoxymetrie"), value, "%", at=at)
    chart.says(
        "high", "vital sign", "saturation 97 % at the end", item("sättigung|saturation", number("97"), under=VITALS)
    )
    chart.vital(loinc("29463-7", "Körpergewicht"), exact("7.120"), "kg", at="2026-12-06T08:00:00+01:00")
    chart.says("high", "vital sign", "weight with its digits", item(r"gewicht|weight", r"7[.,]12(0)? ?kg"))
    chart.procedure("Sauerstoffgabe über High-Flow-Kanüle, max. 14 l/min", at="2026-12-02T03:30:00+01:00")
    chart.says("high", "procedure", "high flow oxygen", item("high-flow", under=PROCEDURES))
    chart.medicine(
        "Paracetamol Saft 40 mg/ml",
        dosage("2,5 ml bei Fieber über 38,5 °C, frühestens nach 6 Stunden wieder", as_needed=True),
    )
    chart.says("critical", "dose", "paracetamol 2.5 ml", taken("paracetamol", r"2,5 ml.*38,5", "6 stunden|6 hours"))
    chart.medicine(
        "Colecalciferol 500 I.E. Tabletten",
        dosage(
            dose=(1, "Tablette"), frequency=1, route=coded("http://standardterms.edqm.eu", "20053000", "Zum Einnehmen")
        ),
    )
    chart.says(
        "critical",
        "dose",
        "vitamin D once a day",
        taken("colecalciferol", r"1 tablette", "dail|once|every day|per day|/ ?d"),
    )
    chart.medicine("Salbutamol Inhalation", dosage("alle 4 h"), category="inpatient", status="stopped")
    chart.never("critical", "medicine status", "salbutamol at home", taken("salbutamol"))
    chart.immunization(
        "Nirsevimab 50 mg", "2026-12-05", status="not-done", statusReason={"text": "nach RSV-Infektion nicht nötig"}
    )
    chart.never("critical", "immunization", "nirsevimab as given", r"^(?!.*(not (done|given)|nicht)).*nirsevimab")
    chart.family("Mutter", "Asthma bronchiale")
    chart.says("high", "family history", "the mother's asthma", item("asthma", under=FAMILY))
    chart.never("critical", "diagnosis", "the mother's asthma as the child's", item("asthma", under=DIAGNOSES))
    discharged(chart, "01", "Behandlung regulär beendet")
    chart.appointment("Kinderärztin: Kontrolle", "2026-12-08T09:00:00+01:00")
    chart.says("high", "follow-up", "8 December", item("kontrolle", day("2026-12-08"), under=FOLLOW_UP))
    return chart.stay(time_zone="Europe/Berlin")


def newborn_jaundice() -> Stay:
    chart = ward(
        "ikterus",
        "a newborn: the mother's results in the same Encounter have a focus; a screening that is under way",
        "2026-06-30T21:48:00+02:00",
        "2026-07-05T12:00:00+02:00",
        pid="KO-0222-0001",
        doctor="Insa Behrends",
        department="Neonatologie",
    )
    chart.patient |= {"gender": "female", "birthDate": "2026-06-30", "multipleBirthInteger": 2}
    chart.patient["name"] = [{"use": "temp", "family": "Wöbbeking", "given": ["Mädchen 2"]}]
    chart.patient["maritalStatus"] = {"text": "ledig"}
    mother = chart.add(
        "RelatedPerson",
        patient=chart.ref(chart.patient),
        relationship=[hl7("v3-RoleCode", "MTH")],
        name=[{"family": "Wöbbeking", "given": ["Swantje"]}],
    )
    chart.says("critical", "identity", "the newborn's name", "patient:.*wöbbeking")
    chart.never("critical", "identity", "the mother as the patient", "patient:.*swantje")
    diagnosis(chart, icd("P59.9", "Neugeborenenikterus, nicht näher bezeichnet"), "hauptdiagnose")
    chart.says("critical", "diagnosis", "jaundice", item("neugeborenenikterus", under=PRINCIPAL))
    diagnosis(chart, icd("P36.9", "Bakterielle Sepsis beim Neugeborenen", certainty="A"))
    chart.never(
        "critical", "diagnosis", "sepsis as a diagnosis", item(r"^(?!.*(ruled out|ausge)).*sepsis", under=DIAGNOSES)
    )
    chart.lab(
        loinc("1975-2", "Bilirubin gesamt [Mol/Volumen] in Serum"),
        318,
        "umol/L",
        high=205,
        flag="H",
        at="2026-07-03T08:00:00+02:00",
    )
    chart.lab(
        loinc("1975-2", "Bilirubin gesamt [Mol/Volumen] in Serum"),
        171,
        "umol/L",
        high=205,
        at="2026-07-05T07:00:00+02:00",
    )
    chart.says("critical", "laboratory", "bilirubin 318", item("bilirubin", number("318"), under=ABNORMAL))
    chart.lab(
        "Hepatitis-B-Oberflächenantigen",
        "reaktiv",
        focus=[chart.ref(mother)],
        at="2026-06-30T22:00:00+02:00",
        flag="POS",
    )
    chart.never(
        "critical",
        "laboratory",
        "the mother's antigen as the child's",
        item(r"^(?!.*(mother|mutter|swantje|related)).*hepatitis-b", under=ABNORMAL),
    )
    chart.observation("APGAR nach 5 Minuten", category="survey", at="2026-06-30T21:53:00+02:00", valueInteger=9)
    chart.says("high", "function", "Apgar 9", item("apgar", number("9")))
    chart.vital(loinc("8339-4", "Geburtsgewicht"), 2390, "g", at="2026-06-30T22:00:00+02:00")
    chart.says("high", "vital sign", "birth weight 2390 g", item("geburtsgewicht|birth weight", number("2390")))
    chart.report(
        "Neugeborenenscreening (Trockenblut)", category="LAB", status="registered", at="2026-07-02T10:00:00+02:00"
    )
    chart.says("critical", "pending", "the screening is under way", item("screening", under=PENDING))
    chart.procedure(
        "Phototherapie",
        performedDateTime=None,
        performedPeriod={"start": "2026-07-03T10:00:00+02:00", "end": "2026-07-04T22:00:00+02:00"},
    )
    chart.says("high", "procedure", "phototherapy", item("phototherapie", day("2026-07-03"), under=PROCEDURES))
    chart.immunization(
        "Hepatitis-B-Impfstoff",
        "2026-06-30",
        lotNumber="HBV-77A1",
        doseQuantity=quantity(0.5, "ml"),
        primarySource=True,
    )
    chart.says(
        "critical",
        "immunization",
        "vaccine on the first day",
        item("hepatitis-b-impfstoff", day("2026-06-30"), under=IMMUNIZATIONS),
    )
    chart.says("medium", "immunization", "its batch", item("HBV-77A1"))
    chart.medicine("Phytomenadion 2 mg Lösung", dosage("U2 und U3 je 2 Tropfen p.o."))
    chart.says("critical", "dose", "vitamin K", taken("phytomenadion", "U2 und U3 je 2 tropfen"))
    chart.lab("Blutgruppe", "A Rh positiv", at="2026-07-01T06:00:00+02:00")
    chart.says("high", "laboratory", "blood group", item("blutgruppe", "A Rh positiv", not_under=ABNORMAL))
    chart.never("high", "laboratory", "blood group as abnormal", item("blutgruppe", under=ABNORMAL))
    chart.order("Hörscreening wiederholen (rechts auffällig)")
    chart.says("high", "follow-up", "hearing again", item("hörscreening", under=AFTERCARE))
    discharged(chart, "01", "Behandlung regulär beendet")
    return chart.stay(time_zone="Europe/Berlin")

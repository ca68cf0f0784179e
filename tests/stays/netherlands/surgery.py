"""A diabetic foot with an amputation and a line, and a pre-eclampsia in whose record the child's findings stand too."""

from tests.stays.elements import LOINC, SNOMED, coded, dosage, hl7, quantity
from tests.stays.model import Stay
from tests.stays.netherlands.profiles import admission, agreement, given, stop
from tests.stays.words import (
    ABNORMAL,
    AFTERCARE,
    ALLERGIES,
    DEVICES,
    DIAGNOSES,
    FOLLOW_UP,
    IMMUNIZATIONS,
    LABS,
    MICRO,
    NONE_KNOWN,
    NOT_TAKEN,
    PRINCIPAL,
    PROCEDURES,
    VITALS,
    day,
    first_before,
    item,
    number,
    taken,
)

LATERALITY = "http://nictiz.nl/fhir/StructureDefinition/ext-AnatomicalLocation.Laterality"


def foot() -> Stay:
    chart = admission(
        "voet",
        "an amputation with its side at the body site, a line as a device in use, wound care, insulin in units",
        "2026-07-06T09:00:00+02:00",
        "2026-07-20T11:00:00+02:00",
        number="4411-003",
        attending="Femke Dijkgraaf",
    )
    chart.patient |= {"gender": "male", "birthDate": "1960-01-31"}
    chart.patient["name"] = [{"use": "official", "family": "El Idrissi", "given": ["Mohamed"]}]
    chart.diagnosis(chart.condition("Diabetische voet met osteomyelitis", (SNOMED, "280137006")), use=None, rank=1)
    chart.says("critical", "diagnosis", "diabetic foot", item("diabetische voet", under=PRINCIPAL))
    chart.condition("Charcotvoet", verification="differential")
    chart.says(
        "high",
        "diagnosis",
        "Charcot foot is not confirmed",
        item("charcot", under=("suspect|not confirmed|differential",)),
    )
    site = {
        "coding": [{"system": SNOMED, "code": "302544002", "display": "vijfde teen"}],
        "extension": [{"url": LATERALITY, "valueCodeableConcept": coded(SNOMED, "24028007", "rechts")}],
    }
    chart.procedure("Straalamputatie", (SNOMED, "397218006"), at="2026-07-08T13:00:00+02:00", bodySite=[site])
    chart.says(
        "critical", "procedure", "amputation of the fifth toe", item("straalamputatie", "vijfde teen", under=PROCEDURES)
    )
    chart.says("critical", "procedure", "on the right", item("straalamputatie", "rechts|right", under=PROCEDURES))
    line = chart.add(
        "Device", type=coded(SNOMED, "303728004", "PICC"), lotNumber="LOT-5551", patient=chart.ref(chart.patient)
    )
    chart.add(
        "DeviceUseStatement",
        status="active",
        subject=chart.ref(chart.patient),
        device=chart.ref(line),
        timingPeriod={"start": "2026-07-10"},
        bodySite=coded(SNOMED, "368208006", "linkerbovenarm"),
    )
    old = chart.add("Device", type={"text": "Blaaskatheter"}, patient=chart.ref(chart.patient))
    chart.add(
        "DeviceUseStatement",
        status="completed",
        subject=chart.ref(chart.patient),
        device=chart.ref(old),
        timingPeriod={"start": "2026-07-08", "end": "2026-07-12"},
    )
    chart.says("critical", "device", "the line that stays", item("PICC", under=DEVICES))
    chart.never(
        "high",
        "device",
        "a catheter that was removed",
        item("^(?!.*(removed|until|verwijderd)).*blaaskatheter", under=DEVICES),
    )
    chart.report(
        "Botkweek",
        "Staphylococcus aureus (MSSA), gevoelig voor flucloxacilline",
        category="MB",
        at="2026-07-08T13:30:00+02:00",
    )
    chart.says("high", "microbiology", "staphylococcus", item("botkweek", "MSSA", under=MICRO))
    chart.lab("CRP", 288, "mg/L", (LOINC, "1988-5"), high=5, at="2026-07-06T09:30:00+02:00", flag="HH")
    chart.lab("CRP", 31, "mg/L", (LOINC, "1988-5"), high=5, at="2026-07-19T07:00:00+02:00", flag="H")
    chart.says(
        "critical", "laboratory", "CRP 288, then 31", first_before(f"CRP.*{number('288')}", number("31"), ABNORMAL)
    )
    chart.lab("HbA1c", 97, "mmol/mol", (LOINC, "59261-8"), high=53, at="2026-07-07T07:00:00+02:00")
    chart.says("high", "laboratory", "HbA1c 97", item("HbA1c", number("97"), under=ABNORMAL))
    agreement(chart, "FLUCLOXACILLINE INFUUS", given("12 gram per 24 uur continu via PICC, t/m 17 augustus 2026"))
    chart.says(
        "critical",
        "dose",
        "flucloxacillin until 17 August",
        taken("flucloxacilline", "12 gram per 24 uur", "17 augustus"),
    )
    agreement(
        chart,
        "INSULINE GLARGINE 100E/ML",
        dosage(dose=(22, "E"), repeat={"frequency": 1, "period": 1, "periodUnit": "d", "timeOfDay": ["22:00:00"]}),
    )
    chart.says(
        "critical",
        "dose",
        "glargine 22 units at ten",
        taken("glargine", r"\b22 ?(E|units?|eenheden)\b", "22:00|10 ?pm"),
    )
    agreement(
        chart,
        "METFORMINE TABLET 1000MG",
        given("2 maal per dag 1 stuk", 1, 2),
        status="cancelled",
        modifierExtension=stop("stopgezet", "410546004"),
        statusReason={"text": "eGFR 24"},
    )
    chart.never("critical", "medicine status", "metformin to be taken", taken("metformine"))
    chart.says("high", "medicine status", "metformin stopped, and why", item("metformine", "eGFR 24", under=NOT_TAKEN))
    chart.allergy(
        {"coding": [{"system": SNOMED, "code": "716186003", "display": "geen bekende allergie"}]}, recorded="2026-07-06"
    )
    chart.says("high", "allergy", "no known allergy", item(f"geen bekende allergie|{NONE_KNOWN}", under=ALLERGIES))
    chart.observation(
        "Wond voet rechts",
        category="exam",
        at="2026-07-19",
        bodySite=site,
        component=[
            {"code": {"text": "Lengte"}, "valueQuantity": quantity(3.2, "cm")},
            {"code": {"text": "Diepte"}, "valueQuantity": quantity(0.6, "cm")},
        ],
    )
    chart.says("medium", "function", "the wound's size", item("wond", number("3.2"), number("0.6")))
    chart.order("Wondzorg thuis: dagelijks spoelen, hydrofiberverband")
    chart.says("high", "follow-up", "wound care", item("hydrofiberverband", under=AFTERCARE))
    chart.appointment("Voetenpoli", "2026-07-27T08:40:00+02:00", with_="Podotherapeut Jelle Hania")
    chart.says("high", "follow-up", "foot clinic", item("voetenpoli", day("2026-07-27"), under=FOLLOW_UP))
    chart.encounter["hospitalization"] = {"dischargeDisposition": {"text": "Thuis met thuiszorg"}}
    chart.says("high", "disposition", "home with care", "thuis met thuiszorg")
    return chart.stay(time_zone="Europe/Amsterdam")


def preeclampsia() -> Stay:
    chart = admission(
        "preeclampsie",
        "pressures only in components, the child's findings with a focus in the mother's record, anti-D",
        "2026-04-28T16:00:00+02:00",
        "2026-05-04T10:00:00+02:00",
        number="4411-118",
        attending="Lotte Visser",
    )
    chart.patient |= {"gender": "female", "birthDate": "1994-09-09"}
    chart.patient["name"] = [{"use": "official", "family": "de Groot", "given": ["Ilse"]}]
    child = chart.add(
        "Patient", name=[{"family": "de Groot", "given": ["Baby"]}], gender="male", birthDate="2026-04-30"
    )
    chart.says("critical", "identity", "the mother", "patient:? ilse de groot")
    chart.diagnosis(chart.condition("Pre-eclampsie", (SNOMED, "398254007", "pre-eclampsie")), use=None, rank=1)
    chart.says("critical", "diagnosis", "pre-eclampsia", item("pre-eclampsie", under=PRINCIPAL))
    for at, high, low in (("2026-04-28T16:10:00+02:00", 172, 112), ("2026-05-04T08:00:00+02:00", 134, 84)):
        chart.observation(
            "Bloeddruk",
            (LOINC, "85354-9"),
            category="vital-signs",
            at=at,
            component=[
                {"code": coded(LOINC, "8480-6"), "valueQuantity": quantity(high, "mm[Hg]")},
                {"code": coded(LOINC, "8462-4"), "valueQuantity": quantity(low, "mm[Hg]")},
            ],
        )
    chart.says("critical", "vital sign", "pressure 134/84", item(r"134 ?(/|.{0,40}) ?84", under=VITALS))
    chart.observation(
        "Apgarscore 5 minuten",
        category="survey",
        at="2026-04-30T03:15:00+02:00",
        valueInteger=7,
        focus=[chart.ref(child)],
    )
    chart.lab("Bilirubine", 260, "umol/L", high=17, flag="HH", focus=[chart.ref(child)], at="2026-05-02T07:00:00+02:00")
    chart.never(
        "critical",
        "laboratory",
        "the child's bilirubin as the mother's",
        item(r"^(?!.*(child|baby|newborn|focus|about)).*bilirubine", under=LABS),
    )
    chart.procedure(
        "Sectio caesarea", at="2026-04-30T03:00:00+02:00", outcome={"text": "levend geboren zoon 2875 gram"}
    )
    chart.says(
        "critical", "procedure", "caesarean on the local day", item("sectio", day("2026-04-30"), under=PROCEDURES)
    )
    chart.lab("Trombocyten", 74, "10*9/L", (LOINC, "777-3"), low=150, high=400, at="2026-04-29T22:30:00Z")
    chart.says(
        "critical",
        "laboratory",
        "platelets 74, day in Dutch time",
        item("trombocyten", number("74"), day("2026-04-30"), under=ABNORMAL),
    )
    chart.lab("Eiwit/kreatinine-ratio urine", "3+", at="2026-04-28T17:00:00+02:00")
    chart.says("medium", "laboratory", "protein 3+", item("eiwit", r"3\+"))
    agreement(chart, "LABETALOL TABLET 200MG", given("3 maal per dag 1 stuk; bij RR < 130/80 halveren", 1, 3))
    chart.says("critical", "dose", "labetalol with its condition", taken("labetalol", r"RR < ?130/80 halveren"))
    agreement(
        chart, "NADROPARINE WWSP 2850IE=0,3ML", given("1 maal per dag 1 spuit gedurende 6 weken", 1, 1, unit="spuit")
    )
    chart.says("critical", "dose", "nadroparin for six weeks", taken("nadroparine", "6 (weken|weeks|wk)"))
    agreement(
        chart,
        "MAGNESIUMSULFAAT INFUUS",
        given("1 g per uur"),
        status="completed",
        at="2026-04-28",
        use={"start": "2026-04-28", "end": "2026-05-01"},
    )
    chart.never("critical", "medicine status", "magnesium at home", taken("magnesiumsulfaat"))
    chart.immunization("Anti-D-immunoglobuline 1000 IE", "2026-05-01")
    chart.says("high", "immunization", "anti-D", item("anti-d", day("2026-05-01"), under=IMMUNIZATIONS))
    chart.condition("Rhesus-D-negatief", category="problem-list-item")
    chart.says("high", "diagnosis", "rhesus negative", item("rhesus", under=DIAGNOSES))
    chart.allergy("Latex", verification="unconfirmed", reaction="Urticaria")
    chart.says("critical", "allergy", "latex", item("latex", under=ALLERGIES))
    chart.encounter["hospitalization"] = {"dischargeDisposition": hl7("discharge-disposition", "home")}
    chart.appointment("Nacontrole gynaecologie", "2026-06-12T11:00:00+02:00", status="proposed")
    return chart.stay(time_zone="Europe/Amsterdam")

"""A hysterectomy with pathology that is not back, and a knee replacement that was prepared before the admission."""

from tests.stays.elements import coded, dosage, exact, hl7, limits, quantity
from tests.stays.germany.profiles import (
    contact,
    diagnosis,
    discharged,
    drug,
    icd,
    insured,
    loinc,
    ops,
    ward,
)
from tests.stays.model import Serve, Stay
from tests.stays.words import (
    ABNORMAL,
    AFTERCARE,
    ALLERGIES,
    CARE_PLAN,
    DIAGNOSES,
    DISPOSITION,
    FOLLOW_UP,
    GIVEN,
    NO_RANGE,
    NORMAL,
    NOT_TAKEN,
    PENDING,
    PRINCIPAL,
    PROCEDURES,
    SUSPECTED,
    day,
    item,
    number,
    taken,
)


def hysterectomy() -> Stay:
    chart = ward(
        "uterus",
        "OPS with a side in an extension, histology that is not back, an intolerance to metamizole, private insurance",
        "2026-05-11T07:00:00+02:00",
        "2026-05-15T09:40:00+02:00",
        pid="KO-0102-3349",
        doctor="Meike Lührs",
        department="Frauenheilkunde",
    )
    insured(chart, "PK-88812-1", private=True)
    chart.patient |= {"gender": "female", "birthDate": "1974-02-28"}
    chart.patient["name"] = [
        {"use": "official", "family": "Gößling-Işık", "given": ["Bärbel"], "prefix": ["Prof. Dr."]}
    ]
    chart.says("high", "identity", "the double name", "Bärbel Gößling-Işık")
    chart.encounter["reasonCode"] = [{"text": "Hypermenorrhö bei Uterus myomatosus"}]
    chart.says("high", "reason", "why she came", "hypermenorrhö")
    diagnosis(chart, icd("D25.1", "Intramurales Leiomyom des Uterus"), "hauptdiagnose")
    chart.says("critical", "diagnosis", "leiomyoma is principal", item("leiomyom", under=PRINCIPAL))
    diagnosis(chart, icd("D62", "Akute Blutungsanämie"), "entlassdiagnose", onsetDateTime="2026-05-12")
    chart.says("high", "diagnosis", "anaemia of bleeding", item("blutungsanämie", under=DIAGNOSES))
    diagnosis(chart, icd("D39.1", "Neubildung unsicheren Verhaltens: Ovar", certainty="V", side="R"))
    chart.says("critical", "diagnosis", "tumour of the ovary only suspected", item("ovar", under=SUSPECTED))
    chart.procedure(ops("5-683.03", "Uterusexstirpation: offen chirurgisch"), at="2026-05-11T09:10:00+02:00")
    chart.says("critical", "procedure", "hysterectomy", item("uterusexstirpation", under=PROCEDURES))
    chart.procedure(ops("5-653.20", "Salpingoovariektomie", side="R"), at="2026-05-11T10:00:00+02:00")
    chart.says("high", "procedure", "on the right", item("salpingoovariektomie", r"right|rechts|\(R\)|\bR\b"))
    chart.procedure(ops("8-800.c0", "Transfusion von Erythrozytenkonzentrat"), status="not-done")
    chart.never("critical", "procedure", "a transfusion", r"^(?!.*(not|abandon|nicht)).*transfusion")
    chart.report(
        "Histologie: Uterus und Adnexe rechts",
        None,
        category="PAT",
        status="registered",
        at="2026-05-11T11:00:00+02:00",
    )
    chart.says("critical", "pending", "histology is not back", item("histologie", under=PENDING))
    for at, value in (("2026-05-10T10:00:00+02:00", 11.8), ("2026-05-12T06:00:00+02:00", 7.9)):
        chart.lab(loinc("718-7", "Hämoglobin [Masse/Volumen] im Blut"), value, "g/dl", low=12.0, high=15.5, at=at)
    chart.says("critical", "laboratory", "haemoglobin 7.9", item("hämoglobin", r"7[.,]9", under=ABNORMAL))
    chart.lab(
        loinc("2276-4", "Ferritin [Masse/Volumen] in Serum"), exact("9.0"), "ug/l", at="2026-05-12T06:00:00+02:00"
    )
    chart.says("high", "laboratory", "ferritin, not judged", item("ferritin", number("9"), under=NO_RANGE))
    chart.never("critical", "laboratory", "ferritin within range", item("ferritin", under=NORMAL))
    chart.allergy(
        "Metamizol (Novalgin)", type="intolerance", reaction="Blutdruckabfall", criticality="high", recorded=None
    )
    chart.says("critical", "allergy", "metamizole", item("metamizol", "blutdruckabfall", under=ALLERGIES))
    chart.medicine(
        drug("B03AA07", "Eisen(II)-sulfat", "02464237", "Ferro sanol duodenal 100 mg"), dosage("1-0-0-0 nüchtern")
    )
    chart.says("critical", "dose", "iron in the morning", taken("ferro sanol|eisen", "1-0-0-0 nüchtern"))
    chart.medicine("Ibuprofen 600 mg", dosage("1-1-1-0 für 3 Tage, danach bei Bedarf"))
    chart.says(
        "critical",
        "dose",
        "ibuprofen for three days, then as needed",
        taken("ibuprofen 600", "1-1-1-0 für 3 Tage, danach"),
    )
    chart.medicine("Certoparin 3000 I.E.", dosage("0-0-1-0"), category="inpatient", intent="instance-order")
    chart.never("high", "medicine status", "certoparin at home", taken("certoparin"))
    discharged(chart, "01", "Behandlung regulär beendet", "2")
    chart.appointment("Frauenärztin: Wundkontrolle und Histologie", "2026-05-22T10:15:00+02:00")
    chart.says("high", "follow-up", "22 May", item("wundkontrolle", day("2026-05-22"), under=AFTERCARE))
    return chart.stay(time_zone="Europe/Berlin", serve=Serve(ids="typed", page=7))


def knee() -> Stay:
    chart = ward(
        "knie",
        "a stay before the admission is a contact of its own; the operating theatre's contact holds the operation",
        "2026-09-07T06:45:00+02:00",
        "2026-09-14T10:00:00+02:00",
        pid="KO-0077-1203",
        doctor="Sönke Paulsen",
        department="Orthopädie",
    )
    insured(chart, "M900871265")
    chart.patient |= {"gender": "male", "birthDate": "1955-08-19"}
    chart.patient["name"] = [{"use": "official", "family": "Krzyżanowski", "given": ["Günter"], "suffix": ["jun."]}]
    before = chart.add(
        "Encounter",
        status="finished",
        type=[coded("http://fhir.de/CodeSystem/kontaktart-de", "vorstationaer", "Vorstationär")],
        subject=chart.ref(chart.patient),
        period={"start": "2026-08-27T09:00:00+02:00", "end": "2026-08-27T11:00:00+02:00"},
    )
    before["class"] = hl7("v3-ActCode", "PRENC")["coding"][0]
    chart.lab(
        loinc("6301-6", "INR in Plättchenarmem Plasma"),
        9.87,
        "{INR}",
        high=1.2,
        encounter=chart.ref(before),
        at="2026-08-27T09:30:00+02:00",
    )
    chart.never(
        "high", "laboratory", "a result of the visit before as one of the stay", item("INR", "9[.,]87", under=ABNORMAL)
    )
    theatre = contact(chart, "versorgungsstellenkontakt", "2026-09-07T08:00:00+02:00", "2026-09-07T10:30:00+02:00")
    diagnosis(chart, icd("M17.1", "Sonstige primäre Gonarthrose", side="R"), "hauptdiagnose")
    chart.says(
        "critical",
        "diagnosis",
        "gonarthrosis on the right",
        item("gonarthrose", r"right|rechts|\(R\)|\bR\b", under=PRINCIPAL),
    )
    diagnosis(
        chart, icd("I26.9", "Lungenembolie", certainty="Z"), category="problem-list-item", recordedDate="2019-04-02"
    )
    chart.never(
        "critical",
        "diagnosis",
        "an old embolism as one of today",
        item(r"^(?!.*(history|state after|zustand nach|z\. ?n\.|resolved|past)).*lungenembolie", under=DIAGNOSES),
    )
    chart.procedure(
        ops("5-822.g1", "Implantation einer bikondylären Oberflächenersatzprothese", side="R"),
        encounter=chart.ref(theatre),
        at="2026-09-07T08:20:00+02:00",
        note=[{"text": "Blutverlust 350 ml, keine Komplikationen"}],
    )
    chart.says("critical", "procedure", "the prosthesis", item("oberflächenersatzprothese", under=PROCEDURES))
    chart.says("medium", "procedure", "blood loss", item("350 ml"))
    chart.lab(
        loinc("1988-5", "C-reaktives Protein"),
        143.6,
        "mg/l",
        at="2026-09-10T06:30:00+02:00",
        referenceRange=[limits(high=5, unit="mg/l", text="bis 5,0")],
    )
    chart.says("critical", "laboratory", "CRP 143.6", item("c-reaktives", r"143[.,]6", under=ABNORMAL))
    chart.observation(
        "Beweglichkeit rechtes Knie (Neutral-Null)", category="exam", at="2026-09-13", valueString="0-0-95"
    )
    chart.says("medium", "function", "range of movement", item("0-0-95"), anywhere=True)
    chart.medicine(
        drug("B01AF01", "Rivaroxaban", "05958372", "Xarelto 10 mg"),
        dosage("0-0-1-0", days=9, dose=(1, "Stück")),
        dispenseRequest={"validityPeriod": {"start": "2026-09-14", "end": "2026-09-21"}},
    )
    chart.says("critical", "dose", "rivaroxaban once in the evening", taken("xarelto 10|rivaroxaban", "0-0-1-0"))
    chart.says(
        "critical", "dose", "for nine days", taken("xarelto|rivaroxaban", r"\b9 ?(days|tage|d\b)|21 sep|2026-09-21")
    )
    chart.medicine(
        "Oxycodon/Naloxon 10/5 mg retard",
        dosage("1-0-1-0, ausschleichen bis 20.09.2026"),
        dosage("bei Schmerzen zusätzlich 1 Tablette, höchstens 2 am Tag", as_needed=True),
    )
    chart.says(
        "critical", "dose", "oxycodone with both instructions", taken("oxycodon", "20.09.2026.*höchstens 2 am Tag")
    )
    chart.home_medicine(
        "Phenprocoumon 3 mg", dosage("nach INR"), status="on-hold", statusReason={"text": "bis 10. Tag postop."}
    )
    chart.says("critical", "medicine status", "phenprocoumon on hold", item("phenprocoumon", under=NOT_TAKEN))
    chart.never("critical", "medicine status", "phenprocoumon to be taken", taken("phenprocoumon"))
    chart.administration(
        "Tranexamsäure", {"dose": quantity(1, "g"), "text": "1 g i.v. vor Schnitt"}, at="2026-09-07T08:10:00+02:00"
    )
    chart.says("medium", "medicine", "tranexamic acid", item("tranexam", under=GIVEN))
    chart.care_plan("Fäden ab dem 12. postoperativen Tag entfernen", "Vollbelastung an Unterarmgehstützen")
    chart.says(
        "high", "care plan", "full weight, stitches", item("12\\. postoperativen", under=(*CARE_PLAN, *AFTERCARE))
    )
    discharged(chart, "09", "Entlassung in eine Rehabilitationseinrichtung")
    chart.says("critical", "disposition", "to rehabilitation", item("rehabilitation", under=DISPOSITION))
    chart.appointment("Abgesagt: Rheumaambulanz", "2026-09-30T09:00:00+02:00", status="cancelled")
    chart.never("high", "follow-up", "a cancelled visit", item("rheumaambulanz", under=FOLLOW_UP))
    return chart.stay(time_zone="Europe/Berlin")

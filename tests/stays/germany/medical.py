"""A myocardial infarction with a medication plan, and a geriatric stay that ends in a nursing home."""

from typing import Any

from tests.stays.build import Chart
from tests.stays.elements import SNOMED, Element, coded, dosage, exact, quantity
from tests.stays.germany.profiles import contact, diagnosis, discharged, drug, icd, insured, loinc, ward
from tests.stays.model import Resource, Stay
from tests.stays.words import (
    ABNORMAL,
    AFTERCARE,
    AS_NEEDED,
    CODE_STATUS,
    DIAGNOSES,
    EVENING,
    FOLLOW_UP,
    GIVEN,
    MORNING,
    NORMAL,
    NOT_TAKEN,
    PRINCIPAL,
    PROCEDURES,
    RULED_OUT,
    SUSPECTED,
    TAKEN,
    day,
    first_before,
    item,
    number,
    taken,
)


def _plan(morning: float = 0, noon: float = 0, evening: float = 0, night: float = 0) -> list[Element]:
    """The four columns of the Bundeseinheitlicher Medikationsplan, one Dosage for each that is not empty."""
    columns = (("MORN", morning), ("NOON", noon), ("EVE", evening), ("NIGHT", night))
    repeat: Element = {"frequency": 1, "period": 1, "periodUnit": "d"}
    return [
        dosage(repeat=repeat | {"when": [when]}, doseAndRate=[{"doseQuantity": {"value": value, "unit": "Stück"}}])
        for when, value in columns
        if value
    ]


def _planned(chart: Chart, medicine: Element, *dosages: Element, **more: Any) -> Resource:
    """A line of the medication plan that is given to the patient at the discharge."""
    own: Element = {"context": chart.ref(chart.encounter), "dateAsserted": chart.end}
    own |= {"effectiveDateTime": None, "effectivePeriod": {"start": chart.end[:10]}}
    return chart.statement(medicine, *dosages, **(own | more))


def infarction() -> Stay:
    chart = ward(
        "hinterwandinfarkt",
        "a medication plan of statements with one Dosage a column; results on a ward's contact three levels down",
        "2026-03-28T23:30:00+01:00",
        "2026-04-02T11:00:00+02:00",
        pid="KO-0088-4412",
        doctor="Henrike Ossenbrügge",
        department="Kardiologie",
    )
    insured(chart, "K553402198")
    chart.patient |= {"gender": "male", "birthDate": "1958-12-03"}
    chart.patient["name"] = [{"use": "official", "family": "Brömmelkamp", "given": ["Jörg", "Uwe"]}]
    chart.says("high", "identity", "the patient's name with umlauts", "Jörg.*Brömmelkamp")
    chart.says("critical", "dates", "admitted on the local day", item(day("2026-03-28"), day("2026-04-02")))
    department = contact(chart, "abteilungskontakt", "2026-03-28T23:30:00+01:00", "2026-04-02T11:00:00+02:00")
    station = contact(
        chart, "versorgungsstellenkontakt", "2026-03-28T23:55:00+01:00", "2026-03-31T09:00:00+02:00", department
    )
    on_station = chart.ref(station)
    diagnosis(chart, icd("I21.1", "Akuter transmuraler Myokardinfarkt der Hinterwand"), "hauptdiagnose")
    chart.says("critical", "diagnosis", "inferior infarction is principal", item("hinterwand|I21.1", under=PRINCIPAL))
    diagnosis(chart, icd("I26.9", "Lungenembolie", certainty="A"), encounter=chart.ref(department))
    chart.never("critical", "diagnosis", "embolism as a diagnosis", item("lungenembolie", under=DIAGNOSES))
    chart.says("medium", "diagnosis", "embolism was ruled out", item("lungenembolie", under=RULED_OUT), anywhere=True)
    chart.lab(
        loinc("67151-1", "Troponin T.kardial [Masse/Volumen] in Serum oder Plasma mit hochsensitiver Methode"),
        exact("1840.0"),
        "ng/L",
        high=14,
        flag="HH",
        at="2026-03-29T06:10:00+02:00",
        encounter=on_station,
    )
    chart.says("critical", "laboratory", "troponin 1840, abnormal", item("troponin", number("1840"), under=ABNORMAL))
    chart.lab(loinc("2823-3", "Kalium [Mol/Volumen] in Serum"), 3.42, "mmol/L", low=3.5, high=5.1, encounter=on_station)
    chart.says("critical", "laboratory", "potassium 3.42, low by its range", item("kalium", r"3[.,]42", under=ABNORMAL))
    chart.lab(loinc("13457-7", "Cholesterin in LDL [Masse/Volumen] berechnet"), "<0,6 mmol/l (nicht nüchtern)")
    chart.says("high", "laboratory", "LDL as it was written", item("LDL", r"< ?0,6 mmol/l"))
    chart.never("critical", "laboratory", "LDL within range", item("LDL", under=NORMAL))
    at = "2026-03-29T00:20:00+01:00"
    chart.procedure(coded("http://fhir.de/CodeSystem/bfarm/ops", "8-837.00", "PTCA einer Koronararterie"), at=at)
    chart.says("high", "procedure", "angioplasty, local day", item("PTCA", day("2026-03-29"), under=PROCEDURES))
    _planned(chart, drug("B01AC06", "Acetylsalicylsäure", "04562798", "ASS 100 mg TAH"), *_plan(morning=1))
    chart.says("critical", "dose", "aspirin 100 mg in the morning", taken("ASS 100|acetylsalicyl", MORNING))
    _planned(chart, drug("B01AC24", "Ticagrelor", "09999301", "Brilique 90 mg"), *_plan(morning=1, evening=1))
    chart.says(
        "critical", "dose", "ticagrelor in the morning and evening", taken("ticagrelor|brilique 90", MORNING, EVENING)
    )
    _planned(chart, drug("C10AA05", "Atorvastatin", "01447010", "Atorvastatin 80 mg"), *_plan(night=0.5))
    chart.says("critical", "dose", "atorvastatin, half a tablet", taken("atorvastatin", r"(0[.,]5|½|half)", EVENING))
    _planned(
        chart,
        drug("C07AB02", "Metoprolol", "01234561", "Beloc-Zok mite 47,5 mg"),
        status="stopped",
        statusReason=[{"text": "Bradykardie"}],
    )
    chart.never("critical", "medicine status", "metoprolol to be taken", taken("metoprolol|beloc"))
    chart.says("high", "medicine status", "metoprolol stopped", item("metoprolol|beloc", under=NOT_TAKEN))
    discharged(chart, "01", "Behandlung regulär beendet", "1")
    chart.says("medium", "disposition", "regular end", "regulär beendet|regular(ly)? end|home")
    chart.appointment("Kardiologische Praxis Dr. Tiedemann", "2026-04-14T08:30:00+02:00")
    chart.says("high", "follow-up", "cardiology on 14 April", item("Tiedemann", day("2026-04-14"), under=FOLLOW_UP))
    return chart.stay(time_zone="Europe/Berlin")


def geriatrics() -> Stay:
    chart = ward(
        "geriatrie",
        "Barthel and mental state as survey results, an advance directive, a nursing home; † and * codes",
        "2026-01-05T14:00:00+01:00",
        "2026-01-23T10:15:00+01:00",
        pid="KO-0031-7790",
        doctor="Thies Karstens",
        department="Geriatrie",
    )
    insured(chart, "A400912837")
    chart.patient |= {"gender": "female", "birthDate": "1937-06-21"}
    own = {"url": "http://hl7.org/fhir/StructureDefinition/humanname-own-name", "valueString": "Auenhof"}
    prefix = {"url": "http://hl7.org/fhir/StructureDefinition/humanname-own-prefix", "valueString": "von der"}
    affix = {"url": "http://fhir.de/StructureDefinition/humanname-namenszusatz", "valueString": "Gräfin"}
    chart.patient["name"] = [
        {
            "use": "official",
            "family": "Gräfin von der Auenhof",
            "_family": {"extension": [affix, prefix, own]},
            "given": ["Adelheid"],
        },
        {"use": "maiden", "family": "Schmitt", "given": ["Adelheid"]},
    ]
    chart.says("critical", "identity", "the name of today, once", "Adelheid Gräfin von der Auenhof")
    chart.never(
        "high", "identity", "the maiden name or a doubled prefix", "patient:.*(schmitt|der von der|gräfin gräfin)"
    )
    diagnosis(chart, icd("S32.5", "Fraktur des Os pubis", side="L"), "hauptdiagnose")
    chart.says("critical", "diagnosis", "fracture of the pubis", item("os pubis|S32.5", under=PRINCIPAL))
    chart.says("high", "diagnosis", "on the left", item("os pubis|S32.5", r"left|links|\bL\b", under=PRINCIPAL))
    diagnosis(chart, icd("G30.1", "Alzheimer-Krankheit mit spätem Beginn", mark="†"))
    diagnosis(chart, icd("F00.1", "Demenz bei Alzheimer-Krankheit, mit spätem Beginn", mark="*"))
    chart.says("high", "diagnosis", "dementia", item("demenz|alzheimer", under=DIAGNOSES))
    diagnosis(chart, icd("C90.00", "Multiples Myelom", certainty="V"))
    chart.says("high", "diagnosis", "myeloma only as suspected", item("myelom", under=SUSPECTED))
    for when, score in (("2026-01-06", 25), ("2026-01-22", 45)):
        chart.observation(
            loinc("96761-2", "Barthel-Index Summenscore"),
            category="survey",
            at=when,
            valueQuantity=quantity(score, "{score}"),
        )
    chart.says("high", "function", "Barthel from 25 to 45", item("barthel", number("45")))
    chart.observation(loinc("72106-8", "Mini-Mental-Status-Test"), category="survey", at="2026-01-08", valueInteger=17)
    chart.says("medium", "function", "mental state test 17", item("mini-mental", number("17")))
    chart.add(
        "Flag",
        status="active",
        category=[{"text": "Patientenverfügung"}],
        code={"text": "Keine kardiopulmonale Reanimation, keine PEG-Sonde"},
        subject=chart.ref(chart.patient),
        period={"start": "2026-01-07"},
    )
    chart.says(
        "critical", "code status", "no resuscitation", "keine kardiopulmonale reanimation|no (cpr|resuscitation)"
    )
    chart.never("high", "code status", "full code", item(r"full code", under=CODE_STATUS))
    chart.lab(
        loinc("2951-2", "Natrium [Mol/Volumen] in Serum"),
        127,
        "mmol/l",
        low=136,
        high=145,
        at="2026-01-06T07:00:00+01:00",
    )
    chart.lab(
        loinc("2951-2", "Natrium [Mol/Volumen] in Serum"),
        137,
        "mmol/l",
        low=136,
        high=145,
        at="2026-01-20T07:00:00+01:00",
    )
    chart.says(
        "critical", "laboratory", "sodium 127, then 137", first_before(rf"natrium.*{number('127')}", number("137"))
    )
    chart.home_medicine("Hydrochlorothiazid 25 mg Tabletten", dosage("1-0-0-0"), status="stopped")
    chart.never("critical", "medicine status", "the thiazide to be taken", taken("hydrochlorothiazid"))
    chart.medicine("Digitoxin 0,07 mg Tabletten", dosage("1-0-0-0, Mo-Fr, Sa und So Pause"))
    chart.says("critical", "dose", "digitoxin with its pause", taken(r"digitoxin 0,07", "1-0-0-0.*Sa und So Pause"))
    chart.medicine("Tilidin comp. 50/4 mg Tropfen", dosage("bei Bedarf 10 Tropfen, max. 4-mal täglich"))
    chart.says(
        "critical", "dose", "tilidine as needed", taken("tilidin", rf"bei bedarf|{AS_NEEDED}", "10 (tropfen|drops)")
    )
    chart.medicine("Enoxaparin 40 mg Fertigspritze", dosage("0-0-1-0 s.c."), category="inpatient", status="completed")
    chart.never("high", "medicine status", "enoxaparin to be taken at home", item("enoxaparin", under=TAKEN))
    chart.allergy(
        {"coding": [{"system": SNOMED, "code": "716186003", "display": "Keine Allergie bekannt"}]}, recorded="2020"
    )
    chart.allergy("Pflaster (Acrylate)", reaction="Kontaktdermatitis", recorded="2026-01-30")
    chart.says("critical", "allergy", "plasters, recorded later", item("pflaster", under=("allerg|intoleran",)))
    chart.order("Physiotherapie: Gangschule mit Rollator 2 x wöchentlich")
    chart.says("high", "follow-up", "physiotherapy", item("gangschule", under=AFTERCARE))
    discharged(chart, "10", "Entlassung in eine Pflegeeinrichtung")
    chart.says("critical", "disposition", "to a nursing home", "pflegeeinrichtung|nursing")
    chart.never("high", "disposition", "home", item(r"^(home|nach hause)", under=("discharged to",)))
    chart.says("medium", "medicine", "enoxaparin in hospital", item("enoxaparin", under=GIVEN), anywhere=True)
    return chart.stay(time_zone="Europe/Berlin")

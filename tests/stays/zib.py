"""Dutch stays after zib 2020: medication agreements, stop agreements, treatment directives, Dutch words."""

from typing import Any

from tests.stays.build import Chart
from tests.stays.elements import LOINC, SNOMED, Element, coded, dosage, identifier
from tests.stays.model import Resource, Stay
from tests.stays.words import (
    ABNORMAL,
    ALLERGIES,
    CODE_STATUS,
    DEVICES,
    DIET,
    FUNCTION,
    GIVEN,
    HOME,
    NOT_TAKEN,
    PRINCIPAL,
    day,
    item,
    number,
    taken,
)

AGREEMENT = [coded(SNOMED, "33633005", "voorschrijven van geneesmiddel")]
_DOCTORS = {"darmkanker": "S. Wiersma", "heup": "F. Kuipers", "hart": "L. Achterberg"}
STOP = "http://nictiz.nl/fhir/StructureDefinition/ext-StopType"


def _chart(name: str, about: str, start: str, end: str, family: str, given: str, born: str, gender: str) -> Chart:
    chart = Chart(f"zib-{name}", "zib", about, start=start, end=end)
    chart.patient |= {"gender": gender, "birthDate": born}
    chart.patient["name"] = [{"use": "official", "text": f"{given} {family}", "family": family, "given": [given]}]
    chart.patient["identifier"] = [identifier("999998298", system="http://fhir.nl/fhir/NamingSystem/bsn")]
    chart.never("critical", "identity", "the citizen's number as MRN", "MRN:? ?999998298")
    chart.says("critical", "identity", "the name", f"{given} {family}")
    role = chart.add("PractitionerRole", practitioner=chart.ref(chart.attending))
    doctor = _DOCTORS[name]
    chart.attending["name"] = [{"text": f"dr. {doctor}"}]
    chart.encounter["participant"][0]["individual"] = chart.ref(role)
    chart.says("high", "identity", "the attending behind a role", doctor.replace(".", "[.]"))
    return chart


def _agreement(chart: Chart, medicine: str, *dosages: Element, **more: Any) -> Resource:
    """A medication agreement that refers to a Medication."""
    named = chart.add("Medication", code={"text": medicine})
    return chart.medicine(named, *dosages, category=None, **({"at": chart.end} | more))


def colon() -> Stay:
    chart = _chart(
        "darmkanker",
        "agreements with a category of SNOMED CT; a stop agreement; a stoma; nutrition advice",
        "2026-09-01T07:45:00+02:00",
        "2026-09-08T12:00:00+02:00",
        "de Vries-Bakker",
        "Anneke",
        "1955-05-15",
        "female",
    )
    chart.diagnosis(
        chart.condition("Coloncarcinoom", (SNOMED, "93761005", "Primary malignant neoplasm of colon")), rank=1
    )
    chart.says("critical", "diagnosis", "colon cancer", item("coloncarcinoom", under=PRINCIPAL))
    agreed = dosage("2 maal per dag 1 stuk, oraal", dose=(1, "stuk"), frequency=2)
    _with_category(chart, "NAPROXEN TABLET 250MG", agreed, modifierExtension=[_stopped()], status="stopped")
    chart.says("high", "medicine status", "naproxen was stopped", item("naproxen", under=NOT_TAKEN))
    chart.never("critical", "medicine status", "naproxen to take", taken("naproxen"))
    _with_category(
        chart,
        "NADROPARINE INJVLST 9500IE/ML WWSP 0,6ML",
        dosage("Vanaf 8 sep 2026, gedurende 4 weken, 1 maal per dag 1 stuk, subcutaan"),
    )
    weeks = item("nadroparine", "4 weken", "1 maal per dag", under=HOME)
    chart.says("critical", "dose", "nadroparin for four weeks", weeks)
    _with_category(chart, "PARACETAMOL TABLET 500MG", dosage(dose=(2, "stuk"), frequency=4, as_needed="pijn"))
    needed = item("paracetamol", "2 stuk", "four times|4", "as needed for pijn", under=HOME)
    chart.says("critical", "dose", "paracetamol as needed for pain", needed)
    chart.add(
        "NutritionOrder",
        status="active",
        intent="order",
        patient=chart.ref(chart.patient),
        encounter=chart.ref(chart.encounter),
        dateTime="2026-09-07",
        oralDiet={"type": [{"text": "Vezelarm dieet"}], "instruction": "zes weken"},
    )
    chart.says("high", "care plan", "a diet low in fibre", item("vezelarm", "zes weken", under=DIET))
    chart.add(
        "Device", status="active", type={"text": "Dubbelloops ileostoma, rechts"}, patient=chart.ref(chart.patient)
    )
    chart.says("high", "device", "the stoma", item("ileostoma, rechts", under=DEVICES))
    chart.lab("Leukocyten", 14.6, "10*9/L", (LOINC, "6690-2"), low=4, high=10)
    chart.says("critical", "laboratory", "leukocytes 14.6", item("leukocyten", number("14.6"), under=ABNORMAL))
    return chart.stay(time_zone="Europe/Amsterdam")


def _with_category(chart: Chart, medicine: str, *dosages: Element, **more: Any) -> Resource:
    order = _agreement(chart, medicine, *dosages, **more)
    order["category"] = AGREEMENT
    return order


def _stopped() -> Element:
    return {"url": STOP, "valueCodeableConcept": coded(SNOMED, "410546004", "stopgezet")}


def delirium() -> Stay:
    chart = _chart(
        "heup",
        "functional and mental status; statements of use; a treatment directive; a nursing home",
        "2026-10-24T23:30:00+02:00",
        "2026-10-30T15:00:00+01:00",
        "Jansen",
        "Willem",
        "1938-02-28",
        "male",
    )
    chart.says("high", "dates", "over the end of summer time", f"{day('2026-10-24')}.*{day('2026-10-30')}")
    chart.diagnosis(chart.condition("Collumfractuur links", (SNOMED, "5913000", "Fracture of neck of femur")), rank=1)
    chart.says("critical", "diagnosis", "fracture on the left", item("collumfractuur links", under=PRINCIPAL))
    chart.observation(
        "Barthel-index totaalscore",
        (LOINC, "96761-2"),
        category="survey",
        at="2026-10-30T09:00:00+01:00",
        valueInteger=11,
    )
    chart.says("critical", "function", "Barthel 11", item("Barthel", r"\b11\b", under=FUNCTION))
    chart.observation(
        "Cognitieve status",
        category="survey",
        at="2026-10-29T09:00:00+01:00",
        valueCodeableConcept={"text": "Gedesoriënteerd in tijd"},
    )
    chart.says("high", "function", "disoriented", item("gedesoriënteerd", under=FUNCTION))
    chart.add(
        "Consent",
        status="active",
        scope={"text": "Behandelaanwijzing"},
        category=[coded(SNOMED, "129125009")],
        patient=chart.ref(chart.patient),
        dateTime="2026-10-25",
        provision={"type": "deny", "code": [coded(SNOMED, "40617009", "Kunstmatige beademing")]},
    )
    chart.says("critical", "code status", "no ventilation", item("beademing", "not|deny", under=CODE_STATUS))
    chart.statement("Rivastigmine pleister 9,5mg/24uur", dosage("1 maal per dag 1 pleister, op de huid"))
    chart.statement(
        "Temazepam 10 mg",
        status="stopped",
        effectivePeriod={"start": "2024-01-01", "end": "2026-10-26"},
        effectiveDateTime=None,
    )
    chart.says("high", "medicine status", "temazepam was stopped", item("temazepam", under=NOT_TAKEN))
    chart.never("critical", "medicine status", "temazepam to take", taken("temazepam"))
    chart.administration(
        "Haloperidol", {"dose": {"value": 0.5, "unit": "mg"}, "text": "0,5 mg"}, at="2026-10-26T22:00:00+01:00"
    )
    chart.says("high", "medicine", "haloperidol was given", item("haloperidol", "0[.,]5 ?mg", under=GIVEN))
    chart.encounter["hospitalization"] = {"dischargeDisposition": {"text": "Verpleeghuis"}}
    chart.says("high", "disposition", "to a nursing home", "verpleeghuis")
    chart.allergy("Codeïne", reaction="Verwardheid", verification="unconfirmed")
    chart.says(
        "critical", "allergy", "codeine, not confirmed", item("codeïne", "unconfirmed|not confirmed", under=ALLERGIES)
    )
    return chart.stay(time_zone="Europe/Amsterdam")


def heart() -> Stay:
    chart = _chart(
        "hart",
        "several dosages of one sequence; every other day; a vascular access; results by the hospital's own codes",
        "2026-01-12T11:00:00+01:00",
        "2026-01-16",
        "van den Heuvel",
        "Sjoerd",
        "1961-11-30",
        "male",
    )
    chart.diagnosis(chart.condition("Hartfalen, acuut", (SNOMED, "56675007", "Acute heart failure")), rank=1)
    chart.says("critical", "diagnosis", "acute heart failure", item("hartfalen", under=PRINCIPAL))
    early = dosage(dose=(2, "stuk"), repeat={"timeOfDay": ["08:00:00"]}) | {"sequence": 1}
    late = dosage(dose=(1, "stuk"), repeat={"timeOfDay": ["12:00:00"]}) | {"sequence": 1}
    _with_category(chart, "BUMETANIDE TABLET 1MG", early, late)
    chart.says("critical", "dose", "bumetanide 2 and 1", item("bumetanide", "2 stuk.*08:00.*1 stuk.*12:00", under=HOME))
    _with_category(chart, "ACENOCOUMAROL TABLET 1MG", dosage("volgens schema trombosedienst"))
    chart.says("critical", "dose", "acenocoumarol by schedule", item("acenocoumarol", "trombosedienst", under=HOME))
    _with_category(chart, "DIGOXINE TABLET 0,125MG", dosage(dose=(1, "stuk"), frequency=1, period=2))
    chart.says("critical", "dose", "digoxin every other day", item("digoxine", "other day|2 days", under=HOME))
    own = "urn:oid:2.16.528.1.1007.3.3.9999"
    chart.lab("Kreatinine", 187, "umol/L", (own, "KREA"), low=60, high=115, at="2026-01-12T12:00:00+01:00")
    chart.lab("Kreatinine", 142, "umol/L", (own, "KREA"), low=60, high=115, at="2026-01-16T06:00:00+01:00")
    course = item("kreatinine", "187.*142", under=ABNORMAL)
    chart.says("critical", "laboratory", "creatinine 187, then 142 on the day of the discharge", course)
    chart.add(
        "DeviceUseStatement",
        status="active",
        subject=chart.ref(chart.patient),
        device={"display": "PICC-lijn"},
        bodySite={"text": "Rechter bovenarm"},
        timingPeriod={"start": "2026-01-13"},
    )
    chart.says("high", "device", "the PICC in the right arm", item("PICC", "rechter bovenarm", under=DEVICES))
    return chart.stay(time_zone="Europe/Amsterdam")


STAYS = (colon, delirium, heart)

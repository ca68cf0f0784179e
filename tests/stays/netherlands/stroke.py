"""A stroke with an anticoagulant that is interrupted."""

from tests.stays.elements import LOINC, SNOMED, coded, concept, hl7, quantity
from tests.stays.model import Serve, Stay
from tests.stays.netherlands.profiles import (
    admission,
    agreement,
    directive,
    given,
    stop,
)
from tests.stays.words import (
    CODE_STATUS,
    DIAGNOSES,
    DISPOSITION,
    FUNCTION,
    NOT_TAKEN,
    PRINCIPAL,
    REPORTS,
    item,
    number,
    taken,
)


def stroke() -> Stay:
    chart = admission(
        "herseninfarct",
        "a partner's name, apixaban interrupted for a time, a report that is corrected, sides at body sites",
        "2026-10-24T18:20:00+02:00",
        "2026-10-30T14:00:00+01:00",
        number="4410-915",
        attending="Anouk Bos",
    )
    chart.patient |= {"gender": "female", "birthDate": "1948-03-17"}
    parts = ["humanname-partner-prefix|van den", "humanname-partner-name|Heuvel", "humanname-own-name|Ypma"]
    chart.patient["name"] = [
        {
            "use": "official",
            "family": "van den Heuvel-Ypma",
            "_family": {
                "extension": [
                    {"url": f"http://hl7.org/fhir/StructureDefinition/{url}", "valueString": text}
                    for url, text in (part.split("|") for part in parts)
                ]
            },
            "given": ["Geertruida"],
        }
    ]
    chart.says("critical", "identity", "both her names, once", r"patient:? geertruida van den heuvel-ypma(?! ypma)")
    infarct = chart.condition(
        "Herseninfarct",
        (SNOMED, "432504007", "cerebraal infarct"),
        bodySite=[
            {
                "extension": [
                    {
                        "url": "http://nictiz.nl/fhir/StructureDefinition/ext-AnatomicalLocation.Laterality",
                        "valueCodeableConcept": coded(SNOMED, "7771000", "links"),
                    }
                ],
                "coding": [{"system": SNOMED, "code": "17232002", "display": "arteria cerebri media"}],
            }
        ],
    )
    chart.diagnosis(infarct, use=None, rank=1)
    chart.says("critical", "diagnosis", "stroke is principal", item("herseninfarct", under=PRINCIPAL))
    chart.says("high", "diagnosis", "its side", item("herseninfarct", "links|left", under=PRINCIPAL))
    chart.condition("Hersenbloeding", verification="refuted")
    chart.never(
        "critical",
        "diagnosis",
        "bleeding as a diagnosis",
        item("^(?!.*(ruled|refuted)).*hersenbloeding", under=DIAGNOSES),
    )
    chart.report(
        "CT-cerebrum",
        "Geen bloeding. Demarcatie links.",
        status="corrected",
        at="2026-10-24T19:00:00+02:00",
        conclusionCode=[concept("Herseninfarct")],
    )
    chart.report("CT-cerebrum", "Demarcatie rechts.", status="entered-in-error", at="2026-10-24T19:00:00+02:00")
    chart.says("critical", "report", "the corrected report", item("CT", "demarcatie links", under=REPORTS))
    chart.never("critical", "report", "the erroneous one", "demarcatie rechts")
    agreement(
        chart,
        "APIXABAN TABLET 5MG",
        given("2 maal per dag 1 stuk", 1, 2),
        status="on-hold",
        modifierExtension=stop("tijdelijk gestopt", "385655000"),
        reasonCode=[{"text": "hemorragische transformatie: herstart na controle"}],
    )
    chart.never("critical", "medicine status", "apixaban to be taken", taken("apixaban"))
    chart.says("critical", "medicine status", "apixaban interrupted", item("apixaban", under=NOT_TAKEN))
    agreement(
        chart,
        "CLOPIDOGREL TABLET 75MG",
        given("1 maal per dag 1 stuk", 1, 1),
        status="active",
        modifierExtension=stop("stopgezet", "410546004"),
    )
    chart.never("critical", "medicine status", "a stop agreement as an order", taken("clopidogrel"))
    chart.says("high", "medicine status", "clopidogrel is stopped", item("clopidogrel", under=NOT_TAKEN))
    agreement(chart, "ATORVASTATINE TABLET 40MG", given("1 maal per dag 1 stuk, 's avonds", 1, 1))
    chart.says(
        "critical", "dose", "atorvastatin in the evening", taken("atorvastatine tablet 40 ?mg", "'s avonds|evening")
    )
    agreement(chart, "NIMODIPINE TABLET 30MG", given("6 maal per dag 2 stuks", 2, 6), intent="proposal")
    chart.never("critical", "medicine status", "a proposal as an order", taken("nimodipine"))
    chart.observation(
        "Slikstoornis",
        category=None,
        at="2026-10-29",
        code=coded(SNOMED, "40739000", "Slikstoornis"),
        valueCodeableConcept=coded(SNOMED, "260415000", "niet gevonden"),
    )
    chart.observation(
        {"coding": [{"system": SNOMED, "code": "273302005", "display": "Barthel-index"}]},
        category="survey",
        at="2026-10-29",
        valueInteger=11,
    )
    chart.says("high", "function", "Barthel 11", item("barthel", number("11"), under=FUNCTION))
    directive(chart, "opname op intensive care", "305351004", "deny", "2026-10-25")
    directive(chart, "cardiopulmonale resuscitatie", "89666000", "permit", "2026-10-25")
    chart.says(
        "critical",
        "code status",
        "no intensive care",
        item("intensive care", "not|no\\b|den|niet|refus", under=CODE_STATUS),
    )
    chart.says(
        "high",
        "code status",
        "resuscitation is permitted",
        item("resuscitatie", "permit|allow|yes|ja\\b|wanted|accept", under=CODE_STATUS),
    )
    chart.never(
        "critical",
        "code status",
        "no resuscitation",
        item("resuscitatie[^;.]{0,20}(den|not|no\\b)|(not|no) .{0,15}resuscitatie|DNR"),
    )
    chart.lab(
        "LDL-cholesterol",
        4.61,
        "mmol/L",
        (LOINC, "22748-8"),
        at="2026-10-25T08:00:00+01:00",
        referenceRange=[{"high": quantity(2.6, "mmol/L"), "type": hl7("referencerange-meaning", "treatment")}],
    )
    chart.says("high", "laboratory", "LDL 4.61", item("LDL", number("4.61")))
    chart.encounter["hospitalization"] = {"dischargeDisposition": {"text": "Geriatrische revalidatie De Vlietstroom"}}
    chart.says("critical", "disposition", "to rehabilitation", item("revalidatie", under=DISPOSITION))
    return chart.stay(time_zone="Europe/Amsterdam", serve=Serve(ids="typed", page=10, mirror=True))

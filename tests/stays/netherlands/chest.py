"""A COPD exacerbation with a tapering course."""

from tests.stays.elements import LOINC, SNOMED, coded, quantity
from tests.stays.model import Stay
from tests.stays.netherlands.profiles import (
    ADMINISTRATION_AGREEMENT,
    USE,
    admission,
    agreement,
    given,
)
from tests.stays.words import (
    ABNORMAL,
    AFTERCARE,
    ALLERGIES,
    DIET,
    DISPOSITION,
    HOME,
    PRINCIPAL,
    TAKEN,
    VITALS,
    day,
    item,
    number,
    taken,
)


def copd() -> Stay:
    chart = admission(
        "copd",
        "a course as four doses in sequence; an agreement and its administration agreement; days without times",
        "2026-02-24",
        "2026-03-03",
        number="4410-772",
        attending="Wieke Terpstra",
    )
    chart.patient |= {"gender": "male", "birthDate": "1953-10-08"}
    own = {"url": "http://hl7.org/fhir/StructureDefinition/humanname-own-name", "valueString": "Veenstra"}
    chart.patient["name"] = [
        {
            "use": "official",
            "text": "Sjoerd Veenstra",
            "family": "Veenstra",
            "_family": {"extension": [own]},
            "given": ["Sjoerd", "S."],
            "_given": [{"extension": [_qualifier("BR")]}, {"extension": [_qualifier("IN")]}],
        },
        {"use": "usual", "given": ["Sjors"]},
    ]
    chart.says("high", "identity", "his official name", "patient:? sjoerd (S\\.? )?veenstra")
    chart.says("critical", "dates", "days as they are", item(day("2026-02-24"), day("2026-03-03")))
    chart.encounter["reasonReference"] = [
        chart.ref(chart.condition("Exacerbatie COPD", (SNOMED, "195951007", "acute exacerbatie van COPD")))
    ]
    chart.encounter["diagnosis"] = [{"condition": chart.encounter["reasonReference"][0], "rank": 1}]
    chart.says("critical", "diagnosis", "exacerbation is principal", item("exacerbatie", under=PRINCIPAL))
    chart.condition("Roker", category="problem-list-item", clinical="inactive", abatementDateTime="2019")
    chart.lab(
        "pCO2",
        8.4,
        "kPa",
        (LOINC, "2019-8"),
        low=4.6,
        high=6.0,
        at="2026-02-24T20:10:00+01:00",
        note=[{"text": "arterieel"}],
    )
    chart.lab("pCO2", 5.9, "kPa", (LOINC, "2019-8"), low=4.6, high=6.0, at="2026-03-02T09:00:00+01:00")
    chart.says(
        "critical", "laboratory", "pCO2 8.4, then 5.9", item("pco2", number("8.4"), number("5.9"), under=ABNORMAL)
    )
    steps = [("6 stuks", 6, "vanaf 24 feb"), ("4 stuks", 4, "vanaf 1 mrt"), ("2 stuks", 2, "vanaf 6 mrt")]
    agreement(
        chart,
        "PREDNISOLON TABLET 5MG",
        *(
            given(f"{start} gedurende 5 dagen 1 maal per dag {text}", value, 1, sequence=n)
            for n, (text, value, start) in enumerate(steps, 1)
        ),
        given("vanaf 11 mrt: stoppen", sequence=4),
        use={"start": "2026-02-24", "end": "2026-03-11"},
    )
    chart.says(
        "critical",
        "dose",
        "every step of the course",
        item("prednisolon", "24 feb.*6 stuks.*1 mrt.*4 stuks.*6 mrt.*2 stuks", under=HOME),
    )
    agreement(
        chart,
        "AMOXICILLINE/CLAVULAANZUUR TABLET 500/125MG",
        given("3 maal per dag 1 stuk t/m 3 mrt", 1, 3),
        status="completed",
        use={"start": "2026-02-24", "end": "2026-03-03"},
    )
    inhaler = agreement(
        chart,
        "TIOTROPIUM INHALATIEPOEDER 18MCG",
        given("1 maal per dag 1 inhalatie", 1, 1, unit="dosis"),
        at="2024-05-05",
        encounter=None,
    )
    chart.says(
        "critical", "dose", "tiotropium goes on", item("tiotropium", "1 maal per dag 1 inhalatie|once", under=TAKEN)
    )
    chart.dispense(
        "TIOTROPIUM INHALATIEPOEDER 18MCG",
        given("1 maal per dag 1 inhalatie", 1, 1, unit="dosis"),
        category=ADMINISTRATION_AGREEMENT,
        authorizingPrescription=[chart.ref(inhaler)],
        at="2024-05-06",
    )
    chart.statement(
        {"text": "SALBUTAMOL AEROSOL 100MCG/DO"},
        given("zo nodig 1-2 inhalaties, max 8 per dag", asNeededBoolean=True),
        category=USE,
        status="active",
        dateAsserted="2026-03-03",
        effectiveDateTime=None,
        effectivePeriod={"start": "2019-01-01"},
    )
    chart.says(
        "critical", "dose", "salbutamol as the patient uses it", item("salbutamol", "max 8 per dag", under=TAKEN)
    )
    chart.statement(
        {"text": "ACETYLCYSTEINE BRUISTABLET 600MG"},
        category=USE,
        status="not-taken",
        dateAsserted="2026-02-24",
        statusReason=[{"text": "vergeten"}],
    )
    chart.never("critical", "medicine status", "acetylcysteine as taken", taken("acetylcysteine"))
    chart.allergy("Pinda", category=["food"], reaction="Anafylaxie", criticality="high", recorded="2026-03-10")
    chart.says("critical", "allergy", "peanut, recorded after the stay", item("pinda", "anafylaxie", under=ALLERGIES))
    chart.add(
        "NutritionOrder",
        status="active",
        intent="order",
        patient=chart.ref(chart.patient),
        dateTime="2026-03-02",
        oralDiet={
            "type": [{"text": "Energie- en eiwitverrijkt dieet"}],
            "nutrient": [{"modifier": {"text": "Eiwit"}, "amount": quantity(95, "g")}],
        },
    )
    chart.says("high", "care plan", "the diet", item("eiwitverrijkt", under=(*DIET, *AFTERCARE)))
    chart.vital("SpO2", 91, "%", (LOINC, "59408-5"), at="2026-03-03", note=[{"text": "met 1 L zuurstof"}])
    chart.says("high", "vital sign", "saturation 91 %", item("spo2|saturation", number("91"), under=VITALS))
    chart.order("Zuurstof thuis 1 L/min, 16 uur per dag", category=[{"text": "Hulpmiddel"}])
    chart.says("high", "follow-up", "oxygen at home", item("zuurstof thuis", "16 uur", under=AFTERCARE))
    chart.encounter["hospitalization"] = {
        "dischargeDisposition": coded("http://hl7.org/fhir/sid/vektis/ontslagbestemming", "01", "Naar huis")
    }
    chart.says("high", "disposition", "home", item("naar huis|home", under=DISPOSITION))
    return chart.stay(time_zone="Europe/Amsterdam")


def _qualifier(code: str) -> dict[str, str]:
    return {"url": "http://hl7.org/fhir/StructureDefinition/iso21090-EN-qualifier", "valueCode": code}

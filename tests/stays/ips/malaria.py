"""A traveller with malaria: dispenses instead of orders, parasites by count, allergies never asked."""

from tests.stays.build import Chart
from tests.stays.elements import LOINC, SNOMED, coded, dosage, hl7, quantity
from tests.stays.habits import named, signed
from tests.stays.model import Stay
from tests.stays.words import (
    ABNORMAL,
    ALLERGIES,
    DIAGNOSES,
    GIVEN,
    PENDING,
    PRINCIPAL,
    SUSPECTED,
    TWICE,
    UNSURE,
    item,
    number,
    taken,
)


def malaria() -> Stay:
    chart = Chart(
        "ips-malaria",
        "IPS",
        "medicines only as dispenses; no-allergy-info; count by comparator; report as a presented form",
        start="2026-09-02T19:00:00+02:00",
        end="2026-09-05T14:00:00+02:00",
    )
    named(chart, "Mbeki", "Thandiwe", born="1996-12-12", gender="female")
    signed(chart, "Elias", "Strand")
    _diagnoses(chart)
    _results(chart)
    _medicines(chart)
    _aftercare(chart)
    return chart.stay(time_zone="Europe/Stockholm")


def _diagnoses(chart: Chart) -> None:
    chart.diagnosis(chart.condition("", (SNOMED, "62676009", "Falciparum malaria")), "DD", 1)
    chart.says("critical", "diagnosis", "falciparum malaria", item("falciparum malaria", under=PRINCIPAL))
    chart.condition("", (SNOMED, "38362002", "Dengue"), verification="refuted", clinical=None)
    chart.never(
        "high", "diagnosis", "dengue, which was ruled out", item("^(?!.*(ruled out|refuted)).*dengue", under=DIAGNOSES)
    )
    chart.condition("", (SNOMED, "4834000", "Typhoid fever"), verification="provisional")
    chart.says(
        "high", "diagnosis", "typhoid fever only as suspected", item("typhoid", under=SUSPECTED), f"typhoid.*{UNSURE}"
    )
    chart.add(
        "AllergyIntolerance",
        patient=chart.ref(chart.patient),
        clinicalStatus=hl7("allergyintolerance-clinical", "active"),
        code=coded(
            "http://hl7.org/fhir/uv/ips/CodeSystem/absent-unknown-uv-ips",
            "no-allergy-info",
            "No information about allergies",
        ),
    )
    chart.never(
        "critical",
        "allergy",
        "no known allergies: there is no information",
        item("no known allerg|none known", under=ALLERGIES),
    )
    chart.says(
        "critical",
        "allergy",
        "no information about allergies",
        item("no information|not (been )?(asked|recorded|known|reviewed)|unknown|none recorded", under=ALLERGIES),
    )


def _results(chart: Chart) -> None:
    chart.lab(
        "Plasmodium falciparum parasitemia",
        0.1,
        "%",
        comparator="<",
        at="2026-09-05T07:00:00+02:00",
        referenceRange=[{"text": "none"}],
    )
    chart.lab(
        "Plasmodium falciparum parasitemia",
        4.75,
        "%",
        at="2026-09-02T20:00:00+02:00",
        flag="A",
        referenceRange=[{"text": "none"}],
    )
    chart.says(
        "critical",
        "laboratory",
        "parasitemia from 4.75 % to below 0.1 %",
        item("parasit", number("4.75"), "(<|below|under|less than) ?0\\.1"),
    )
    chart.lab("Platelets", 38, "10*9/L", (LOINC, "777-3"), low=150, high=400, flag="LL")
    chart.says("critical", "laboratory", "platelets 38", item("platelets", number("38"), under=ABNORMAL))
    chart.lab("Widal titre, O antigen", "1:160", flag="A")
    chart.says("high", "laboratory", "Widal 1:160", item("widal", "1:160"))
    chart.lab("G6PD activity", 9.8, "U/g{Hb}", low=7.0, high=20.5)
    chart.says("high", "laboratory", "G6PD 9.8, normal", item("G6PD", number("9.8")))
    chart.never("high", "laboratory", "G6PD as abnormal", item("G6PD", under=ABNORMAL))
    chart.report(
        "Chest radiograph",
        None,
        presentedForm=[{"contentType": "text/plain", "data": "Tm8gaW5maWx0cmF0ZXMu", "title": "Chest radiograph"}],
    )
    chart.says("medium", "report", "the radiograph is named", "chest radiograph", anywhere=True)
    chart.report("Blood culture", None, category="MB", status="preliminary", at="2026-09-03T08:00:00+02:00")
    chart.says("critical", "pending", "blood culture pending", item("blood culture", under=PENDING))


def _medicines(chart: Chart) -> None:
    chart.administration(
        "Artesunate", {"dose": quantity(144, "mg"), "route": {"text": "Intravenous"}}, at="2026-09-02T21:00:00+02:00"
    )
    chart.says("high", "medicine", "artesunate in hospital", item("artesunate", under=GIVEN))
    chart.dispense(
        "Artemether 20 mg/lumefantrine 120 mg tablet",
        dosage(dose=(4, "tablet"), route="Oral", frequency=2, days=3),
        daysSupply={"value": 3, "unit": "d"},
    )
    chart.says(
        "critical",
        "dose",
        "artemether/lumefantrine 4 tablets twice daily for 3 days",
        taken("artemether", "4 tab", TWICE, "3 d"),
    )
    chart.dispense("Metoclopramide 10 mg", dosage("10 mg up to three times a day"), status="cancelled")
    chart.never("critical", "medicine status", "metoclopramide, never handed over", taken("metoclopramide"))


def _aftercare(chart: Chart) -> None:
    chart.order(
        "Parasite count on days 7, 14 and 28",
        category=[{"text": "Laboratory"}],
        occurrencePeriod={"start": "2026-09-09"},
    )
    chart.says("critical", "follow-up", "counts on days 7, 14 and 28", "days 7, 14 and 28")
    chart.immunization("Hepatitis A", "2026-09-05T10:00:00+02:00", status="entered-in-error")
    chart.never("high", "immunization", "hepatitis A, entered in error", "hepatitis A")

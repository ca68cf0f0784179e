"""Two psychiatric stays: a German one with lithium, and one with a depot and clozapine."""

from tests.stays.build import Chart
from tests.stays.elements import dosage
from tests.stays.model import Stay
from tests.stays.words import ABNORMAL, CODE_STATUS, GIVEN, NOT_TAKEN, SUSPECTED, day, item, mg, number, taken


def lithium() -> Stay:
    chart = Chart(
        "isik-lithium",
        "review",
        "amounts by time of day in the German scheme, a rescue medicine, a discontinued one with its reason",
        start="2026-03-02T11:00:00+01:00",
        end="2026-03-30T10:00:00+02:00",
    )
    chart.patient["birthDate"] = "1985-10-10"
    chart.diagnosis(chart.condition("Bipolare affektive Störung, gegenwärtig manische Episode"), rank=1)
    chart.condition("Schilddrüsenunterfunktion", verification="provisional")
    chart.says("high", "diagnosis", "hypothyroidism is suspected", item("schilddrüsen", under=SUSPECTED), anywhere=True)
    chart.medicine("Quilonum retard 450 mg Retardtabletten", dosage("1-0-1½-0"))
    chart.says("critical", "dose", "lithium 1 and 1½", taken("quilonum", r"1-0-1½-0|1½|1\.5"))
    chart.lab("Lithium", 1.42, "mmol/l", low=0.6, high=1.0, flag="H", at="2026-03-29T08:00:00+02:00")
    chart.says("critical", "laboratory", "lithium 1.42, high", item("lithium", number("1.42"), under=ABNORMAL))
    chart.medicine(
        "Lorazepam 1 mg Tabletten",
        dosage(
            "bei Unruhe 1 Tablette, max. 2 mg/Tag, Abstand mind. 6 h",
            asNeededBoolean=True,
            dose=(1, "mg"),
        ),
    )
    chart.says("critical", "dose", "lorazepam at most 2 mg", taken("lorazepam", "max.*2 mg"))
    chart.home_medicine("Ramipril 5 mg", dosage("1-0-0-0"))
    chart.medicine("Ramipril 5 mg", status="stopped", statusReason={"text": "Interaktion mit Lithium"})
    chart.says("critical", "medicine status", "ramipril stopped", item("ramipril", "lithium", under=NOT_TAKEN))
    chart.home_medicine("Valproat 500 mg", dosage("1-0-1-0"))
    chart.says("critical", "medicine status", "valproate is asked about", item("valproat", "confirm|unclear|no order"))
    chart.never("critical", "medicine status", "valproate stopped", item("valproat", "stopped"))
    chart.of_stay(
        "Flag",
        status="active",
        encounter=None,
        category=[{"text": "Sicherheit"}],
        code={"text": "Suizidgefährdung"},
        period={"start": "2026-03-02"},
    )
    chart.says("critical", "function", "risk of suicide", "suizid")
    chart.never("high", "code status", "a risk as a directive", item("^suizid", under=CODE_STATUS))
    return chart.stay(time_zone="Europe/Berlin")


def depot() -> Stay:
    chart = Chart(
        "us-depot",
        "review",
        "a depot given in the stay with the next one due, a titration, a refused dose, a stopped home medicine",
        start="2026-09-01T18:00:00Z",
        end="2026-09-15T15:00:00Z",
    )
    chart.patient |= {"gender": "male", "birthDate": "1998-12-12"}
    chart.diagnosis(chart.condition("Schizophrenia, paranoid type"), rank=1)
    chart.administration(
        "paliperidone palmitate 156 mg/mL IM injection",
        {"dose": {"value": 156, "unit": "mg"}, "route": {"text": "intramuscular"}},
        at="2026-09-12T10:00:00Z",
    )
    chart.says("critical", "medicine", "depot given on 12 September", item("paliperidone", mg("156"), under=GIVEN))
    chart.says("high", "medicine", "with its day", item("paliperidone", day("2026-09-12")))
    chart.administration(
        "haloperidol 5 mg", None, at="2026-09-02T08:00:00Z", status="not-done", statusReason=[{"text": "refused"}]
    )
    chart.never("critical", "medicine", "refused haloperidol as given", item("haloperidol", under=GIVEN))
    chart.medicine(
        "paliperidone palmitate 156 mg/mL IM injection",
        dosage(
            "156 mg IM every 4 weeks, next due 10/10/2026",
            dose=(156, "mg"),
            frequency=1,
            period=4,
            unit="wk",
            timing={"repeat": {"frequency": 1, "period": 4, "periodUnit": "wk"}, "event": ["2026-10-10"]},
        ),
    )
    chart.says("critical", "dose", "depot every 4 weeks", taken("paliperidone", mg("156"), "4 weeks"))
    chart.says("critical", "dose", "next depot on 10 October", taken("paliperidone", f"{day('2026-10-10')}|10/10/2026"))
    chart.medicine(
        "cloZAPine 25 mg tablet",
        dosage("12.5 mg at bedtime for 2 days", sequence=1),
        dosage("then 25 mg at bedtime for 2 days", sequence=2),
        dosage("then 25 mg twice daily", sequence=3),
    )
    chart.says("critical", "dose", "clozapine titration", taken("clozapine", r"12\.5 mg.*then 25 mg.*then 25 mg"))
    chart.lab("Absolute neutrophil count", 1.4, "10*3/uL", low=1.5, high=8, flag="L", at="2026-09-14T07:00:00Z")
    chart.says("critical", "laboratory", "neutrophils 1.4", item("neutrophil", number("1.4"), under=ABNORMAL))
    chart.never("high", "laboratory", "raw unit", item(r"10\*3"))
    return chart.stay()

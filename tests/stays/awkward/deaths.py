"""Six ways to tell that a patient died, or did not."""

from typing import Any

from tests.stays.awkward.chart import awkward
from tests.stays.elements import Element, coded, dosage
from tests.stays.model import Stay
from tests.stays.words import HOME, item, taken

DIED = r"\b(died|deceased|death|expired)\b"


def _stay(name: str, about: str, disposition: Element | None, *, died: bool, **patient: Any) -> Stay:
    chart = awkward(name, about, disposition=None)
    chart.patient |= patient
    if disposition is not None:
        chart.encounter["hospitalization"] = {"dischargeDisposition": disposition}
    chart.says("critical", "identity", "the patient", f"AW/{name}")
    chart.diagnosis(chart.condition(f"Intracerebral haemorrhage ({name})"), rank=1)
    chart.medicine("nifedipine 30 mg tablet", dosage("30 mg daily"))
    if died:
        chart.says("critical", "outcome", "the patient died", DIED)
        chart.never("critical", "outcome", "a medicine to take at home", item("nifedipine", under=HOME))
        chart.never("critical", "outcome", "a summary of a discharge", "^discharge summary")
    else:
        chart.says("critical", "outcome", "nifedipine to take at home", taken("nifedipine", "30 mg daily"))
        chart.says("critical", "outcome", "a summary of a discharge", "^discharge summary")
        in_stay = r"^(?!.*(after (this|the) stay|later)).*"
        chart.never("critical", "outcome", "a death in the stay", f"{in_stay}{DIED}")
    return chart.stay(time_zone="Europe/Paris")


def decede() -> Stay:
    return _stay("decede", "the disposition in French words", {"text": "Patient décédé"}, died=True)


def overleden() -> Stay:
    found = coded("urn:oid:2.16.840.1.113883.2.4.15.4", "7", "Overleden")
    return _stay("overleden", "the disposition in a Dutch display", found, died=True)


def nubc_42() -> Stay:
    found = coded("https://www.nubc.org/CodeSystem/PatDischargeStatus", "42")
    return _stay("nubc", "NUBC 42, expired, place unknown, without a display", found, died=True)


def left_by_table_0112() -> Stay:
    found = coded("http://terminology.hl7.org/CodeSystem/v2-0112", "20")
    return _stay("table", "code 20 of HL7 table 0112, without a display", found, died=True)


def deceased_in_another_zone() -> Stay:
    """Half past midnight three hours west of Greenwich: the day and the hours in which the stay ended."""
    return _stay(
        "zone",
        "deceasedDateTime with another offset, no disposition",
        None,
        died=True,
        deceasedDateTime="2026-03-23T00:30:00-03:00",
    )


def died_later() -> Stay:
    found = coded("http://terminology.hl7.org/CodeSystem/discharge-disposition", "home", "Home")
    return _stay(
        "later", "went home and died three weeks later", found, died=False, deceasedDateTime="2026-04-13T05:00:00+02:00"
    )

"""A written stay for each kind of document that ships, and a folder with a kind that does not."""

from pathlib import Path
from typing import Any

from tests.stays.build import Chart
from tests.stays.elements import HL7, coded
from tests.stays.habits import named, signed
from tests.stays.model import Stay

NUBC = "https://www.nubc.org/CodeSystem/PatDischargeStatus"


def _chart(name: str, *, start: str = "2026-03-02T10:00:00Z", end: str = "2026-03-06T15:00:00Z") -> Chart:
    chart = Chart(f"kind-{name}", "kinds", "a stay of one kind", start=start, end=end, disposition=None)
    named(chart, "Example", "Robin", born="1961-05-04", gender="female")
    signed(chart, "Ada", "Okafor")
    chart.diagnosis(chart.condition("Community-acquired pneumonia"), rank=1)
    chart.lab("Creatinine", 1.9, "mg/dL", low=0.6, high=1.2, flag="H", at="2026-03-02T12:00:00Z")
    return chart


def _left(chart: Chart, disposition: dict[str, Any], **more: Any) -> None:
    chart.encounter["hospitalization"] = {"dischargeDisposition": disposition, **more}


def discharge() -> Stay:
    chart = _chart("discharge")
    _left(chart, coded(NUBC, "01"))
    return chart.stay()


def death() -> Stay:
    chart = _chart("death")
    _left(chart, coded(NUBC, "20"))
    return chart.stay()


def transfer() -> Stay:
    chart = _chart("transfer")
    _left(chart, coded(NUBC, "02"), destination={"display": "Northgate University Hospital"})
    chart.vital("Heart rate", 88, "/min", at="2026-03-06T12:00:00Z")
    chart.medicine("apixaban 5 mg tablet", {"text": "1 tablet twice a day"})
    return chart.stay()


def against_advice() -> Stay:
    chart = _chart("against-advice")
    _left(chart, coded(NUBC, "07"))
    return chart.stay()


def short_stay() -> Stay:
    chart = _chart("short-stay", start="2026-03-02T10:00:00Z", end="2026-03-03T15:00:00Z")
    chart.encounter["class"] = {"system": f"{HL7}v3-ActCode", "code": "OBSENC"}
    chart.family("Mother", "Diabetes mellitus")
    _left(chart, coded(NUBC, "01"))
    return chart.stay()


def newborn() -> Stay:
    chart = _chart("newborn")
    chart.patient["birthDate"] = "2026-03-02"
    chart.vital("Birth weight", 3120, "g", at="2026-03-02T10:20:00Z")
    _left(chart, coded(NUBC, "01"), admitSource=coded(f"{HL7}admit-source", "born"))
    return chart.stay()


STAYS = {
    "discharge-summary": discharge,
    "death-summary": death,
    "transfer-summary": transfer,
    "against-advice-summary": against_advice,
    "short-stay-summary": short_stay,
    "newborn-summary": newborn,
}

REHABILITATION = """\
extends = "discharge-summary"
title = "Rehabilitation handover"
code = "34745-0"
display = "Nurse Discharge summary"
priority = 70
prompt = "handover"
model = "drafter-large"
policy = "marked"
patient_instructions = false
omit = ["family-history"]

[[when]]
disposition = ["rehabilitation"]

[[parts]]
code = "mobility"
title = "Mobility and function"
groups = ["functional-and-cognitive-status", "required-elements"]
section = "47420-5"

[[parts]]
code = "reason-for-hospitalization"

[[parts]]
code = "significant-findings"

[[parts]]
code = "procedures-and-treatment"

[[parts]]
code = "condition-at-discharge"
required = false

[[parts]]
code = "patient-and-family-instructions"
title = "Plan"

[[parts]]
code = "attending-signature"

[titles]
required-elements = "Weight bearing"

[[requires]]
name = "Weight bearing"
words = '''weight.?bearing'''
ask = "state how much weight the leg may bear"
"""
HANDOVER = """\
version: 1
max_tokens: 90
stop: <|im_end|>
history:
  1  2026-03-01  first text
=====
<|im_start|>user
{facts}{words}<|im_end|>
<|im_start|>assistant
"""


def write_kind(folder: Path, name: str = "rehabilitation-handover", text: str = REHABILITATION) -> Path:
    """A hospital's folder with a kind of its own, and its prompt."""
    kind = folder / name
    kind.mkdir(parents=True)
    (kind / "kind.toml").write_text(text)
    (kind / "handover.prompt").write_text(HANDOVER)
    return folder


def rehabilitation() -> Stay:
    chart = _chart("rehabilitation")
    chart.family("Mother", "Diabetes mellitus")
    _left(chart, coded(f"{HL7}discharge-disposition", "rehab"))
    return chart.stay()

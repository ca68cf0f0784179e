"""An emergency visit and intensive care as parts of a stay, parts of parts, and visits that are none."""

from typing import Any

from tests.stays.awkward.chart import END, START, awkward
from tests.stays.build import Chart
from tests.stays.model import Resource, Serve, Stay
from tests.stays.words import ABNORMAL, DEVICES, DIAGNOSES, PRINCIPAL, PROCEDURES, item, number


def _encounter(chart: Chart, code: str, start: str, end: str | None, parent: Resource | None, **more: Any) -> Resource:
    own = {"status": "finished", "class": {"code": code}, "subject": chart.ref(chart.patient)}
    own |= {"period": {"start": start} | ({"end": end} if end else {})}
    own |= {"partOf": chart.ref(parent)} if parent else {}
    return chart.add("Encounter", **(own | more))


def intensive_care() -> Stay:
    chart = awkward("parts", "emergency and intensive care as parts, a bed as a part of a part, clinics as no parts")
    chart.says("critical", "identity", "the patient's number", r"MRN:? ?AW/parts")
    emergency = _encounter(chart, "EMER", "2026-03-16T07:00:00Z", START, chart.encounter)
    intensive = _encounter(chart, "ACUTE", "2026-03-16T12:00:00Z", "2026-03-19T12:00:00Z", chart.encounter)
    bed = _encounter(chart, "ACUTE", "2026-03-17T12:00:00Z", "2026-03-18T12:00:00Z", intensive)
    planned = _encounter(chart, "IMP", "2026-03-20T08:00:00Z", None, chart.encounter, status="cancelled", period={})
    clinic = _encounter(chart, "AMB", "2026-03-02T09:00:00Z", "2026-03-02T09:30:00Z", None)
    twin = _encounter(chart, "IMP", START, END, None, status="entered-in-error")
    chart.diagnosis(chart.condition("Status epilepticus"), rank=1)
    chart.says("critical", "diagnosis", "status epilepticus", item("status epilepticus", under=PRINCIPAL))
    chart.lab("Glucose", 1.4, "mmol/L", low=3.9, flag="LL", at="2026-03-16T07:10:00Z", encounter=chart.ref(emergency))
    chart.says(
        "critical", "laboratory", "a result of the emergency department", item("glucose", number("1.4"), under=ABNORMAL)
    )
    chart.lab("CK", 18400, "U/L", high=200, flag="HH", at="2026-03-17T13:00:00Z", encounter=chart.ref(bed))
    chart.says("critical", "laboratory", "a result of a part of a part", item("CK", number("18400"), under=ABNORMAL))
    chart.procedure(
        "Intubation and ventilation",
        encounter=chart.ref(intensive),
        performedDateTime=None,
        performedPeriod={"start": "2026-03-16T12:10:00Z", "end": "2026-03-18T09:00:00Z"},
    )
    chart.says("critical", "procedure", "ventilation", item("ventilation", under=PROCEDURES))
    chart.condition("Aspiration pneumonia", encounter=chart.ref(intensive), onsetDateTime="2026-03-18")
    chart.says("high", "diagnosis", "pneumonia in intensive care", item("aspiration pneumonia", under=DIAGNOSES))
    chart.procedure("Vagus nerve stimulator", encounter=chart.ref(planned), status="preparation")
    chart.never("high", "procedure", "what was planned in a cancelled part", item("vagus", under=PROCEDURES))
    chart.lab(
        "Valproate level",
        12,
        "mg/L",
        low=50,
        high=100,
        flag="L",
        at="2026-03-02T09:10:00Z",
        encounter=chart.ref(clinic),
    )
    chart.never("high", "laboratory", "the clinic's level as the stay's", item("valproate level", under=ABNORMAL))
    chart.condition("Psychogenic seizures", encounter=chart.ref(twin))
    chart.never(
        "critical",
        "diagnosis",
        "a finding of the erroneous twin as the principal",
        item("psychogenic", under=PRINCIPAL),
    )
    chart.add("Device", status="inactive", type={"text": "Arterial line"}, patient=chart.ref(chart.patient))
    chart.never("high", "device", "a line that is no longer there", item("arterial line", under=DEVICES))
    return chart.stay(serve=Serve(ids="typed", page=5))

"""Febrile neutropenia: cultures without growth, oncology's plan, a central line that stays, medicines on hold."""

from tests.stays.build import Chart
from tests.stays.elements import LOINC, SNOMED, dosage, quantity
from tests.stays.habits import named, signed
from tests.stays.model import Stay
from tests.stays.words import (
    ABNORMAL,
    AFTERCARE,
    DIAGNOSES,
    FAMILY,
    HOME,
    NO_RANGE,
    NORMAL,
    PENDING,
    PRINCIPAL,
    RECONCILIATION,
    TWICE,
    day,
    item,
    number,
    taken,
)


def neutropenia() -> Stay:
    chart = Chart(
        "ips-neutropenia",
        "IPS",
        "comparators; cultures without growth; on-hold with reason; Medication with ingredients; care plan",
        start="2026-11-09T10:00:00+05:30",
        end="2026-11-16T17:45:00+05:30",
    )
    named(chart, "Krishnan", "Lakshmi", born="1972-05-21", gender="female")
    signed(chart, "Arjun", "Mehta")
    _diagnoses(chart)
    _results(chart)
    _devices(chart)
    _medicines(chart)
    _aftercare(chart)
    return chart.stay(time_zone="Asia/Kolkata")


def _diagnoses(chart: Chart) -> None:
    chart.diagnosis(chart.condition("", (SNOMED, "409089005", "Febrile neutropenia")), "DD", 1)
    chart.says("critical", "diagnosis", "febrile neutropenia", item("febrile neutropenia", under=PRINCIPAL))
    chart.condition(
        "Carcinoma of the right breast, cT3 cN1 M0",
        category="problem-list-item",
        encounter=None,
        bodySite=[{"text": "Right breast"}],
    )
    chart.says(
        "critical", "diagnosis", "carcinoma of the right breast", item("carcinoma", "right breast", under=DIAGNOSES)
    )
    chart.family("Mother", "Ovarian cancer", note=[{"text": "BRCA1 carrier"}])
    chart.says("high", "family history", "the mother's ovarian cancer", item("mother", "ovarian", under=FAMILY))
    chart.says("medium", "family history", "the mother's BRCA1", item("BRCA1", under=FAMILY))
    chart.never(
        "critical",
        "diagnosis",
        "ovarian cancer as her own",
        item("ovarian", under=("principal|other diagnos|problem",)),
    )


def _results(chart: Chart) -> None:
    chart.lab(
        "Neutrophils",
        0.1,
        "10*9/L",
        (LOINC, "751-8"),
        comparator="<",
        low=1.8,
        high=7.7,
        flag="LL",
        at="2026-11-09T10:30:00+05:30",
    )
    chart.lab("Neutrophils", 2.15, "10*9/L", (LOINC, "751-8"), low=1.8, high=7.7, at="2026-11-16T06:00:00+05:30")
    chart.says(
        "critical",
        "laboratory",
        "neutrophils from below 0.1 to 2.15",
        item("neutrophils", "(<|below|under|less than) ?0\\.1", number("2.15"), under=ABNORMAL),
    )
    chart.lab("C-reactive protein", 212, "mg/L", (LOINC, "1988-5"), referenceRange=[{"text": "up to 5"}])
    chart.says("high", "laboratory", "CRP 212", item("C-reactive", number("212")))
    chart.says("medium", "laboratory", "its range, up to 5", item("C-reactive", "up to 5|(<|≤) ?5"))
    chart.never("high", "laboratory", "that CRP has no range", item("C-reactive", under=NO_RANGE))
    chart.never("high", "laboratory", "CRP 212 within range", item("C-reactive", under=NORMAL))
    chart.lab("Blood culture, central line", "No growth after 5 days", at="2026-11-09T10:40:00+05:30")
    chart.says("critical", "microbiology", "no growth after 5 days", "no growth after 5 days")
    chart.report("Galactomannan antigen", None, category="LAB", status="registered", at="2026-11-15T08:00:00+05:30")
    chart.says("critical", "pending", "galactomannan pending", item("galactomannan", under=PENDING))
    chart.report("CT thorax", "No infiltrates.", at="2026-11-10T12:00:00+05:30")
    chart.says("medium", "report", "CT: no infiltrates", "no infiltrates")


def _devices(chart: Chart) -> None:
    port = chart.add(
        "Device",
        type={"text": "Implanted venous port, left subclavian"},
        patient=chart.ref(chart.patient),
        status="active",
    )
    chart.add(
        "DeviceUseStatement",
        status="active",
        subject=chart.ref(chart.patient),
        device=chart.ref(port),
        timingPeriod={"start": "2026-07-02"},
    )
    chart.says("high", "device", "port on the left", "venous port, left")
    chart.procedure(
        "Red cell transfusion, 2 units",
        at="2026-11-11T09:00:00+05:30",
        complication=[{"text": "Mild febrile reaction"}],
    )
    chart.says("high", "procedure", "transfusion", item("red cell transfusion"))
    chart.says("high", "procedure", "reaction to the transfusion", "febrile reaction")


def _medicines(chart: Chart) -> None:
    combined = chart.add(
        "Medication",
        ingredient=[
            {
                "itemCodeableConcept": {"text": "Amoxicillin"},
                "strength": {"numerator": quantity(875, "mg"), "denominator": quantity(1, "tablet")},
            },
            {
                "itemCodeableConcept": {"text": "Clavulanic acid"},
                "strength": {"numerator": quantity(125, "mg"), "denominator": quantity(1, "tablet")},
            },
        ],
    )
    chart.medicine(combined, dosage(dose=(1, "tablet"), route="Oral", frequency=2, days=5))
    chart.says(
        "critical",
        "dose",
        "amoxicillin with clavulanic acid, 1 tablet twice daily, 5 days",
        taken("amoxicillin", "clavulan", "1 tab", TWICE, "5 d"),
    )
    chart.medicine(
        "Filgrastim 300 µg",
        dosage(dose=(300, "ug"), route="Subcutaneous", frequency=1),
        category="inpatient",
        status="completed",
        at="2026-11-10T08:00:00+05:30",
    )
    chart.never("critical", "medicine status", "filgrastim at home", item("filgrastim", under=HOME))
    chart.home_medicine("Capecitabine 500 mg", dosage("1500 mg twice daily, days 1-14"))
    chart.medicine(
        "Capecitabine 500 mg",
        dosage("1500 mg twice daily, days 1-14"),
        status="on-hold",
        statusReason={"text": "Until seen by oncology"},
    )
    chart.never("critical", "medicine status", "capecitabine, on hold", taken("capecitabine"))
    chart.says(
        "critical",
        "medicine status",
        "capecitabine is on hold",
        "capecitabine.*(hold|held|paus)|(hold|held).*capecitabine",
        item("capecitabine", under=("on hold|not to take",)),
    )
    chart.home_medicine("Tamoxifen 20 mg", dosage("20 mg daily"))
    chart.never(
        "critical",
        "medicine status",
        "tamoxifen as stopped: nobody wrote it",
        item("tamoxifen.*[—–|-] ?(stopped|continued)", under=RECONCILIATION),
    )
    chart.says("high", "medicine status", "tamoxifen was taken at home", "tamoxifen")
    chart.medicine("Paracetamol 500 mg", dosage("1-2 tablets up to 4 times a day if fever", as_needed=True))
    chart.says(
        "critical", "dose", "paracetamol 1-2 tablets if fever", taken("paracetamol", r"1 ?(-|–|to) ?2 tab", "fever")
    )


def _aftercare(chart: Chart) -> None:
    chart.care_plan("Blood count twice weekly", "Return at once with a temperature of 38 °C or more")
    chart.says("critical", "care plan", "return with 38 °C", "38 ?°? ?C")
    chart.appointment("Oncology day unit", "2026-11-19T09:30:00+05:30")
    chart.says("critical", "follow-up", "oncology on 19 November", item("oncology", day("2026-11-19"), under=AFTERCARE))
    chart.of_stay(
        "CareTeam",
        status="active",
        name="Breast cancer team",
        participant=[{"role": [{"text": "Oncologist"}], "member": {"display": "Dr. Sunita Rao"}}],
    )
    chart.says("medium", "care team", "Dr. Rao of the team", "Sunita Rao")

"""A joint replacement of a veteran, with a catheter that stays."""

from tests.stays.australia.profiles import AU_TYPES, PBS, ended, separation, supply
from tests.stays.elements import LOINC, SNOMED, coded, dosage, identifier, quantity
from tests.stays.model import Stay
from tests.stays.words import (
    ABNORMAL,
    AFTERCARE,
    AS_NEEDED,
    DAILY,
    DEVICES,
    DIAGNOSES,
    DISPOSITION,
    FOLLOW_UP,
    NO_RANGE,
    NORMAL,
    NOT_TAKEN,
    PRINCIPAL,
    PROCEDURES,
    day,
    item,
    mg,
    number,
    taken,
)


def replacement() -> Stay:
    chart = separation(
        "hip",
        "Brisbane has no daylight saving; a veteran's number; a length of days, a limit a day, a side in words",
        "2026-11-16T06:30:00+10:00",
        "2026-11-20T10:00:00+10:00",
        urn="QEH-778201",
        doctor="Dr Alistair McPhee",
        place="Moreton Orthopaedic Hospital",
    )
    dva = coded(AU_TYPES, "DVG", "DVA Gold Card")
    chart.patient["identifier"].insert(0, identifier("QX901122", dva, "http://ns.electronichealth.net.au/id/dva"))
    chart.never("critical", "identity", "the veteran's number as the hospital's", "MRN:? ?QX901122")
    chart.patient |= {"gender": "male", "birthDate": "1947-09-03"}
    chart.patient["name"] = [{"use": "official", "prefix": ["Mr"], "family": "Papadopoulos", "given": ["Con"]}]
    chart.encounter["reasonCode"] = [{"text": "Elective right total hip replacement"}]
    chart.says("high", "reason", "elective operation", "elective right total hip")
    chart.diagnosis(chart.condition("Osteoarthritis of right hip", (SNOMED, "239872002")), rank=1)
    chart.says("critical", "diagnosis", "osteoarthritis", item("osteoarthritis", under=PRINCIPAL))
    acquired = chart.condition("Postoperative urinary retention", onsetDateTime="2026-11-17")
    chart.diagnosis(acquired, use="CM", rank=2)
    chart.says("high", "diagnosis", "retention after the operation", item("urinary retention", under=DIAGNOSES))
    chart.procedure(
        "Total hip arthroplasty, right",
        at="2026-11-16T09:00:00+10:00",
        usedReference=[{"display": "Exeter V40 stem, lot 88112"}],
    )
    chart.says(
        "critical", "procedure", "arthroplasty on the right", item("hip arthroplasty", "right", under=PROCEDURES)
    )
    for at, value in (
        ("2026-11-16T07:00:00+10:00", 139),
        ("2026-11-17T06:00:00+10:00", 96),
        ("2026-11-19T06:00:00+10:00", 104),
    ):
        chart.lab("Haemoglobin", value, "g/L", (LOINC, "718-7"), low=130, high=180, at=at)
    chart.says("critical", "laboratory", "haemoglobin 96", item("haemoglobin", number("96"), under=ABNORMAL))
    chart.says("high", "laboratory", "and 104 at last", item("haemoglobin", number("104")))
    chart.lab("Group and hold", "O negative", at="2026-11-16T07:00:00+10:00")
    chart.never("high", "laboratory", "the blood group as judged", item("group and hold", under=(*ABNORMAL, *NORMAL)))
    chart.says("medium", "laboratory", "blood group", item("group and hold", "O negative", under=(*NO_RANGE, "blood")))
    supply(
        chart,
        "rivaroxaban 10 mg tablet",
        dosage(dose=(1, "tablet"), frequency=1, days=35, route="Oral"),
        brand="Xarelto",
    )
    chart.says("critical", "dose", "rivaroxaban for 35 days", taken("rivaroxaban 10 mg", DAILY, r"\b35 ?d"))
    supply(
        chart,
        "oxycodone 5 mg tablet",
        dosage(
            dose=(5, 10, "mg"),
            frequency=1,
            period=6,
            unit="h",
            as_needed=True,
            maxDosePerPeriod={"numerator": quantity(40, "mg"), "denominator": quantity(1, "d")},
        ),
        dispenseRequest={"quantity": quantity(10, "tablet"), "numberOfRepeatsAllowed": 0},
    )
    chart.says(
        "critical",
        "dose",
        "oxycodone 5 to 10 mg every six hours as needed",
        taken("oxycodone", r"5 ?(mg)? ?(-|–|to) ?10 ?mg", "6 ?h", AS_NEEDED),
    )
    chart.says(
        "critical", "dose", "at most 40 mg a day", taken("oxycodone", rf"(max|at most|up to|no more).*{mg('40')}")
    )
    supply(chart, "tamsulosin 400 microgram tablet", dosage("1 tablet daily; trial of void in clinic"))
    supply(chart, "aspirin 100 mg tablet", dosage("Withhold until rivaroxaban is finished"), status="on-hold")
    chart.says("critical", "medicine status", "aspirin withheld", item("aspirin", under=NOT_TAKEN))
    chart.never("critical", "medicine status", "aspirin to be taken", taken("aspirin"))
    chart.add(
        "Device", type={"text": "Indwelling urinary catheter 14 Fr"}, patient=chart.ref(chart.patient), status="active"
    )
    chart.says("high", "device", "the catheter", item("catheter", under=DEVICES))
    chart.order("Staples out on day 14 by GP", occurrenceDateTime="2026-11-30")
    chart.says("high", "follow-up", "staples out", item("staples", under=AFTERCARE))
    chart.order("MRI lumbar spine", status="completed", category=[coded(PBS, "RAD")], at="2026-11-17T10:00:00+10:00")
    chart.appointment("Continence clinic: trial of void", "2026-11-25T13:00:00+10:00", with_="CN Jo Ah Chee")
    chart.says(
        "high", "follow-up", "trial of void on 25 November", item("trial of void", day("2026-11-25"), under=FOLLOW_UP)
    )
    ended(chart, "Transitional aged care program, own home")
    chart.says("high", "disposition", "transitional care", item("transitional aged care", under=DISPOSITION))
    return chart.stay(time_zone="Australia/Brisbane")

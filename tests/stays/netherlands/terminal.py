"""A stay that ends in a hospice: directives that deny treatment, patches, doses as needed, a goal of comfort."""

from tests.stays.elements import LOINC, SNOMED, coded, dosage, hl7, quantity
from tests.stays.model import Stay
from tests.stays.netherlands.profiles import admission, agreement, directive, given
from tests.stays.words import (
    ABNORMAL,
    AS_NEEDED,
    CARE_TEAM,
    CODE_STATUS,
    DISPOSITION,
    FUNCTION,
    GOALS,
    NOT_TAKEN,
    PENDING,
    PRINCIPAL,
    day,
    item,
    mg,
    number,
    taken,
)


def palliative() -> Stay:
    chart = admission(
        "hospice",
        "four directives, one of them ended; a patch every 72 hours; limits and steps in the texts of doses",
        "2026-11-02T12:00:00+01:00",
        "2026-11-11T15:30:00+01:00",
        number="4411-250",
        attending="Hendrik Postma",
    )
    chart.patient |= {"gender": "female", "birthDate": "1956-04-04"}
    chart.patient["name"] = [{"use": "official", "family": "Nijenhuis", "given": ["Trijntje"]}]
    chart.diagnosis(chart.condition("Pancreascarcinoom, gemetastaseerd"), use=None, rank=1)
    chart.says("critical", "diagnosis", "cancer of the pancreas", item("pancreascarcinoom", under=PRINCIPAL))
    directive(chart, "cardiopulmonale resuscitatie", "89666000", "deny", "2026-11-03")
    directive(chart, "antibiotica", "281789004", "deny", "2026-11-05")
    directive(chart, "bloedtransfusie", "116859006", "permit", "2026-11-03", status="inactive")
    chart.add(
        "Consent",
        status="active",
        scope=coded("http://terminology.hl7.org/CodeSystem/consentscope", "adr"),
        category=[coded("http://terminology.hl7.org/CodeSystem/consentcategorycodes", "acd")],
        patient=chart.ref(chart.patient),
        dateTime="2025-12-01",
        sourceAttachment={"title": "Wilsverklaring: behandelverbod"},
    )
    for what, pattern in (("resuscitation", "resuscitatie"), ("antibiotics", "antibiotica")):
        chart.says(
            "critical",
            "code status",
            f"no {what}",
            item(pattern, r"den|not\b|no\b|niet|refus|declin", under=CODE_STATUS),
        )
    chart.says("medium", "code status", "her written will", item("wilsverklaring", under=CODE_STATUS))
    chart.never(
        "high", "code status", "a directive that has ended", item("^(?!.*(ended|inactive|no longer)).*bloedtransfusie")
    )
    agreement(chart, "FENTANYL PLEISTER 12MCG/UUR", dosage(dose=(1, "pleister"), frequency=1, period=72, unit="h"))
    chart.says(
        "critical",
        "dose",
        "a patch every 72 hours",
        taken("fentanyl", r"every (72 ?h|3 days|three days|third day)|72 uur|q72h"),
    )
    agreement(
        chart,
        "MORFINE DRANK 2MG/ML",
        dosage(
            dose=(2.5, 5, "mg"),
            frequency=1,
            period=4,
            unit="h",
            as_needed="pijn of benauwdheid",
            maxDosePerPeriod={"numerator": quantity(30, "mg"), "denominator": quantity(1, "d")},
        ),
    )
    low_high = r"2\.5 ?(mg)? ?(-|–|to) ?5 ?mg"
    chart.says("critical", "dose", "morphine 2.5 to 5 mg as needed", taken("morfine", low_high, AS_NEEDED))
    chart.says("critical", "dose", "for pain or breathlessness", taken("morfine", "pijn of benauwdheid"))
    chart.says("critical", "dose", "at most 30 mg a day", taken("morfine", rf"(max|at most|up to|no more).*{mg('30')}"))
    agreement(chart, "HALOPERIDOL DRANK 2MG/ML", given("'s avonds 5 druppels, zo nodig ophogen tot 10"))
    chart.says("critical", "dose", "haloperidol drops", taken("haloperidol", "5 druppels, zo nodig ophogen tot 10"))
    for medicine in ("SIMVASTATINE TABLET 40MG", "PERINDOPRIL TABLET 4MG"):
        agreement(
            chart, medicine, given("1 maal per dag 1 stuk", 1, 1), status="stopped", statusReason={"text": "palliatief"}
        )
        name = medicine.split()[0]
        chart.never("critical", "medicine status", f"{name} to be taken", taken(name))
        chart.says("high", "medicine status", f"{name} stopped", item(name, under=NOT_TAKEN))
    chart.medicine("DEXAMETHASON TABLET 4MG", doNotPerform=True, reasonCode=[{"text": "psychose in 2024"}])
    chart.never("critical", "medicine status", "dexamethasone to be taken", taken("dexamethason"))
    chart.says("high", "medicine status", "never dexamethasone", item("dexamethason", under=NOT_TAKEN))
    chart.observation("Karnofsky-score", (LOINC, "89243-0"), category="survey", at="2026-11-10", valueInteger=30)
    chart.says("high", "function", "Karnofsky 30", item("karnofsky", number("30"), under=FUNCTION))
    chart.observation(
        "Bewustzijn",
        (SNOMED, "6942003"),
        category="exam",
        at="2026-11-11",
        valueCodeableConcept={"text": "wisselend, wekbaar"},
    )
    chart.says("medium", "function", "awake when called", item("bewustzijn", "wekbaar"))
    chart.lab("Calcium (gecorrigeerd)", 3.18, "mmol/L", low=2.2, high=2.6, at="2026-11-03T08:00:00+01:00", flag="HH")
    chart.says("critical", "laboratory", "calcium 3.18", item("calcium", number("3.18"), under=ABNORMAL))
    chart.lab(
        "CA 19-9",
        at="2026-11-04T08:00:00+01:00",
        dataAbsentReason=coded("http://terminology.hl7.org/CodeSystem/data-absent-reason", "error"),
        note=[{"text": "monster hemolytisch"}],
    )
    chart.never("high", "laboratory", "a number for CA 19-9", item(r"CA 19-9\D{0,12}\d+ ?(k?U|E)"))
    chart.order("DPYD-genotypering", category=[{"text": "Laboratorium"}], status="revoked", at="2026-11-04")
    chart.never("medium", "pending", "a test that was revoked", item("DPYD", under=PENDING))
    chart.add(
        "Goal",
        lifecycleStatus="active",
        description={"text": "Comfortabel sterven in hospice"},
        subject=chart.ref(chart.patient),
    )
    chart.says("high", "care plan", "the goal", item("comfortabel", under=GOALS))
    chart.add(
        "CareTeam",
        status="active",
        subject=chart.ref(chart.patient),
        encounter=chart.ref(chart.encounter),
        participant=[{"role": [{"text": "Huisarts"}], "member": {"display": "Reinder Wiersma"}}],
    )
    chart.says("medium", "care team", "her family doctor", item("wiersma", under=CARE_TEAM))
    chart.encounter["hospitalization"] = {
        "dischargeDisposition": hl7("discharge-disposition", "hosp"),
        "destination": {"display": "Hospice De Waterhof"},
    }
    chart.says("critical", "disposition", "to a hospice", item("hospice", under=DISPOSITION))
    chart.never("critical", "outcome", "that she died", r"\b(died|deceased|overleden)|death summary")
    chart.appointment("Belafspraak huisarts", "2026-11-12T09:00:00+01:00")
    chart.says("medium", "follow-up", "a call on 12 November", item("belafspraak", day("2026-11-12")))
    return chart.stay(time_zone="Europe/Amsterdam")

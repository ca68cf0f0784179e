"""A child with asthma in Perth, and a girl with acute rheumatic fever who needs penicillin for years."""

from tests.stays.australia.profiles import ended, separation, supply
from tests.stays.elements import LOINC, SNOMED, dosage, exact, hl7, quantity
from tests.stays.model import Stay
from tests.stays.words import (
    ABNORMAL,
    AFTERCARE,
    ALLERGIES,
    AS_NEEDED,
    CARE_PLAN,
    DAILY,
    DIAGNOSES,
    DISPOSITION,
    FAMILY,
    FOLLOW_UP,
    GIVEN,
    IMMUNIZATIONS,
    NONE_KNOWN,
    PRINCIPAL,
    REPORTS,
    SUSPECTED,
    VITALS,
    day,
    item,
    mg,
    number,
    taken,
)


def asthma() -> Stay:
    chart = separation(
        "asthma",
        "doses in puffs, a course of days that is already under way, a plan, contradictory allergy entries",
        "2026-05-17T19:00:00+08:00",
        "2026-05-19T11:20:00+08:00",
        urn="PMH 33091",
        doctor="Dr Saoirse Whelan",
        place="Swan Valley Children's Hospital",
    )
    chart.patient |= {"gender": "male", "birthDate": "2020-02-29"}
    chart.patient["name"] = [{"use": "official", "family": "Nguyen", "given": ["Bao", "Liam"]}]
    chart.diagnosis(chart.condition("Acute severe asthma"), rank=1)
    chart.says("critical", "diagnosis", "asthma", item("asthma", under=PRINCIPAL))
    chart.condition("Pneumonia", verification="provisional")
    chart.says("high", "diagnosis", "pneumonia only suspected", item("pneumonia", under=SUSPECTED))
    chart.allergy("No known drug allergies", recorded="2022-01-01")
    chart.allergy(
        "Cashew", category=["food"], reaction="Anaphylaxis", criticality="high", recorded="2026-05-19T10:00:00+08:00"
    )
    chart.allergy("Egg", clinical="resolved", reaction="Hives", recorded="2021-05-01")
    chart.says("critical", "allergy", "cashew", item("cashew", "anaphylaxis", under=ALLERGIES))
    chart.never(
        "high", "allergy", "egg as a present allergy", item("^(?!.*(resolved|past|outgrown)).*egg", under=ALLERGIES)
    )
    chart.never(
        "critical", "allergy", "no allergy at all", item(rf"^(?!.*drug|.*2022).*({NONE_KNOWN})", under=ALLERGIES)
    )
    chart.vital("Weight", exact("19.40"), "kg", (LOINC, "29463-7"), at="2026-05-17T19:10:00+08:00")
    chart.vital("SpO2", 90, "%", (LOINC, "59408-5"), at="2026-05-17T19:10:00+08:00")
    chart.vital("SpO2", 97, "%", (LOINC, "59408-5"), at="2026-05-19T09:00:00+08:00")
    chart.says("high", "vital sign", "saturation 97 %", item("spo2|saturation", number("97"), under=VITALS))
    supply(
        chart,
        "salbutamol 100 microgram/actuation inhalation",
        dosage(
            "6 puffs via spacer every 4 hours for 2 days, then only if needed",
            repeat={"frequency": 1, "period": 4, "periodUnit": "h"},
        ),
        brand="Ventolin",
    )
    chart.says(
        "critical",
        "dose",
        "salbutamol six puffs, then only if needed",
        taken("salbutamol", "6 puffs.*4 hours for 2 days, then only if needed"),
    )
    supply(chart, "prednisolone 5 mg/mL oral liquid", dosage(dose=(20, "mg"), frequency=1, route="Oral", days=1))
    chart.says(
        "critical",
        "dose",
        "prednisolone 20 mg once, one day more",
        taken("prednisolone", mg("20"), DAILY, r"\b1 ?(day|d\b)"),
    )
    supply(
        chart,
        "fluticasone propionate 50 microgram/actuation",
        dosage(dose=(2, "puffs"), frequency=2, route="Inhaled"),
        status="active",
        reasonCode=[{"text": "Preventer"}],
    )
    chart.says("critical", "dose", "fluticasone two puffs twice", taken("fluticasone", "2 puffs", "twice|2 times"))
    chart.administration(
        "Magnesium sulfate", {"dose": quantity(970, "mg"), "route": {"text": "IV"}}, at="2026-05-17T20:00:00+08:00"
    )
    chart.administration(
        "Aminophylline", {"dose": quantity(190, "mg")}, at="2026-05-17T21:00:00+08:00", status="not-done"
    )
    chart.says("high", "medicine", "magnesium in hospital", item("magnesium", mg("970"), under=GIVEN))
    chart.never(
        "critical",
        "medicine status",
        "aminophylline as given",
        item("^(?!.*(not (given|done))).*aminophylline", under=GIVEN),
    )
    chart.immunization("Influenza vaccine", "2026-05-19", lotNumber="AFLU19", statusReason=None)
    chart.says(
        "high",
        "immunization",
        "influenza vaccine and batch",
        item("influenza", "AFLU19", day("2026-05-19"), under=IMMUNIZATIONS),
    )
    chart.immunization("MMR vaccine", "2021-03-01", encounter=None)
    chart.care_plan("Asthma action plan given to the parents; call 000 if blue or exhausted")
    chart.says("high", "care plan", "the action plan", item("action plan", under=CARE_PLAN))
    chart.family("Mother", "Eczema")
    chart.says("medium", "family history", "the mother's eczema", item("eczema", under=FAMILY))
    chart.never("critical", "diagnosis", "eczema as the child's", item("eczema", under=DIAGNOSES))
    ended(chart, "Home with parents")
    chart.says("high", "disposition", "home", item("home", under=DISPOSITION))
    chart.appointment("GP review", "2026-05-21T16:00:00+08:00")
    chart.says("high", "follow-up", "GP on 21 May", item("GP review", day("2026-05-21"), under=FOLLOW_UP))
    return chart.stay(time_zone="Australia/Perth")


def rheumatic_fever() -> Stay:
    chart = separation(
        "rheumatic",
        "an injection every 21 to 28 days for years, titres as text and as ratios, an interpreter, a transfer",
        "2026-08-03T10:00:00+09:30",
        "2026-08-19T09:00:00+09:30",
        urn="TEN-0101553",
        doctor="Dr Joel Nakamarra",
        place="Larrapinta Regional Hospital",
    )
    chart.patient |= {
        "gender": "female",
        "birthDate": "2015-10-11",
        "communication": [{"language": {"text": "Arrernte"}}],
    }
    chart.patient["name"] = [{"family": "Wirrpanda", "given": ["Tahlia"]}]
    fever = chart.condition(
        "Acute rheumatic fever", (SNOMED, "58718002"), stage=[{"summary": {"text": "First episode"}}]
    )
    chart.diagnosis(fever, rank=1)
    chart.says("critical", "diagnosis", "rheumatic fever", item("rheumatic fever", under=PRINCIPAL))
    chart.condition("Moderate mitral regurgitation")
    chart.says("high", "diagnosis", "regurgitation", item("mitral regurgitation", under=DIAGNOSES))
    chart.lab("ASO titre", "1:640", at="2026-08-03T11:00:00+09:30", referenceRange=[{"text": "<1:200"}], flag="H")
    chart.says("critical", "laboratory", "ASO 1:640", item("ASO", "1:640", under=ABNORMAL))
    chart.lab(
        "Anti-DNase B",
        None,
        valueRatio={"numerator": {"value": 1}, "denominator": {"value": 960}},
        flag="H",
        at="2026-08-03T11:00:00+09:30",
    )
    chart.says("high", "laboratory", "anti-DNase 1:960", item("anti-dnase", r"1 ?[:/] ?960"))
    chart.lab("ESR", 120, "mm/h", comparator=">", high=20, flag="H", at="2026-08-03T11:00:00+09:30")
    chart.lab("ESR", 44, "mm/h", high=20, at="2026-08-18T08:00:00+09:30")
    chart.says("critical", "laboratory", "ESR > 120, then 44", item("ESR", r"> ?120", number("44"), under=ABNORMAL))
    chart.lab("Throat swab", None, valueBoolean=False, at="2026-08-03T12:00:00+09:30")
    chart.never(
        "critical", "laboratory", "the swab as positive", item(r"throat swab.*(positive|detected\b|true|\byes\b)")
    )
    chart.report(
        "Echocardiogram",
        "Moderate mitral regurgitation, no pericardial effusion.",
        category="CUS",
        at="2026-08-04T09:00:00+09:30",
    )
    chart.says("critical", "report", "echocardiogram", item("echocardiogram", "no pericardial effusion", under=REPORTS))
    supply(
        chart,
        "benzathine benzylpenicillin tetrahydrate 1.2 million units injection",
        dosage(
            dose=(1.2, "million units"),
            route="Intramuscular",
            repeat={
                "frequency": 1,
                "period": 21,
                "periodMax": 28,
                "periodUnit": "d",
                "boundsPeriod": {"start": "2026-08-31", "end": "2036-08-31"},
            },
        ),
        brand="Bicillin L-A",
    )
    chart.says(
        "critical",
        "dose",
        "penicillin every 21 to 28 days",
        taken("benzathine", r"21 ?(-|–|to) ?28 ?d|every (3|three) (-|–|to) (4|four) weeks"),
    )
    chart.says("critical", "dose", "until 2036", taken("benzathine", "2036"))
    chart.says("critical", "dose", "1.2 million units", taken("benzathine", "1\\.2 million units"))
    supply(chart, "naproxen 25 mg/mL oral liquid", dosage("10 mL twice a day until reviewed", as_needed=False))
    chart.says("critical", "dose", "naproxen 10 mL twice", taken("naproxen", "10 mL twice a day until reviewed"))
    chart.never("high", "dose", "naproxen as needed", taken("naproxen", AS_NEEDED))
    supply(chart, "prednisolone 25 mg tablet", dosage("1 daily"), intent="option")
    chart.never("critical", "medicine status", "an option as an order", taken("prednisolone"))
    chart.administration(
        "Benzathine benzylpenicillin",
        {"dose": quantity(900, "mg"), "site": {"text": "left ventrogluteal"}},
        at="2026-08-10T10:00:00+09:30",
    )
    chart.allergy("Penicillin", verification="refuted", recorded="2026-08-05")
    chart.never(
        "critical",
        "allergy",
        "penicillin as an allergy",
        item("^(?!.*(refuted|ruled|disproved)).*penicillin", under=ALLERGIES),
    )
    chart.add(
        "Flag",
        status="active",
        category=[hl7("flag-category", "contact")],
        code={"text": "Arrernte interpreter needed"},
        subject=chart.ref(chart.patient),
    )
    chart.order("Next Bicillin injection at Santa Rosa clinic", occurrenceDateTime="2026-08-31", intent="order")
    chart.says("critical", "follow-up", "the next injection", item("next bicillin", day("2026-08-31"), under=AFTERCARE))
    chart.encounter["hospitalization"] = {
        "destination": {"display": "Paediatric Cardiology, Adelaide"},
        "dischargeDisposition": hl7("discharge-disposition", "other-hcf"),
    }
    chart.says(
        "critical",
        "disposition",
        "to Adelaide",
        item("adelaide|other healthcare|another (hospital|facility)", under=DISPOSITION),
    )
    chart.never("critical", "disposition", "home", item("^home", under=DISPOSITION))
    return chart.stay(time_zone="Australia/Darwin")

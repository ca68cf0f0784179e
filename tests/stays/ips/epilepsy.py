"""Epilepsy: a titration in steps, a medicine tapered off, driving, a pregnancy that changes what may be given."""

from tests.stays.build import Chart
from tests.stays.elements import LOINC, SNOMED, dosage, limits
from tests.stays.habits import named, signed
from tests.stays.model import Stay
from tests.stays.words import (
    ABNORMAL,
    ALLERGIES,
    DAILY,
    DIAGNOSES,
    FAMILY,
    HOME,
    PRINCIPAL,
    TAKEN,
    day,
    item,
    mg,
    number,
    taken,
    together,
)


def epilepsy() -> Stay:
    chart = Chart(
        "ips-epilepsy",
        "IPS",
        "titration by boundsPeriod; tapering off; two names of a medicine; a merged patient; logical references",
        start="2026-10-10T08:20:00+11:00",
        end="2026-10-14T16:00:00+11:00",
    )
    named(chart, "Harawira", "Aroha", born="1998-04-04", gender="female")
    signed(chart, "Lachlan", "Fraser")
    _merged(chart)
    _diagnoses(chart)
    _results(chart)
    _titration(chart)
    _medicines(chart)
    _aftercare(chart)
    return chart.stay(time_zone="Australia/Sydney")


def _merged(chart: Chart) -> None:
    old = chart.add(
        "Patient",
        active=False,
        name=[{"family": "Harawera", "given": ["A"]}],
        link=[{"other": chart.ref(chart.patient), "type": "replaced-by"}],
    )
    chart.patient["link"] = [{"other": chart.ref(old), "type": "replaces"}]
    chart.says("critical", "identity", "Aroha Harawira", "Aroha Harawira")
    chart.never("high", "identity", "the merged record's name", "Harawera")
    chart.allergy("Carbamazepine", patient=chart.ref(old), reaction="Toxic epidermal necrolysis", criticality="high")
    chart.says("critical", "allergy", "carbamazepine, in the merged record", item("carbamazepine", under=ALLERGIES))


def _diagnoses(chart: Chart) -> None:
    chart.diagnosis(chart.condition("", (SNOMED, "230456007", "Status epilepticus")), "DD", 1)
    chart.says("critical", "diagnosis", "status epilepticus", item("status epilepticus", under=PRINCIPAL))
    chart.condition("Pregnancy, 9 weeks")
    chart.says("critical", "diagnosis", "nine weeks pregnant", item("pregnan", under=DIAGNOSES))
    chart.family("Sister", "Epilepsy")
    chart.says("medium", "family history", "the sister's epilepsy", item("sister", under=FAMILY))


def _results(chart: Chart) -> None:
    chart.lab("Lamotrigine level", 1.3, "mg/L", referenceRange=[limits(3, 15, "mg/L")], flag="L")
    chart.says(
        "high", "laboratory", "lamotrigine level 1.3, low", item("lamotrigine level", number("1.3"), under=ABNORMAL)
    )
    chart.lab("hCG beta", 98765, "[IU]/L", (LOINC, "21198-7"), interpretation=[{"text": "Pregnant"}])
    chart.says("high", "laboratory", "hCG 98,765", item("hCG", number("98765")))
    chart.report("EEG", "Left temporal epileptiform discharges.", category="NRS")
    chart.says("critical", "report", "left temporal discharges", "left temporal")
    chart.report("MRI brain", "Left mesial temporal sclerosis.", at="2026-10-12T09:00:00+11:00", status="corrected")
    chart.says("high", "report", "left mesial temporal sclerosis", "left mesial temporal sclerosis")


def _titration(chart: Chart) -> None:
    steps = (("2026-10-14", "2026-10-27", 25), ("2026-10-28", "2026-11-10", 50), ("2026-11-11", None, 100))
    chart.medicine(
        "Lamotrigine 25 mg tablet",
        *(
            dosage(
                sequence=n,
                dose=(amount, "mg"),
                route="Oral",
                frequency=2,
                repeat={"boundsPeriod": {"start": start} | ({"end": end} if end else {})},
            )
            for n, (start, end, amount) in enumerate(steps, 1)
        ),
    )
    for start, _, amount in steps:
        chart.says(
            "critical",
            "dose",
            f"lamotrigine {amount} mg twice daily from {start}",
            item(
                "lamotrigine",
                mg(str(amount)) + ".{0,80}" + day(start) + "|" + day(start) + ".{0,60}" + mg(str(amount)),
                under=TAKEN,
            ),
            together("lamotrigine", mg(str(amount)), day(start), under=HOME),
        )


def _medicines(chart: Chart) -> None:
    chart.home_medicine("Epilim (sodium valproate) 500 mg", dosage("500 mg twice daily"))
    chart.medicine(
        "Sodium valproate 500 mg", dosage("500 mg twice daily"), status="stopped", statusReason={"text": "Pregnancy"}
    )
    chart.never("critical", "medicine status", "valproate in pregnancy", taken("valproate|epilim"))
    chart.says(
        "critical",
        "medicine status",
        "valproate was stopped",
        "valproate.*stop|stop.*valproate",
        item("valproate", under=("not to take|stopped",)),
    )
    chart.medicine(
        "Clobazam 10 mg tablet", dosage("10 mg at night for 5 days, then 5 mg at night for 5 days, then stop")
    )
    chart.says(
        "critical",
        "dose",
        "clobazam 10 mg, then 5 mg, then stop",
        item("clobazam", mg("10") + ".*" + mg("5") + ".*then stop", under=TAKEN),
    )
    chart.medicine(
        "Folic acid 5 mg", dosage(dose=(5, "mg"), route="Oral", frequency=1), reasonCode=[{"text": "Pregnancy"}]
    )
    chart.says("critical", "dose", "folic acid 5 mg daily", taken("folic acid", mg("5"), DAILY))
    chart.medicine(
        "Midazolam 5 mg/mL", dosage(dose=(10, "mg"), route="Intranasal", as_needed="Seizure longer than 5 minutes")
    )
    chart.says(
        "critical", "dose", "midazolam 10 mg for a seizure over 5 minutes", taken("midazolam", mg("10"), "5 minutes")
    )


def _aftercare(chart: Chart) -> None:
    chart.order("No driving for six months", category=[{"text": "Advice"}])
    chart.says("critical", "care plan", "no driving for six months", "no driving")
    chart.appointment("Joint epilepsy and antenatal clinic", "2026-10-21T11:30:00+11:00", status="proposed")
    chart.says("high", "follow-up", "epilepsy and antenatal clinic", "epilepsy and antenatal")

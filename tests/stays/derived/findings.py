"""Facts about results: abnormal and normal values, vital signs, cultures, reports, operations, causes of death."""

import re
from collections import defaultdict
from collections.abc import Iterator

from tests.stays.derived.reading import Record, any_name, codes, literal, moment, must, names, never, plain
from tests.stays.model import Fact, Pattern, Resource
from tests.stays.words import ABNORMAL, LABS, NORMAL, PENDING, REPORTS, VITALS, item, number, together

ABNORMAL_FLAGS = {"H", "HH", "L", "LL", "A", "AA"}
COMPUTED = {"39156-5"}  # the body mass index follows from weight and height


def laboratory(record: Record) -> Iterator[Fact]:
    """The worst and the last value of every test that was abnormal, the last value of every other."""
    series: dict[str, list[Resource]] = defaultdict(list)
    for result in record.of_stay("Observation"):
        if "laboratory" in codes(result.get("category")) and "valueQuantity" in result and _in_time(record, result):
            series[names(result["code"])[0]].append(result)
    for test, results in series.items():
        yield from _series(test, sorted(results, key=lambda one: moment(one["effectiveDateTime"])))


def _series(test: str, results: list[Resource]) -> Iterator[Fact]:
    name, last = _analyte(test), results[-1]
    wrong = [one for one in results if _distance(one) > 0 or ABNORMAL_FLAGS & set(codes(one.get("interpretation")))]
    if not wrong:
        judged = bool(last.get("referenceRange") or last.get("interpretation"))
        told = item(name, _value(last))
        yield must("medium" if judged else "high", "laboratory", f"{test}: {_figure(last)}", told)
        yield never("critical", "laboratory", f"{test} as abnormal", item(rf"^{name}", under=ABNORMAL))
        if not judged:
            unsaid = f"{test} as within range: the record has no range"
            yield never("critical", "laboratory", unsaid, item(rf"^{name}", under=NORMAL))
        return
    worst = max(wrong, key=_distance)
    told = item(name, _value(worst), under=ABNORMAL)
    yield must("critical", "laboratory", f"{test}: {_figure(worst)}, abnormal", told)
    if last is not worst:
        yield must("high", "laboratory", f"{test}: {_figure(last)} at last", item(name, _value(last), under=LABS))
    if last in wrong:
        yield never("critical", "laboratory", f"{test} as within range", item(rf"^{name}", under=NORMAL))


def _analyte(test: str) -> str:
    """Of "Cholesterol in HDL [Mass/volume] in Serum" the part before the property; A1c is another hemoglobin."""
    analyte = test.partition(" [")[0] if " [" in test else re.split(" of | in | by ", test)[0]
    return literal(analyte) + r"(?![ ]?A1c)"


def _in_time(record: Record, result: Resource) -> bool:
    return moment(result["effectiveDateTime"]) <= record.end


def vital_signs(record: Record) -> Iterator[Fact]:
    """The last value of each vital sign, the blood pressure with both."""
    last: dict[str, Resource] = {}
    for result in record.of_stay("Observation"):
        told = "vital-signs" in codes(result.get("category")) and not COMPUTED & set(codes(result["code"]))
        if told and _in_time(record, result):
            name = names(result["code"])[0]
            if name not in last or moment(last[name]["effectiveDateTime"]) <= moment(result["effectiveDateTime"]):
                last[name] = result
    for name, result in last.items():
        parts = [part["valueQuantity"] for part in (result, *result.get("component", ())) if "valueQuantity" in part]
        if parts and not record.died:
            values = [number(f"{quantity['value']:g}") for quantity in parts]
            yield must("high", "vital sign", f"{name}: last value", together(*values, under=VITALS))


def _distance(result: Resource) -> float:
    """How far outside its range a value is, as a part of the limit."""
    value = float(result["valueQuantity"]["value"])
    for limits in result.get("referenceRange", ()):
        low, high = limits.get("low", {}).get("value"), limits.get("high", {}).get("value")
        if high is not None and value > high:
            return (value - float(high)) / (float(high) or 1)
        if low is not None and value < low:
            return (float(low) - value) / (float(low) or 1)
    return 0


def _figure(result: Resource) -> str:
    return f"{result['valueQuantity']['value']:g}"


def _value(result: Resource) -> str:
    return number(f"{float(result['valueQuantity']['value']):.10f}".rstrip("0").rstrip("."))


def cultures(record: Record) -> Iterator[Fact]:
    """What grew, and what it resists."""
    for result in record.of_stay("Observation"):
        value = result.get("valueCodeableConcept")
        if (
            "laboratory" in codes(result.get("category"))
            and value
            and moment(result["effectiveDateTime"]) <= record.end
        ):
            if codes(value) == ["R"]:
                drug = _analyte(names(result["code"])[0])
                resists = item(drug, r"resist|\bR\b")
                yield must("critical", "microbiology", f"resistance: {names(result['code'])[0]}", resists)
            elif codes(value) != ["S"]:
                yield must("critical", "microbiology", f"{names(value)[0]} grew", any_name(value))


def reports(record: Record) -> Iterator[Fact]:
    """What final reports conclude; what was asked in the stay and came later is pending."""
    for report in record.of_stay("DiagnosticReport"):
        name = next(iter(names(report["code"])), None)
        if moment(report["effectiveDateTime"]) > record.end or report["status"] in (
            "registered",
            "partial",
            "preliminary",
        ):
            yield must("critical", "pending", f"{name} was not back", item(any_name(report["code"]), under=PENDING))
        elif "imagingStudy" in report and report.get("conclusion"):
            conclusion = literal(report["conclusion"][:60].rsplit(" ", 1)[0])
            yield must("high", "report", f"{name or 'an unnamed report'}: what it says", Pattern(conclusion, REPORTS))


def operations(record: Record) -> Iterator[Fact]:
    """Of an operation note: anesthesia, blood loss, complications, implants."""
    for note in _notes(record, "11504-8"):
        for title, pattern in (
            ("Anesthesia", r"(\w+) anesthesia"),
            ("Estimated blood loss", r"(\d+) ?mL"),
            ("Operative findings", r"(No intraoperative complications|[Cc]omplications?: [^/.;]+)"),
            ("Equipment", r"(?:Implants / devices: )(?!none)([^;/.]+)"),
        ):
            found = re.search(pattern, note.get(title, ""))
            if found:
                yield must("high", "procedure", f"operation note, {title}: {found[1]}", literal(found[1]))


def deaths(record: Record) -> Iterator[Fact]:
    """The causes of a death certificate."""
    for note in _notes(record, "64297-5"):
        for title in ("Immediate cause of death", "Underlying cause of death"):
            cause = re.sub(r" \([A-Z]\d[\d.]*\)", "", note.get(title, "").partition(": ")[2]).rstrip(". ")
            if cause:
                told = Pattern(rf"cause.*{literal(cause)}|{literal(cause)}.*cause", ("outcome",))
                yield must("critical", "outcome", f"{title}: {cause}", told)


def _notes(record: Record, code: str) -> Iterator[dict[str, str]]:
    """Sections of the Compositions of a type, by title."""
    for note in record.of_stay("Composition"):
        if code in codes(note.get("type")):
            yield {section["title"]: plain(section["text"]["div"]) for section in note.get("section", ())}

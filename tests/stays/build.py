"""Builds a stay: entries of the record and, beside them, what a right document says of them.

    def sepsis() -> Stay:
        chart = Chart("us-sepsis", "US Core", "ranges as text", start="2026-03-02T21:40:00-06:00", end="2026-03-09T…")
        chart.patient["birthDate"] = "1951-04-17"
        chart.diagnosis(chart.condition("Sepsis due to Escherichia coli"), rank=1)
        chart.says("critical", "diagnosis", "sepsis is the principal diagnosis", item("sepsis", under=PRINCIPAL))
        chart.lab("Lactate", 4.1, "mmol/L", at="2026-03-02T22:05:00-06:00", referenceRange=[{"text": "0.5-2.0"}])
        chart.says("critical", "laboratory", "lactate 4.1, abnormal", item("lactate", number("4.1"), under=ABNORMAL))
        chart.medicine("cefuroxime 500 mg tablet", dosage(dose=(500, "mg"), frequency=2, days=5))
        chart.says("critical", "dose", "cefuroxime 500 mg twice daily", taken("cefuroxime", mg("500"), TWICE))
        chart.never("critical", "medicine status", "…", taken("naproxen"))
        return chart.stay()

Every method takes further FHIR elements by their names (`status=`, `category=`, `id=` …); None takes one away. What no
method knows is `chart.of_stay(type, …)` (with subject and encounter) or `chart.add(type, …)` (bare). Ids are given in
order, so that a record is the same at each run. A sheet accepts any sensible wording: use `words.py`.
A `no-draft` stay ends with `chart.stay(expect="no-draft")` and needs no facts. A module of stays lists its functions in
`STAYS`, and is named in `corpus.py`.
"""

from tests.stays.medicines import Medicines
from tests.stays.model import Expect, Fact, Kind, Pattern, Serve, Severity, Stay


class Chart(Medicines):
    """A record in the making with its sheet; the entries are in `entries.py` and `medicines.py`."""

    def __init__(
        self, name: str, source: str, about: str, *, start: str, end: str, disposition: str | None = "home"
    ) -> None:
        super().__init__(name, source, about, start=start, end=end, disposition=disposition)
        self._facts: list[Fact] = []

    def says(self, severity: Severity, kind: Kind, what: str, *any_of: str | Pattern, anywhere: bool = False) -> None:
        """A fact that the document must say, in any of these ways."""
        self._facts.append(Fact(what, kind, severity, _patterns(any_of), anywhere=anywhere))

    def never(self, severity: Severity, kind: Kind, what: str, *any_of: str | Pattern) -> None:
        """What the document must not say, in none of these ways."""
        self._facts.append(Fact(what, kind, severity, _patterns(any_of), never=True))

    def stay(self, expect: Expect = "draft", serve: Serve | None = None, time_zone: str = "UTC") -> Stay:
        """The finished stay."""
        found = tuple(self.resources), tuple(self._facts), expect, serve or Serve(), time_zone
        return Stay(self.name, self.source, self.about, self.encounter["id"], *found)


def _patterns(any_of: tuple[str | Pattern, ...]) -> tuple[Pattern, ...]:
    return tuple(Pattern(one) if isinstance(one, str) else one for one in any_of)

"""The whole sheet of a record."""

from collections.abc import Callable, Iterable, Iterator

from tests.stays.derived import findings, medicines, person
from tests.stays.derived.reading import Record
from tests.stays.model import Fact, Resource

RULES: tuple[Callable[[Record], Iterator[Fact]], ...] = (
    person.identity,
    person.reason,
    person.principal,
    person.diagnoses,
    person.complications,
    person.family,
    person.allergies,
    person.procedures,
    person.leaving,
    findings.laboratory,
    findings.vital_signs,
    findings.cultures,
    findings.reports,
    findings.operations,
    findings.deaths,
    medicines.medicines,
)


def sheet(resources: Iterable[Resource], encounter: str) -> tuple[Fact, ...]:
    """Every fact that the rules find, once."""
    record = Record(resources, encounter)
    return tuple(dict.fromkeys(fact for rule in RULES for fact in rule(record)))

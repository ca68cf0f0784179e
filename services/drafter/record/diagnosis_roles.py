"""Role of each diagnosis in the stay by Encounter.diagnosis, the stay's own encounter before its parts.

https://hl7.org/fhir/R4/encounter-definitions.html#Encounter.diagnosis
"""

from dataclasses import dataclass
from datetime import datetime

from services.drafter.record.stay import is_emergency
from shared.clinical import elements, fhir_datetime, references
from shared.clinical.elements import Resource

# http://fhir.de/CodeSystem/KontaktDiagnoseProzedur names the principal and the referral diagnosis in German stays.
_PRINCIPAL = frozenset({"hauptdiagnose", "principal", "principal-diagnosis", "hospital-main-diagnosis"})
_ON_ADMISSION = frozenset({"AD", "referral-diagnosis"})
_DISCHARGE = "DD"
_NO_RANK = 99.0


@dataclass(frozen=True, slots=True)
class _EncounterDiagnosis:
    """One entry of Encounter.diagnosis."""

    reference: str
    rank: float
    uses: frozenset[str]

    @property
    def is_of_discharge(self) -> bool:
        return bool(self.uses & (_PRINCIPAL | {_DISCHARGE}))

    @property
    def sort_key(self) -> tuple[bool, bool, float]:
        return not self.uses & _PRINCIPAL, _DISCHARGE not in self.uses, self.rank


class DiagnosisRoles:
    """What the encounters of a stay state about each Condition.

    `encounters` begin with the stay's own, which decides. Its parts follow, later ones first, then the preceding
    emergency care, whose discharge diagnosis is the reason for admission.
    """

    def __init__(self, encounters: list[Resource], bases: frozenset[str]) -> None:
        own, parts = encounters[:1], encounters[1:]
        wards = sorted((item for item in parts if not is_emergency(item)), key=_start_of, reverse=True)
        before = sorted((item for item in parts if is_emergency(item)), key=_start_of, reverse=True)
        self._stay = [_encounter_diagnoses(item, bases) for item in (*own, *wards)]
        self._before = [_encounter_diagnoses(item, bases) for item in before]
        self._every = [item for diagnoses in (*self._stay, *self._before) for item in diagnoses]
        self._names = frozenset(item.reference for item in self._every)
        self.principal = self._principal()

    def is_named(self, reference: str) -> bool:
        return reference in self._names

    def unread_references(self, known: set[str]) -> list[str]:
        return [
            reference for reference in dict.fromkeys(item.reference for item in self._every) if reference not in known
        ]

    def sort_key_of(self, reference: str) -> tuple[int, float]:
        """Return the sort key: the first encounter that names the Condition, then its rank there."""
        for index, diagnoses in enumerate((*self._stay, *self._before)):
            if ranks := [item.rank for item in diagnoses if item.reference == reference]:
                return index, min(ranks)
        return len(self._stay) + len(self._before), _NO_RANK

    def only_on_admission(self, reference: str) -> bool:
        """Return whether it is only an admission diagnosis. Emergency care counts where no other encounter does."""
        of_stay = [item for diagnoses in self._stay for item in diagnoses if item.reference == reference]
        counted = of_stay or [item for diagnoses in self._before for item in diagnoses if item.reference == reference]
        return bool(counted) and all(item.uses & _ON_ADMISSION and not item.is_of_discharge for item in counted)

    def _principal(self) -> str | None:
        """Return the principal diagnosis of the first encounter that has one.

        It is the one with that role, else the discharge diagnosis of the lowest rank, else the one of rank 1. Emergency
        care counts only where the stay names no diagnosis.
        """
        for index, diagnoses in enumerate(self._stay if any(self._stay) else self._before):
            alone = len(diagnoses) == 1 if index == 0 and self._stay[0] else len(self._every) == 1
            only = alone and not diagnoses[0].uses if diagnoses else False  # what the encounter was about
            named = [
                item
                for item in diagnoses
                if only or item.is_of_discharge or (item.rank == 1 and not item.uses & _ON_ADMISSION)
            ]
            if named:
                return min(named, key=lambda item: item.sort_key).reference
        return None


def _encounter_diagnoses(encounter: Resource, bases: frozenset[str]) -> list[_EncounterDiagnosis]:
    diagnoses = []
    for item in elements.children(encounter, "diagnosis"):
        named = references.relative(item.get("condition"), bases)
        if named is not None and named.startswith("Condition/"):  # R4 allows a Procedure, too
            rank = float(elements.number(item, "rank") or _NO_RANK)
            diagnoses.append(_EncounterDiagnosis(named, rank, elements.codes(item.get("use"))))
    return diagnoses


def _start_of(encounter: Resource) -> tuple[datetime, datetime]:
    period = elements.child(encounter, "period")
    start, end = fhir_datetime.parse(period.get("start")), fhir_datetime.parse(period.get("end"))
    return start.begins if start else fhir_datetime.EARLIEST, end.begins if end else fhir_datetime.LATEST

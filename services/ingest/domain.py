"""What a fact from the EHR means for a case. Pure."""

from collections.abc import Sequence
from typing import Literal

from shared.contracts.case import WITHDRAWABLE, fold
from shared.contracts.ehr import EncounterFact
from shared.contracts.envelope import Recorded
from shared.contracts.events import Discharged, Withdrawn
from shared.contracts.subjects import derived_id

DISCHARGED = "discharged"
CANCELLED = "discharge-cancelled"


def discharge(fact: EncounterFact) -> Discharged:
    return Discharged(encounter_id=fact.encounter_id, attending=fact.attending, occurred_at=fact.occurred_at)


def reopens(history: Sequence[Recorded], cause: str) -> bool:
    """Whether a discharge starts an existing case again: only a withdrawn one, and not the discharge it began with."""
    known = any(event.id == derived_id(cause, DISCHARGED) for event in history)
    return fold(history).state == "withdrawn" and not known


def withdraw(history: Sequence[Recorded]) -> Withdrawn | Literal["too-late", "unknown", "done"]:
    """What an un-discharge does: before the signature it withdraws the case, after it only a person can act."""
    case = fold(history)
    if not case.exists:
        return "unknown"
    if case.state in WITHDRAWABLE:
        return Withdrawn(reason=CANCELLED)
    return "too-late" if case.state in ("approved", "filed") else "done"

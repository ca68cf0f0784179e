"""Events that end the retention of a case's texts: holds, erasure orders, erasures.

Grounds are codes, as nothing that names a patient belongs in an event; `reference` is an external file number. `state`
is the case's, which these events do not change, except that an order closes a failed case.
"""

from typing import Annotated, Literal, get_args

from pydantic import Field

from shared.contracts.case_values import Actor, CaseState
from shared.contracts.model import Model

# record: what was read of the EHR. draft: of those that nobody signed. words: what physicians said beside it. signed:
# the texts that were signed, and the drafts that they were made of. renditions: the files made of them.
TextKind = Literal["record", "draft", "words", "signed", "renditions"]
TEXT_KINDS: tuple[TextKind, ...] = get_args(TextKind)

ErasureGround = Literal[
    "retention", "patient-request", "consent-withdrawn", "court-order", "wrong-patient", "test-data"
]
HoldGround = Literal["litigation", "investigation", "patient-claim", "audit"]
REFERENCE_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._/-]{0,39}$"
Reference = Annotated[str, Field(pattern=REFERENCE_PATTERN)]


class HoldPlaced(Model):
    """Nothing of the case is erased until the hold is released."""

    event: Literal["hold-placed"] = "hold-placed"
    version: Literal[1] = 1
    state: CaseState
    ground: HoldGround
    reference: Reference | None = None
    by: Actor


class HoldReleased(Model):
    """The hold has ended."""

    event: Literal["hold-released"] = "hold-released"
    version: Literal[1] = 1
    state: CaseState
    reference: Reference | None = None
    by: Actor


class ErasureOrdered(Model):
    """Texts of the case are to be erased. With all kinds, the case's key is destroyed."""

    event: Literal["erasure-ordered"] = "erasure-ordered"
    version: Literal[1] = 1
    state: CaseState
    ground: ErasureGround
    kinds: tuple[TextKind, ...]
    reference: Reference | None = None
    by: Actor
    again: bool = False  # by a restore of an older backup, in any state of the case

    @property
    def whole(self) -> bool:
        """Return whether texts of all kinds are to be erased."""
        return set(self.kinds) == set(TEXT_KINDS)


class Erased(Model):
    """The texts are erased."""

    event: Literal["erased"] = "erased"
    version: Literal[1] = 1
    state: CaseState
    kinds: tuple[TextKind, ...]
    texts: int  # that the events name

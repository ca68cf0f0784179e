"""How a case's texts come to their end: a hold that keeps them, an order to erase them, and that it was carried out.

Grounds are codes, as nothing that names a patient belongs on the trail; `reference` is a number in somebody's files.
`state` is the case's, which none of these events changes, but that an order closes a case that had failed.
"""

from typing import Annotated, Literal, get_args

from pydantic import Field

from shared.contracts.model import Model
from shared.contracts.values import Actor, State

# record: what was read of the EHR. draft: of those that nobody signed. words: what physicians said beside it. signed:
# the texts that were signed, and the drafts that they were made of. renditions: the files made of them.
TextKind = Literal["record", "draft", "words", "signed", "renditions"]
KINDS: tuple[TextKind, ...] = get_args(TextKind)

Ground = Literal["retention", "patient-request", "consent-withdrawn", "court-order", "wrong-patient", "test-data"]
HoldGround = Literal["litigation", "investigation", "patient-claim", "audit"]
REFERENCE = r"^[A-Za-z0-9][A-Za-z0-9._/-]{0,39}$"
Reference = Annotated[str, Field(pattern=REFERENCE)]


class HoldPlaced(Model):
    """Nothing of the case is erased until the hold is released."""

    event: Literal["hold-placed"] = "hold-placed"
    version: Literal[1] = 1
    state: State
    ground: HoldGround
    reference: Reference | None = None
    by: Actor


class HoldReleased(Model):
    """The hold has ended."""

    event: Literal["hold-released"] = "hold-released"
    version: Literal[1] = 1
    state: State
    reference: Reference | None = None
    by: Actor


class ErasureOrdered(Model):
    """Texts of the case are to be erased; of all kinds: its key is destroyed."""

    event: Literal["erasure-ordered"] = "erasure-ordered"
    version: Literal[1] = 1
    state: State
    ground: Ground
    kinds: tuple[TextKind, ...]
    reference: Reference | None = None
    by: Actor
    again: bool = False  # by a restore, of a backup from before it was ordered: in whatever state the case is there

    @property
    def whole(self) -> bool:
        return set(self.kinds) == set(KINDS)


class Erased(Model):
    """They are erased."""

    event: Literal["erased"] = "erased"
    version: Literal[1] = 1
    state: State
    kinds: tuple[TextKind, ...]
    texts: int  # that the trail names

"""The event by which a physician rates the draft that they have signed."""

from typing import Literal, get_args

from shared.contracts.case_values import Actor, Channel, DraftRef
from shared.contracts.model import Model

Rating = Literal["useful", "edited-much", "useless"]
RATINGS: tuple[Rating, ...] = get_args(Rating)


class Rated(Model):
    """Who signed a draft said how useful it was. A later rating takes the place of an earlier one."""

    event: Literal["rated"] = "rated"
    version: Literal[1] = 1
    draft: DraftRef  # that was signed
    rating: Rating
    words: str | None = None  # digest of the physician's words; None: there are none
    by: Actor
    channel: Channel | None = None

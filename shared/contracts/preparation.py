"""Events of a stay before its discharge: a draft is prepared, which nobody can sign.

A preparation begins with `preparation-requested` and ends with `discharged` or `preparation-ended`. It may be requested
again while it lasts: the record is then read again.
"""

from typing import Literal

from pydantic import AwareDatetime

from shared.contracts.case_values import DraftRef, StayReferences
from shared.contracts.model import Model

# ADT A16 or a report of the same meaning; a date in the EHR; the nightly census of a department.
PreparationTrigger = Literal["pending-discharge", "planned-date", "census"]
# cancelled: the discharge is no longer pending; expired: no discharge was reported until `ends_at`.
PreparationEnd = Literal["cancelled", "expired"]


class PreparationRequested(Model):
    """A draft is to be prepared before the discharge."""

    event: Literal["preparation-requested"] = "preparation-requested"
    version: Literal[1] = 1
    encounter_id: str
    attending: str | None = None
    trigger: PreparationTrigger
    expected_at: AwareDatetime | None = None  # when the discharge is expected, where that is known
    ends_at: AwareDatetime  # the preparation ends then if no discharge was reported
    number: int  # of the prepared draft: 1 for the first of a case
    prepared: str | None = None  # digest of the draft that was prepared before
    tokens: int | None = None  # that the model may use for it, of a night's budget; None: no limit


class Prepared(Model):
    """A draft was prepared from the record as it was before the discharge."""

    event: Literal["prepared"] = "prepared"
    version: Literal[1] = 1
    stay: StayReferences
    draft: DraftRef
    sentences: int
    unsupported: int
    encounter_status: str
    left_out: int  # entries of the record that could not be used


class PreparationEnded(Model):
    """No discharge followed the preparation. Nothing of it is in the chart."""

    event: Literal["preparation-ended"] = "preparation-ended"
    version: Literal[1] = 1
    reason: PreparationEnd

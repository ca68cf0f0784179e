"""Authorization: who may see a review, and who may decide it. Pure.

A review belongs to the attending physician, whoever it was reassigned to, and the supervisor of its department.
"""

from datetime import datetime, timedelta
from typing import Literal, NamedTuple

from shared.contracts.case import Case
from shared.runtime.authentication import Caller, Role

# decide: sign, refuse, correct, append, confirm a retraction. retract: ask for one, which alone changes nothing.
# release: have a signed document filed again, or confirm that it is in the chart. withdraw: end an unsigned case.
Action = Literal["see", "decide", "reassign", "retract", "release", "withdraw"]
# Who reads the draft itself. An auditor verifies events without it, an operator repairs without it.
READERS: tuple[Role, ...] = ("physician", "supervisor")


class Denied(NamedTuple):
    """A denied action. `conceal_existence`: the answer must not show that the case exists."""

    reason: str
    conceal_existence: bool


def authorize(caller: Caller, case: Case, department: str, action: Action) -> Caller | Denied:
    """Return the caller in the first of their roles that allows the action.

    A department's supervisor is also a physician. If no role allows it, returns why not, for the role of the sign-in.
    """
    parts = (caller.in_role(role) for role in caller.roles)
    found = (part for part in parts if part is not None and _denied(part, case, department, action) is None)
    return next(found, None) or _denied(caller, case, department, action) or caller


def denial(caller: Caller, case: Case, department: str, action: Action) -> Denied | None:
    """Return why the caller may not do it; None where they may."""
    found = authorize(caller, case, department, action)
    return found if isinstance(found, Denied) else None


def _denied(caller: Caller, case: Case, department: str, action: Action) -> Denied | None:
    if not caller.can_access_department(department):
        return Denied("the case is of another department", conceal_existence=True)
    if action in ("reassign", "release", "withdraw") and caller.role == "operator":
        return None
    if caller.role not in READERS or action == "withdraw":
        return Denied(f"the role {caller.role} may not do that", conceal_existence=False)
    if action in ("decide", "retract") and caller.practitioner is None and not caller.signs_as_owner:
        return Denied("the sign-in does not say who you are in the EHR", conceal_existence=False)
    attending = case.review.stay.attending if case.review else None
    if action in ("see", "retract", "release") or caller.role == "supervisor":
        return None
    if caller.signs_as_owner or is_assigned_to(caller, case.owner, attending):
        return None
    return Denied("the review belongs to somebody else", conceal_existence=False)


def is_assigned_to(caller: Caller, owner: str | None, attending: str | None) -> bool:
    """Return whether a review is assigned to the caller; an unassigned one is to any physician of the department."""
    owners = [reference for reference in (owner, attending) if reference]
    return not owners or caller.practitioner in owners


def needs_step_up(caller: Caller, now: datetime, within: timedelta) -> bool:
    """Return whether a signature needs a more recent sign-in (RFC 9470). Static tokens never do."""
    if caller.method == "token":
        return False
    return caller.signed_in_at is None or now - caller.signed_in_at > within

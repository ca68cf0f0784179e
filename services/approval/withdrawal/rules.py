"""Which cases an operator may withdraw, and what to do about the others. Pure."""

from services.approval.review.errors import DecisionRefusedError
from shared.contracts.case import WITHDRAWABLE_STATES, Case
from shared.contracts.events import Actor, Withdrawn


def withdraw(case: Case, by: Actor, words: str) -> Withdrawn:
    """End a case that nobody has signed. `words` is the digest of the operator's reason.

    Raises DecisionRefusedError; once there is a signature, it names the way to correct, retract or erase the document.
    """
    if not case.exists:
        raise DecisionRefusedError("unknown", "There is no such case.")
    if (why := _not_withdrawable(case)) is not None:
        raise DecisionRefusedError("not-withdrawable", why)
    return Withdrawn(reason="operator", by=by, words=words)


def withdrawable(case: Case) -> bool:
    """Return whether an operator may withdraw the case."""
    return case.exists and _not_withdrawable(case) is None


def _not_withdrawable(case: Case) -> str | None:
    if case.erasing:
        return "Its texts are being erased."
    if case.state == "filed":
        return "The document is in the chart: physicians correct or retract it, and its texts can be erased then."
    if case.entries and case.state != "retracted":
        return "A physician has signed the document, which is not in the chart yet: retract it once it is filed."
    if case.preparation is not None:
        return "The patient is not discharged yet: the preparation ends without a discharge, and needs no withdrawal."
    return None if case.state in WITHDRAWABLE_STATES else f"The case has ended: it is {case.state}."

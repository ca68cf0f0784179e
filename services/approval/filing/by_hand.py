"""What people do about a signed document that is not in the chart: have it tried again, or take it there. Pure."""

from services.approval.corrections.rules import number_of
from services.approval.filing.manual_transfer import retraction_transferred, transferred
from services.approval.review.errors import DecisionRefusedError
from shared.contracts.case import Case, fold
from shared.contracts.corrections import Retracted, RetractionFiled
from shared.contracts.envelope import RecordedEvent
from shared.contracts.events import Actor, Filed, Retried, Signature, WriteBackProfile


def held(case: Case) -> bool:
    """Return whether the filing was given up."""
    return case.state == "failed" and case.failure is not None and case.failure.step == "file"


def release(case: Case, by: Actor) -> Retried:
    """Have the filing tried again: a held one, or one that waits. Raises DecisionRefusedError."""
    if not held(case) and case.awaits != "file":
        raise DecisionRefusedError("not-unfiled", "No signed document of this case waits for the chart.")
    return Retried(step="file", by=by)


def confirm_transfer(
    case: Case, signature: RecordedEvent | None, profile: WriteBackProfile, by: Actor
) -> Filed | RetractionFiled:
    """State that `by` has taken what was signed to the chart: where that is how it is done, or where it is held.

    Raises DecisionRefusedError.
    """
    if signature is None or not (held(case) or case.awaits == "file"):
        raise DecisionRefusedError("not-unfiled", "No signed document of this case waits for the chart.")
    if not held(case) and profile != "none":
        raise DecisionRefusedError("not-by-hand", "The document is filed without a person: it is on its way.")
    if isinstance(signature.body, Retracted):
        return retraction_transferred(by)
    assert isinstance(signature.body, Signature)  # noqa: S101 - the step consumes nothing else
    return transferred(signature.case, signature.body, number_of(case, signature), by)


def confirmed_before(history: list[RecordedEvent], by: Actor) -> Filed | RetractionFiled | None:
    """Return the confirmation of `by` where it is the last thing that was done about the document."""
    case = fold(history)
    last = next((item.body for item in reversed(history) if isinstance(item.body, Filed | RetractionFiled)), None)
    waits = held(case) or case.awaits == "file"
    return last if last is not None and not waits and last.by is not None and last.by.subject == by.subject else None

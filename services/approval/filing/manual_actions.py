"""What people do about a signed document that is not in the chart: retry it, or confirm a transfer. Pure."""

from services.approval.corrections.rules import number_of
from services.approval.filing.manual_transfer import retraction_transferred, transferred
from services.approval.review.errors import DecisionRefusedError
from shared.contracts.case import Case, fold
from shared.contracts.corrections import Retracted, RetractionFiled
from shared.contracts.envelope import RecordedEvent
from shared.contracts.events import Actor, Filed, Retried, Signature, WriteBackProfile


def is_held(case: Case) -> bool:
    """Return whether the filing has failed and waits for a person."""
    return case.state == "failed" and case.failure is not None and case.failure.step == "file"


def release(case: Case, by: Actor) -> Retried:
    """Return the event that retries a filing which is held or waits. Raises DecisionRefusedError."""
    if not is_held(case) and case.awaits != "file":
        raise DecisionRefusedError("not-unfiled", "No signed document of this case waits for the chart.")
    return Retried(step="file", by=by)


def confirm_transfer(
    case: Case, signature: RecordedEvent | None, profile: WriteBackProfile, by: Actor
) -> Filed | RetractionFiled:
    """Return the event that `by` has entered the signed document into the chart: by the profile `none`, or a held one.

    Raises DecisionRefusedError.
    """
    if signature is None or not (is_held(case) or case.awaits == "file"):
        raise DecisionRefusedError("not-unfiled", "No signed document of this case waits for the chart.")
    if not is_held(case) and profile != "none":
        raise DecisionRefusedError("not-by-hand", "The document is filed without a person: it is on its way.")
    if isinstance(signature.body, Retracted):
        return retraction_transferred(by)
    assert isinstance(signature.body, Signature)  # noqa: S101 - the step consumes nothing else
    return transferred(signature.case, signature.body, number_of(case, signature), by)


def confirmed_before(history: list[RecordedEvent], by: Actor) -> Filed | RetractionFiled | None:
    """Return the confirmation of `by` if it was the last action on the document; else None."""
    case = fold(history)
    last = next((item.body for item in reversed(history) if isinstance(item.body, Filed | RetractionFiled)), None)
    waits = is_held(case) or case.awaits == "file"
    return last if last is not None and not waits and last.by is not None and last.by.subject == by.subject else None

"""The write-back profile `none`: a person is notified, takes the document to the chart, and confirms it."""

from collections.abc import Awaitable, Callable

from services.approval.filing.errors import ManualTransferRequiredError, require_chart_check
from services.approval.filing.renditions.make import TEXT
from services.approval.filing.write_back import SignedDocument, SignedRetraction, Written, document_key
from shared.contracts.corrections import RetractionFiled
from shared.contracts.envelope import RecordedEvent
from shared.contracts.events import Actor, Filed, Signature
from shared.contracts.subjects import CaseRef

Notify = Callable[[RecordedEvent], Awaitable[None]]


class ManualTransfer:
    """File by people: `notify` alerts them that a decision waits for its transfer. It may be called again for one."""

    def __init__(self, notify: Notify) -> None:
        self._notify = notify

    async def file(self, document: SignedDocument) -> Written:
        """Notify people. Raises ManualTransferRequiredError, or DocumentHeldError if the chart has to be checked."""
        require_chart_check(document.doubt)
        await self._notify(document.decision)
        raise ManualTransferRequiredError

    async def retract(self, retraction: SignedRetraction) -> RetractionFiled:
        """Notify people. Raises ManualTransferRequiredError, or DocumentHeldError if the chart has to be checked."""
        require_chart_check(retraction.doubt)
        await self._notify(retraction.decision)
        raise ManualTransferRequiredError


def transferred(case: CaseRef, signature: Signature, number: int, by: Actor) -> Filed:
    """Return the event that states that `by` has transferred the signed text to the chart."""
    key = document_key(case, signature, number)
    return Filed(document_reference=key, provenance="", renditions={TEXT: signature.signed}, profile="none", by=by)


def retraction_transferred(by: Actor) -> RetractionFiled:
    """Return the event that states that `by` has marked the documents as entered in error in the chart."""
    return RetractionFiled(provenance="", profile="none", by=by)

"""The write-back profile `none`: a person is notified, takes the document to the chart, and confirms it."""

from collections.abc import Awaitable, Callable

from services.approval.filing.held import LeftToAPersonError, check_first
from services.approval.filing.renditions.make import TEXT
from services.approval.filing.write_back import SignedDocument, SignedRetraction, Written, document_key
from shared.contracts.corrections import RetractionFiled
from shared.contracts.envelope import RecordedEvent
from shared.contracts.events import Actor, Filed, Signature
from shared.contracts.subjects import CaseRef

Tell = Callable[[RecordedEvent], Awaitable[None]]


class ManualTransfer:
    """`tell` alerts people that the decision waits for its transfer; it may be called again for the same one."""

    def __init__(self, tell: Tell) -> None:
        self._tell = tell

    async def file(self, document: SignedDocument) -> Written:
        """Tell a person. Raises LeftToAPersonError; HeldError where they have to check the chart first."""
        check_first(document.doubt)
        await self._tell(document.decision)
        raise LeftToAPersonError

    async def retract(self, retraction: SignedRetraction) -> RetractionFiled:
        """Tell a person. Raises LeftToAPersonError; HeldError where they have to check the chart first."""
        check_first(retraction.doubt)
        await self._tell(retraction.decision)
        raise LeftToAPersonError


def transferred(case: CaseRef, signature: Signature, number: int, by: Actor) -> Filed:
    """Return the event that states that `by` has transferred the signed text to the chart."""
    key = document_key(case, signature, number)
    return Filed(document_reference=key, provenance="", renditions={TEXT: signature.signed}, profile="none", by=by)


def retraction_transferred(by: Actor) -> RetractionFiled:
    """Return the event that states that `by` has marked the documents as entered in error in the chart."""
    return RetractionFiled(provenance="", profile="none", by=by)

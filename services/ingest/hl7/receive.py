"""Turn what arrived on a connection into messages with what is done about each, and how it is answered. Pure."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from services.ingest.hl7.acknowledgment import Code, acknowledgment, answer_code
from services.ingest.hl7.adt import OVERSIZED, UTF16, Assessment, assess
from services.ingest.hl7.sender import Sender
from shared.hl7.message import Message, from_utf16, header_in, messages_in
from shared.hl7.mllp import BrokenFrame, Frame, OversizedFrame, Received

EMPTY = Assessment("other", "ignored", "an empty frame is not answered", is_answer=True)
UNREADABLE = Assessment("other", "refused", "the frame contains no HL7 message")
BROKEN = Assessment("other", "refused", "the frame broke off")


@dataclass(frozen=True, slots=True)
class FrameOutcome:
    """What is done about one message, or about a frame without one. `code` None: it is not answered."""

    assessment: Assessment
    sender: Sender
    message: Message | None = None
    code: Code | None = None

    @property
    def is_broken(self) -> bool:
        """Return whether a frame was no message: an alert is raised, as its sender cannot be answered."""
        return self.assessment in (UNREADABLE, BROKEN)

    def answer(self, new_id: Callable[[], str], at: datetime) -> bytes | None:
        """Return the content of the answer's frame. `new_id` gives our MSH-10."""
        if self.message is None or self.code is None:
            return None
        local = at.astimezone(self.sender.zone)
        return acknowledgment(self.message, self.code, self.assessment.problem, id=new_id(), at=local)


def outcomes(received: Received, senders: Sequence[Sender], at: datetime) -> Iterator[FrameOutcome]:
    """Yield what is done about each message of a frame, in order. `senders` are those of the connection."""
    match received:
        case BrokenFrame():
            yield FrameOutcome(BROKEN, senders[0])
        case OversizedFrame(head):
            header = header_in(head)
            problem = Assessment("other", "refused", OVERSIZED.text, problem=OVERSIZED)
            yield _refused(header, problem, senders[0])
        case Frame(content) if not content.strip(b"\r\n \0"):
            yield FrameOutcome(EMPTY, senders[0])
        case Frame(content) if (text := from_utf16(content)) is not None:
            yield _refused(header_in(text), Assessment("other", "refused", UTF16.text, problem=UTF16), senders[0])
        case Frame(content):
            found = messages_in(content)
            if not found and not is_empty_batch(content):
                yield FrameOutcome(UNREADABLE, senders[0])
            for message in found:
                assessment, sender = assess(message, senders, at)
                code = None if assessment.is_answer else answer_code(message, assessment.problem)
                yield FrameOutcome(assessment, sender, message, code)


def is_empty_batch(content: bytes) -> bool:
    """Return whether a frame is a file or a batch without a message."""
    return content.removeprefix(b"\xef\xbb\xbf").lstrip(b"\r\n").startswith((b"BHS", b"FHS"))


def _refused(header: Message | None, assessment: Assessment, sender: Sender) -> FrameOutcome:
    if header is None:
        return FrameOutcome(UNREADABLE, sender)
    return FrameOutcome(assessment, sender, header, answer_code(header, assessment.problem))

"""Read the acknowledgment of an MDM message. Pure. HL7 v2.5.1 chapter 2.9.2, 2.9.3."""

import re
from dataclasses import dataclass

from shared.hl7.message import Message, from_utf16, messages_in

ACCEPTED = ("AA", "CA")
_CODE = re.compile(r"[A-Za-z0-9._-]{1,20}")


@dataclass(frozen=True, slots=True)
class Answer:
    """`code` is MSA-1, `id` the answer's own MSH-10, `error` the code of HL7 table 0357 or the receiver's own."""

    code: str
    id: str
    error: str = ""

    @property
    def accepted(self) -> bool:
        return self.code in ACCEPTED

    @property
    def words(self) -> str:
        """Return what is said of a refusal: codes alone, as the receiver's text may quote the patient's data."""
        return f"{self.code}, error {self.error}" if self.error else self.code


def read_answer(content: bytes, control_id: str) -> Answer | None:
    """Return the answer to the message `control_id` in the content of a frame.

    None where it answers another message: MSA-2 must be exactly the control id.
    """
    # Codes and control ids are ASCII, which every charset has but UTF-16.
    for message in messages_in(from_utf16(content) or content):
        if message.named("MSA") and message.raw("MSA", 2) == control_id:
            return Answer(_coded(message.value("MSA", 1)) or "none", message.value("MSH", 10)[:199], _error(message))
    return None


def _error(message: Message) -> str:
    # From 2.5 on ERR-3; before that the fourth component of ERR-1, or MSA-6.
    values = (message.value("ERR", 3), message.value("ERR", 1, 4), message.value("MSA", 6))
    return next((found for value in values if (found := _coded(value))), "")


def _coded(value: str) -> str:
    return value if _CODE.fullmatch(value) else ""

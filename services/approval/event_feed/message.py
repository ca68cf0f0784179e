"""The message about a case event for integrators: ids, names, a time and a sequence. Pure.

It is made of the subject and the headers of the stored event. The body, with ids of the EHR and people, is not read.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from shared.contracts.errors import PermanentError
from shared.contracts.model import Model
from shared.contracts.subjects import parse_case_subject

MEDIA_TYPE = "application/cloudevents+json"


class CaseEventMessage(Model):
    """A case event. `sequence` is its position in the event stream: of two events, the later one has the higher."""

    id: str
    type: str  # such as countersign.discharge.approved.v1
    source: str
    time: datetime
    department: str
    case_id: str
    event: str  # such as approved
    sequence: int

    def cloudevent(self) -> dict[str, Any]:
        """Return the event in CloudEvents' JSON format, structured mode.

        https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/formats/json-format.md
        """
        return {
            "specversion": "1.0",
            "id": self.id,
            "source": self.source,
            "type": self.type,
            "time": self.time.isoformat(),
            "subject": f"{self.department}/{self.case_id}",
            "datacontenttype": "application/json",
            "data": {
                "case_id": self.case_id,
                "department": self.department,
                "event": self.event,
                "sequence": self.sequence,
            },
        }


def message_of(subject: str, headers: Mapping[str, str], sequence: int) -> CaseEventMessage:
    """Return the message of a stored event. Raises PermanentError for what is no case event."""
    case, name = parse_case_subject(subject)
    try:
        return CaseEventMessage(
            id=headers["ce-id"],
            type=headers["ce-type"],
            source=headers["ce-source"],
            time=datetime.fromisoformat(headers["ce-time"]),
            department=case.department,
            case_id=case.id,
            event=name,
            sequence=sequence,
        )
    except (KeyError, ValueError) as error:
        raise PermanentError(f"a {name} message breaks the contract ({type(error).__name__})") from None

"""Which entries of a record a summary may use, and why the others are left out."""

from datetime import datetime
from typing import Any

from services.drafter import reading

Resource = dict[str, Any]

REFUTED = ("entered-in-error", "refuted")  # AllergyIntolerance and Condition verificationStatus
UNUSABLE = ("entered-in-error", "cancelled", "not-done", "unknown", "draft", "registered")


class Sieve:
    """Drops entries one by one and remembers why."""

    def __init__(self, encounter: str, end: datetime) -> None:
        self.encounter = encounter
        self.end = end
        self.left_out: list[str] = []

    def usable(
        self, resource: Resource, text: str | None, time: datetime | None, *, dated: bool = True, own: bool = True
    ) -> bool:
        """Whether `resource` may be used: it says something, is valid, and belongs to the stay before its end."""
        reason = self._reason(resource, text, time, dated, own)
        if reason is not None:
            self.left_out.append(f"{source(resource)}: {reason}")
        return reason is None

    def _reason(
        self, resource: Resource, text: str | None, time: datetime | None, dated: bool, own: bool
    ) -> str | None:
        other = reading.reference(resource.get("encounter"))
        verification = reading.code(resource.get("verificationStatus"))
        status = reading.words(resource, "status")
        if not text:
            return "has no readable code"
        if status in UNUSABLE or verification in REFUTED:
            return f"is {status if status in UNUSABLE else verification}"
        if own and other not in (None, self.encounter):
            return "belongs to another encounter"
        if time is None:
            return "has no date" if dated else None
        issued = reading.moment(resource.get("issued"))
        if time > self.end or (issued is not None and issued > self.end):
            return "is from after the discharge"
        return None


def source(resource: Resource) -> str:
    return f"{resource['resourceType']}/{resource['id']}"

"""The record of one stay as the server returned it: the input of `build_context`."""

from dataclasses import dataclass, field
from datetime import datetime, tzinfo

from shared.clinical.elements import Resource


@dataclass(frozen=True, slots=True)
class UnreadPart:
    """A part of the record that could not be read, or not completely."""

    type: str  # of the resources: `AllergyIntolerance`
    reason: str  # without patient data


@dataclass(frozen=True, slots=True)
class NoteText:
    """The text of a note that is not inline, or why there is none; `reason` quotes nothing of it."""

    text: str | None = None
    reason: str = ""


@dataclass(slots=True)
class SourceRecord:
    """One stay. `entries` are resources by type, `people` referenced resources by `Type/id`."""

    encounter: Resource
    patient: Resource
    people: dict[str, Resource]  # practitioners, organizations, medications, devices
    entries: dict[str, list[Resource]] = field(default_factory=dict)
    occurred_at: datetime | None = None  # when the discharge is reported to have happened
    attending: str | None = None  # as the discharge event names it
    died: bool = False  # as the discharge was reported, whatever the record states
    ongoing: bool = False  # the stay has not ended: it is read up to `occurred_at`
    bases: frozenset[str] = frozenset()  # of the server's own absolute references
    zone: tzinfo | None = None  # of the hospital; without one, times stay at the record's offsets
    unread: tuple[UnreadPart, ...] = ()
    texts: dict[str, NoteText] = field(default_factory=dict)  # of documents, by `Type/id`

    def of(self, *types: str) -> list[Resource]:
        """Return the entries of some types that have an id."""
        return [
            item for type in types for item in self.entries.get(type, []) if isinstance(item, dict) and item.get("id")
        ]

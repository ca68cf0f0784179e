"""Features of a stay by which its kind of document is chosen."""

from dataclasses import dataclass, field

from services.drafter.kinds.dispositions import PlaceMatch


@dataclass(frozen=True, slots=True)
class StayFeatures:
    """Features of a stay, as far as they are recorded, in the record's words."""

    died: bool = False
    left: PlaceMatch = field(default_factory=PlaceMatch)
    disposition: tuple[str, ...] = ()  # words of the disposition and of the destination
    codes: frozenset[str] = frozenset()  # of the disposition, as `system|code`
    encounter_class: frozenset[str] = frozenset()  # codes, in capitals
    named: tuple[str, ...] = ()  # what class, type and service of the encounter are called
    began: frozenset[str] = frozenset()
    age_days: int | None = None  # at the admission; 0 where the patient was born on its day, or in the stay
    hours: float | None = None  # length of the stay
    department: str | None = None

"""What a case is at one point of its history: the state that its events lead to."""

from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from shared.contracts.case_values import CaseState, is_known_from_chart_only
from shared.contracts.corrections import Addended, RetractionFiled
from shared.contracts.envelope import CHAIN_START, ChainHead, RecordedEvent
from shared.contracts.events import Approved, DraftRef, Failed, Filed, ReviewRequested, StepName
from shared.contracts.preparation import PreparationRequested, Prepared
from shared.contracts.retention import TextKind

END_STATES: tuple[CaseState, ...] = ("filed", "closed", "withdrawn", "retracted")
RATEABLE_STATES: tuple[CaseState, ...] = ("approved", "filed", "failed")  # failed: it could not be filed yet
WITHDRAWABLE_STATES: tuple[CaseState, ...] = ("drafting", "awaiting-review", "failed")


class ChartEntry(NamedTuple):
    """A signed text, and where it was filed; None until it is."""

    signature: RecordedEvent  # an approval, a correction or an addendum
    filed: Filed | None = None

    @property
    def whole(self) -> bool:
        """Return whether it is a whole document, not an addendum to one."""
        return not isinstance(self.signature.body, Addended)


@dataclass(frozen=True, slots=True)
class Case:
    """The state of a case: the fold of its events."""

    state: CaseState = "drafting"
    awaits: StepName | None = None  # the next step; None while a person's decision or nothing is awaited
    head: ChainHead = CHAIN_START
    review: ReviewRequested | None = None  # the open review, or the last one
    owner: str | None = None
    requested_at: datetime | None = None  # when that review was requested
    level: int = 0  # highest escalation level so far of the open review
    escalation_run: str | None = None  # id of the event that started it: the review request or a reassignment
    decision: RecordedEvent | None = None  # the approval or rejection
    rating: RecordedEvent | None = None  # the last one of the signed draft, by who signed it
    document: Filed | None = None  # the current whole document; addenda are among the entries
    entries: tuple[ChartEntry, ...] = ()  # every text that was signed for this discharge, oldest first
    earlier: tuple[ChartEntry, ...] = ()  # entries of earlier, retracted discharges of the stay
    retraction: RecordedEvent | None = None  # the request that waits for a second person, then the confirmation
    retracted: RetractionFiled | None = None
    failure: Failed | None = None
    hold: RecordedEvent | None = None  # nothing is erased while it is set
    ended: CaseState | None = None  # the state when an erasure was ordered
    erasure: RecordedEvent | None = None  # the last order to erase all texts
    erased_kinds: frozenset[TextKind] = frozenset()  # text kinds that were ordered to be erased
    reopened: bool = False  # by a discharge after a withdrawn or retracted one
    preparation: PreparationRequested | None = None  # the last request; None once it has ended, or at the discharge
    prepared: Prepared | None = None  # the last draft that was prepared before the discharge
    never_discharged: bool = False  # there was no discharge yet, only preparations

    @property
    def exists(self) -> bool:
        return self.head.sequence > 0

    @property
    def has_no_pending_step(self) -> bool:
        """Return whether no step works on the case: it has ended, or failed before anything was signed."""
        if self.awaits is not None or self.erasing or self.preparation is not None:
            return False
        return self.state in END_STATES or (self.state == "failed" and not self.entries)

    @property
    def erasing(self) -> bool:
        """Return whether an erasure was ordered and is not carried out; it may have failed."""
        return self.awaits == "erase" or (self.failure is not None and self.failure.step == "erase")

    @property
    def rateable(self) -> str | None:
        """Return the digest of the signed draft that may be rated; None without one, or once texts were erased."""
        decided = self.decision.body if self.decision is not None else None
        if not isinstance(decided, Approved) or self.state not in RATEABLE_STATES or self.erased_kinds:
            return None
        return None if is_known_from_chart_only(decided.draft) else decided.draft.digest

    @property
    def open(self) -> bool:
        return self.state == "awaiting-review"

    @property
    def editable(self) -> bool:
        """Return whether somebody may work on the draft: it is under review, or prepared before the discharge."""
        return self.open or (self.preparation is not None and self.prepared is not None)

    @property
    def shown(self) -> ReviewRequested | Prepared | None:
        """Return what readers are shown: the last review; before the discharge, the prepared draft."""
        return self.prepared if self.preparation is not None else self.review

    @property
    def shown_draft(self) -> DraftRef | None:
        return self.shown.draft if self.shown is not None else None

"""The steps of a case, each defined once: what it consumes, what it may append, and how it is retried.

Everything that depends on a step is derived from its definition: the filter of its consumer (`topology.py`), the rights
of its service (`permissions.py`), the type of its handler (`StepContext[...]`), and the AsyncAPI document.
"""

from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from shared.contracts.corrections import Addended, Amended, Retracted, RetractionFiled, RetractionRequested
from shared.contracts.events import (
    Approved,
    CaseEvent,
    Closed,
    ContextExtracted,
    Discharged,
    Drafted,
    Escalated,
    Failed,
    Filed,
    Reassigned,
    RedraftRequested,
    Reimported,
    Rejected,
    Retried,
    ReviewRequested,
    StepName,
    Withdrawn,
    name_of,
)
from shared.contracts.preparation import PreparationEnded, PreparationRequested, Prepared
from shared.contracts.ratings import Rated
from shared.contracts.retention import Erased, ErasureOrdered, HoldPlaced, HoldReleased
from shared.contracts.retry import BUS_ONLY, EHR_FOR_A_DAY, EHR_UNTIL_DONE, RetryPolicy

Consumed = TypeVar("Consumed", bound=CaseEvent, covariant=True)
Appended = TypeVar("Appended", bound=CaseEvent)


@dataclass(frozen=True)  # without slots, which a class with type arguments cannot be called by in Python 3.11
class StepDefinition(Generic[Consumed, Appended]):
    """A step of a case. The type arguments are the events that its handler is given, and those that it may return."""

    name: StepName
    consumer: str  # durable name of its consumer: the service, a dash, a word
    consumes: tuple[type[Consumed], ...]
    appends: tuple[type[Appended], ...]
    retry: RetryPolicy

    @property
    def service(self) -> str:
        return self.consumer.partition("-")[0]

    @property
    def consumed_names(self) -> tuple[str, ...]:
        return tuple(name_of(kind) for kind in self.consumes)


EXTRACT = StepDefinition[Discharged, ContextExtracted](
    "extract", "drafter-extract", (Discharged,), (ContextExtracted,), EHR_FOR_A_DAY
)
DRAFT = StepDefinition[ContextExtracted | RedraftRequested, Drafted](
    "draft",
    "drafter-draft",
    (ContextExtracted, RedraftRequested),
    (Drafted,),
    RetryPolicy(timeout=180, max_attempts=3, initial_interval=5),
)
REQUEST_REVIEW = StepDefinition[Drafted, ReviewRequested](
    "request-review", "approval-request", (Drafted,), (ReviewRequested,), EHR_FOR_A_DAY
)
FILE = StepDefinition[Approved | Amended | Addended | Retracted, Filed | RetractionFiled](
    "file", "approval-file", (Approved, Amended, Addended, Retracted), (Filed, RetractionFiled), EHR_UNTIL_DONE
)
SETTLE_REJECTION = StepDefinition[Rejected, RedraftRequested | Closed](
    "settle-rejection", "approval-settle", (Rejected,), (RedraftRequested, Closed), EHR_UNTIL_DONE
)
# Nobody waits for it: it is given up sooner than a draft, and the discharge makes its draft in any case.
PREPARE = StepDefinition[PreparationRequested, Prepared](
    "prepare",
    "drafter-prepare",
    (PreparationRequested,),
    (Prepared,),
    RetryPolicy(timeout=360, max_attempts=12, initial_interval=5, max_interval=600, alert_after=8),
)
ERASE = StepDefinition[ErasureOrdered, Erased]("erase", "approval-erase", (ErasureOrdered,), (Erased,), BUS_ONLY)

STEPS: tuple[StepDefinition[CaseEvent, Any], ...] = (
    EXTRACT,
    DRAFT,
    REQUEST_REVIEW,
    FILE,
    SETTLE_REJECTION,
    ERASE,
    PREPARE,
)

# What a service appends outside of its steps: for a person, the EHR, a timer or an operator.
APPENDED_OUTSIDE: dict[str, tuple[type[CaseEvent], ...]] = {
    "ingest": (Discharged, Withdrawn, PreparationRequested, PreparationEnded),
    "approval": (
        Escalated,
        Reassigned,
        Approved,
        Amended,
        Addended,
        RetractionRequested,
        Retracted,
        Rejected,
        Withdrawn,
        Retried,
        HoldPlaced,
        HoldReleased,
        ErasureOrdered,
        Reimported,
        PreparationEnded,
        Rated,
    ),
}


def step_named(name: StepName) -> StepDefinition[CaseEvent, Any]:
    return next(item for item in STEPS if item.name == name)


def appended_by(service: str) -> tuple[type[CaseEvent], ...]:
    """Return every event of a case that `service` may append. A service with a step may also append `failed`."""
    steps = [item for item in STEPS if item.service == service]
    own = [kind for item in steps for kind in item.appends]
    return (*own, *((Failed,) if steps else ()), *APPENDED_OUTSIDE.get(service, ()))

"""Time and memory of the list of all cases: `python -m bench.case_list --cases 100000`. In memory, without NATS."""

import json
import resource
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Annotated
from uuid import UUID

import typer

from services.approval.projections.case_index import CaseIndex
from services.approval.review.case_list import CaseFilter, page
from shared.contracts.envelope import CHAIN_START, encode
from shared.contracts.subjects import CaseRef
from shared.messaging.event_store import RawMessage
from shared.runtime.authentication import Caller
from tests.support.examples import event

COURSE = ("discharged", "context-extracted", "drafted", "review-requested", "approved", "filed")
DEPARTMENTS = 20
OPERATOR = Caller(subject="operator", role="operator")
SEARCHES = {
    "first page": CaseFilter(),
    "state that no case has": CaseFilter(state=("failed",)),
    "owner that nobody is": CaseFilter(owner="Practitioner/nobody"),
    "one encounter": CaseFilter(encounter="e5"),
    "signed, not in the chart": CaseFilter(unfiled=True),
}


def messages(cases: int) -> Iterator[RawMessage]:
    """Yield the events of `cases` cases: one in twenty is under way, the others are filed."""
    now, sequence = datetime(2026, 11, 29, tzinfo=UTC), 0
    made = [
        (name, *encode(CaseRef("x", "x"), event(name), id="i", source="s", time=now, after=CHAIN_START))
        for name in COURSE
    ]
    for number in range(cases):
        ref = CaseRef(f"department-{number % DEPARTMENTS}", str(UUID(int=number)))
        for name, headers, body in made[: len(COURSE) if number % 20 else 1 + number // 20 % len(COURSE)]:
            sequence += 1
            own = headers | {"ce-subject": f"{ref.department}/{ref.id}"}
            yield RawMessage(ref.subject(name), own, body.replace(b'"e1"', f'"e{number}"'.encode()), sequence)


def milliseconds(index: CaseIndex, wanted: CaseFilter) -> float:
    """Return the longest of five pages."""
    took = []
    for _ in range(5):
        begun = time.perf_counter()
        page(index, OPERATOR, wanted, None, 50)
        took.append(time.perf_counter() - begun)
    return round(max(took) * 1000, 1)


def main(cases: Annotated[int, typer.Option()] = 100_000) -> None:
    index, events, spent = CaseIndex(), 0, 0.0
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for message in messages(cases):
        begun = time.perf_counter()
        index._apply_message(message)
        spent += time.perf_counter() - begun
        events += 1
    memory = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    result = {"cases": cases, "events": events, "us an event": round(spent / events * 1e6, 1), "MB": round(memory, 1)}
    print(
        json.dumps(result | {f"ms, {name}": milliseconds(index, wanted) for name, wanted in SEARCHES.items()}, indent=2)
    )


if __name__ == "__main__":
    typer.run(main)

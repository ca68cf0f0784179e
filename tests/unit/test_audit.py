"""`audit verify` names the event that was changed, added, taken out or put elsewhere, and asks the chart."""

from dataclasses import replace
from typing import Any

import pytest

from cli.audit import Report, verify_stored
from services.approval import resources
from shared.contracts.envelope import START, Head, chain_digest, encode
from shared.contracts.events import Approved, Filed
from shared.messaging.journal import Stored
from tests.support.ehr import client, sandbox
from tests.support.examples import CASE, T0, event

NAMES = ("discharged", "context-extracted", "drafted", "review-requested", "approved", "filed")


def trail() -> list[Stored]:
    """A filed case, as the stream holds it."""
    found: list[Stored] = []
    after = START
    for sequence, name in enumerate(NAMES, start=1):
        headers, data = encode(CASE, event(name), id=f"id-{sequence}", source="x", time=T0, after=after)
        after = Head(sequence, chain_digest(headers, data))
        found.append(Stored(CASE.subject(name), headers, data, sequence))
    return found


async def verify(stored: list[Stored], head: str | None = None) -> Report:
    """With a chart whose Provenance carries `head`; by default the approval's digest."""
    of = sandbox()
    original = trail()[4]
    approved, filed = event("approved"), event("filed")
    assert isinstance(approved, Approved)
    assert isinstance(filed, Filed)
    head = head or chain_digest(original.headers, original.data)
    provenance = resources.provenance(approved, "doc-1", "dev-1", head, T0, T0)
    of.store.put(provenance | {"id": filed.provenance})
    return await verify_stored(stored, client(of))


async def test_an_untouched_trail_is_verified() -> None:
    report = await verify(trail())
    assert report.verified
    assert (report.cases, report.events) == (1, 6)


@pytest.mark.parametrize("index", range(5))
async def test_a_changed_body_is_named_at_the_event_after_it(index: int) -> None:
    stored = trail()
    changed = stored[index].data.replace(b'"version":1', b'"version": 1')
    stored[index] = replace(stored[index], data=changed)
    report = await verify(stored)
    assert not report.verified
    assert (NAMES[index + 1], index + 2) in {(fault.event, fault.sequence) for fault in report.faults}


@pytest.mark.parametrize("header", ["ce-time", "ce-id", "ce-source"])
async def test_a_changed_attribute_is_found(header: str) -> None:
    stored = trail()
    value = "2020-01-01T00:00:00+00:00" if header == "ce-time" else "other"
    stored[2] = replace(stored[2], headers=stored[2].headers | {header: value})
    assert [fault.event for fault in (await verify(stored)).faults] == ["review-requested"]


async def test_an_event_that_was_taken_out_is_found() -> None:
    stored = trail()
    del stored[2]
    assert [fault.event for fault in (await verify(stored)).faults] == ["review-requested"]


async def test_two_events_that_changed_places_are_found() -> None:
    stored = trail()
    stored[1], stored[2] = stored[2], stored[1]
    assert not (await verify(stored)).verified


async def test_a_trail_rewritten_from_end_to_end_is_given_away_by_the_chart() -> None:
    report = await verify(trail(), head="0" * 64)
    (fault,) = report.faults
    assert (fault.event, "another digest" in fault.reason) == ("approved", True)


async def test_a_provenance_that_is_gone_is_said_so() -> None:
    report = await verify_stored(trail(), client(sandbox()))
    (fault,) = report.faults
    assert "does not show the Provenance" in fault.reason
    as_json: dict[str, Any] = report.as_dict()
    assert as_json["verified"] is False

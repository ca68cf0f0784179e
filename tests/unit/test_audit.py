"""`audit verify` names the event that was changed, added, taken out or put elsewhere, and asks the chart."""

from dataclasses import replace
from typing import Any
from unittest.mock import patch

import pytest

from cli.audit import VerificationReport, verify_stored
from services.approval.filing import signed_resources
from services.approval.filing.renditions import chart
from shared.contracts.envelope import CHAIN_START, ChainHead, chain_digest, encode, sha256_hex
from shared.contracts.events import Approved, Filed
from shared.messaging.event_store import RawMessage
from tests.support.ehr import client, sandbox
from tests.support.examples import CASE, T0, event

NAMES = ("discharged", "context-extracted", "drafted", "review-requested", "approved", "filed")


LETTER = b"The letter."


def trail() -> list[RawMessage]:
    """A filed case, as the stream holds it."""
    found: list[RawMessage] = []
    after = CHAIN_START
    for sequence, name in enumerate(NAMES, start=1):
        body = event(name)
        if name == "approved":
            body = body.model_copy(update={"signed": sha256_hex(LETTER)})
        headers, data = encode(CASE, body, id=f"id-{sequence}", source="x", time=T0, after=after)
        after = ChainHead(sequence, chain_digest(headers, data))
        found.append(RawMessage(CASE.subject(name), headers, data, sequence))
    return found


async def verify(stored: list[RawMessage], head: str | None = None, text: bytes = LETTER) -> VerificationReport:
    """With a chart whose Provenance carries `head`, by default the approval's digest, and whose document is `text`."""
    of = sandbox()
    original = trail()[4]
    approved, filed = event("approved"), event("filed")
    assert isinstance(approved, Approved)
    assert isinstance(filed, Filed)
    head = head or chain_digest(original.headers, original.data)
    provenance = signed_resources.provenance(approved, "doc-1", "dev-1", head, T0, T0)
    of.store.put(provenance | {"id": filed.provenance})
    document = signed_resources.document(CASE, approved, chart.contents({"text/plain": text}, T0), "dev-1", T0)
    of.store.put(document | {"id": filed.document_reference})
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
    fault, *follows = (await verify(stored)).faults
    assert (fault.event, "digest of the event before it" in fault.reason) == ("review-requested", True)
    assert all("does not fit" in item.reason for item in follows)


async def test_the_text_of_a_trail_of_before_renditions_is_held_against_the_signature() -> None:
    (fault,) = (await verify(trail(), text=b"NOT WHAT WAS SIGNED")).faults
    assert (fault.event, "text/plain" in fault.reason) == ("filed", True)


async def test_what_the_document_holds_beside_is_named() -> None:
    more = chart.contents({**RENDITIONS, "text/html": b"Take all of it at once."}, T0)
    assert await verify_renditions(held={"content": more}) == [
        "the document in the EHR holds what was not filed: text/html"
    ]


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
    provenance, document = report.faults
    assert "does not show the Provenance" in provenance.reason
    assert "does not show the document" in document.reason
    as_json: dict[str, Any] = report.as_dict()
    assert as_json["verified"] is False


RENDITIONS = {"text/plain": b"The letter.", "application/pdf": b"%PDF-"}
DIGESTS = {name: sha256_hex(data) for name, data in RENDITIONS.items()}
BINARY = {"resourceType": "Binary", "id": "b1", "contentType": "application/pdf", "data": "JVBERi0="}


async def verify_renditions(
    *, named: dict[str, str] = DIGESTS, held: dict[str, Any] | None = None, signed: str = DIGESTS["text/plain"]
) -> list[str]:
    """Faults of a filed case with renditions, whose Provenance names `named` and whose document holds `held`."""
    approved = event("approved").model_copy(update={"signed": signed})
    filed = event("filed").model_copy(update={"renditions": DIGESTS})
    bodies = [*(event(name) for name in NAMES[:4]), approved, filed]
    stored, after = [], CHAIN_START
    for sequence, body in enumerate(bodies, start=1):
        headers, data = encode(CASE, body, id=f"id-{sequence}", source="x", time=T0, after=after)
        after = ChainHead(sequence, chain_digest(headers, data))
        stored.append(RawMessage(CASE.subject(body.event), headers, data, sequence))
    of = sandbox()
    assert isinstance(approved, Approved)
    assert isinstance(filed, Filed)
    head = chain_digest(stored[4].headers, stored[4].data)
    made = signed_resources.provenance(approved, "doc-1", "dev-1", head, T0, T0, chart.entities(named))
    of.store.put(made | {"id": filed.provenance})
    document = signed_resources.document(CASE, approved, chart.contents(RENDITIONS, T0), "dev-1", T0)
    of.store.put(document | {"id": filed.document_reference} | (held or {}))
    ehr = client(of)
    read = ehr.read

    async def with_binary(type: str, id: str) -> dict[str, Any]:
        return BINARY if (type, id) == ("Binary", "b1") else await read(type, id)

    with patch.object(ehr, "read", with_binary):
        return [fault.reason for fault in (await verify_stored(stored, ehr)).faults]


def contents_with(url: str) -> dict[str, Any]:
    """The document as an EHR shows it that puts what is large into a resource of its own."""
    text, pdf = chart.contents(RENDITIONS, T0)
    moved = {name: value for name, value in pdf["attachment"].items() if name != "data"}
    return {"content": [text, {"attachment": moved | {"url": url}}]}


async def test_renditions_that_agree_are_verified() -> None:
    assert await verify_renditions() == []
    assert await verify_renditions(held=contents_with("Binary/b1")) == []


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"named": {"text/plain": DIGESTS["text/plain"]}}, "names other renditions"),
        ({"held": {"content": chart.contents({"text/plain": b"The letter."}, T0)}}, "no application/pdf"),
        ({"held": {"content": chart.contents(RENDITIONS | {"text/plain": b"Another."}, T0)}}, "the text/plain of"),
        ({"held": contents_with("Binary/gone")}, "the application/pdf of"),
        ({"held": contents_with("https://elsewhere/x")}, "the application/pdf of"),
        ({"held": {"content": [None, {"attachment": "x"}]}}, "no text/plain"),
        ({"signed": "0" * 64}, "not the one that was signed"),
    ],
)
async def test_a_rendition_that_is_not_what_was_filed_is_named(changed: dict[str, Any], words: str) -> None:
    assert any(words in reason for reason in await verify_renditions(**changed))

"""Envelope, chain, subjects, facts from outside, and the schemas that others build on."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.contracts import schemas
from shared.contracts.ehr import parse_encounter_reported
from shared.contracts.envelope import CHAIN_START, ChainHead, RecordedEvent, chain_digest, decode, encode
from shared.contracts.errors import PermanentError
from shared.contracts.events import EVENT_TYPES, CaseEvent
from shared.contracts.subjects import case_id, encounter_subject, parse_case_subject, parse_encounter_subject
from tests.support.chain import broken_link
from tests.support.examples import CASE, EVENTS, T0, event

RECORDED = Path(__file__).parents[1] / "contracts"


def stored(body: CaseEvent, after: ChainHead = CHAIN_START, id: str = "id-1") -> tuple[str, dict[str, str], bytes]:
    headers, data = encode(CASE, body, id=id, source="drafter", time=T0, after=after)
    return CASE.subject(body.event), headers, data


@pytest.mark.parametrize("body", EVENTS, ids=lambda body: body.event)
def test_every_event_comes_back_as_it_was_sent(body: CaseEvent) -> None:
    subject, headers, data = stored(body, ChainHead(4, "f" * 64))
    found = decode(subject, headers, data, 5)
    assert (found.body, found.case, found.id, found.time, found.prevdigest) == (body, CASE, "id-1", T0, "f" * 64)
    assert found.head == ChainHead(5, chain_digest(headers, data))


@pytest.mark.parametrize("body", EVENTS, ids=lambda body: body.event)
def test_every_event_comes_back_without_what_may_be_absent(body: CaseEvent) -> None:
    optional = [name for name, field in type(body).model_fields.items() if not field.is_required()]
    nullable = {name: None for name in optional if type(body).model_fields[name].default is None}
    bare = body.model_copy(update=nullable)
    subject, headers, data = stored(bare)
    assert decode(subject, headers, data, 1).body == bare


def test_what_may_be_none_may_be_absent() -> None:
    for kind in EVENT_TYPES:
        for name, field in kind.model_fields.items():
            assert "None" not in str(field.annotation) or not field.is_required(), f"{kind.__name__}.{name}"


def test_examples_cover_every_event_type() -> None:
    assert {type(body) for body in EVENTS} == set(EVENT_TYPES)


@pytest.mark.parametrize("file", sorted(RECORDED.glob("*.v*.json")), ids=lambda file: file.stem)
def test_events_recorded_by_earlier_versions_still_decode(file: Path) -> None:
    recorded = json.loads(file.read_text())
    found = decode(recorded["subject"], recorded["headers"], recorded["data"].encode(), recorded["sequence"])
    assert found.head.digest == recorded["digest"]


def test_every_event_type_is_recorded_in_its_current_version() -> None:
    wanted = {f"{body.event}.v{body.version}" for body in EVENTS}
    assert wanted <= {file.stem for file in RECORDED.glob("*.json")}


@pytest.mark.parametrize("name", ["ce-id", "ce-type", "ce-source", "ce-time", "ce-subject", "ce-prevdigest"])
def test_a_changed_attribute_changes_the_digest(name: str) -> None:
    _, headers, data = stored(event("filed"), ChainHead(1, "0" * 64))
    assert chain_digest(headers | {name: "other"}, data) != chain_digest(headers, data)


def test_transport_headers_are_not_part_of_the_digest() -> None:
    _, headers, data = stored(event("filed"))
    sent = headers | {"Nats-Msg-Id": "x", "traceparent": "00-1-2-01"}
    assert chain_digest(sent, data) == chain_digest(headers, data)


@given(st.binary(max_size=200))
def test_a_changed_body_is_found_by_the_event_after_it(data: bytes) -> None:
    first = stored(event("discharged"), id="1")
    head = ChainHead(1, chain_digest(first[1], first[2]))
    second = stored(event("context-extracted"), head, id="2")
    chain: list[RecordedEvent] = [decode(*first, 1), decode(*second, 2)]
    assert broken_link(chain) is None
    if data != first[2]:
        assert chain_digest(first[1], data) != chain[1].prevdigest


@pytest.mark.parametrize(
    ("subject", "headers", "data"),
    [
        ("discharge.cardiology.c1", {}, b"{}"),
        (CASE.subject("filed"), {}, b'{"event":"filed"}'),
        (CASE.subject("filed"), stored(event("filed"))[1], b"not json"),
        (CASE.subject("closed"), stored(event("filed"))[1], stored(event("filed"))[2]),
        (f"discharge.other.{CASE.id}.filed", stored(event("filed"))[1], stored(event("filed"))[2]),
    ],
    ids=["subject", "no headers", "no json", "other event", "other department"],
)
def test_what_breaks_the_contract_is_refused(subject: str, headers: dict[str, str], data: bytes) -> None:
    with pytest.raises(PermanentError):
        decode(subject, headers, data, 1)


def test_the_same_encounter_is_the_same_case_and_another_organization_is_not() -> None:
    assert case_id("o1", "e1") == case_id("o1", "e1")
    assert len({case_id("o1", "e1"), case_id("o2", "e1"), case_id("o1", "e2")}) == 3


@given(st.from_regex(r"\A[A-Za-z0-9\-.]{1,64}\Z"))
def test_any_fhir_id_fits_into_a_subject(encounter: str) -> None:
    subject = encounter_subject("discharged", "cardiology", encounter)
    assert len(subject.split(".")) == 5
    assert parse_encounter_subject(subject) == ("discharged", "cardiology", encounter)


@pytest.mark.parametrize("subject", ["ehr.encounter.discharged.e1", "ehr.encounter.discharged.UPPER.e1", "x"])
def test_other_ehr_subjects_are_refused(subject: str) -> None:
    with pytest.raises(PermanentError):
        parse_encounter_subject(subject)


def test_case_subjects_come_apart() -> None:
    assert parse_case_subject(CASE.subject("filed")) == (CASE, "filed")


def test_an_engine_may_send_more_than_we_ask_for() -> None:
    data = b'{"encounter_id": "e.1", "vendor": {"x": 1}, "occurred_at": "2026-11-23T09:00:00Z"}'
    fact = parse_encounter_reported("ehr.encounter.discharged.cardiology.e%2E1", data)
    assert (fact.encounter_id, fact.department, fact.occurred_at) == ("e.1", "cardiology", T0)


@pytest.mark.parametrize(
    ("data", "word"),
    [
        (b"junk", "body"),
        (b'{"encounter_id": "e1", "occurred_at": "yesterday"}', "occurred_at"),
        (b'{"encounter_id": "other"}', "encounter_id"),
        (b'{"encounter_id": "e1", "department": "surgery"}', "department"),
        (b'{"encounter_id": "e1", "attending": "Patient/p1"}', "attending"),
        (b'{"encounter_id": "e1", "occurred_at": "2026-11-23T09:00:00"}', "occurred_at"),
    ],
)
def test_a_bad_fact_is_refused_by_the_name_of_its_field(data: bytes, word: str) -> None:
    with pytest.raises(PermanentError, match=word):
        parse_encounter_reported("ehr.encounter.discharged.cardiology.e1", data)


def test_refusals_never_quote_values() -> None:
    with pytest.raises(PermanentError) as refused:
        parse_encounter_reported(
            "ehr.encounter.discharged.cardiology.e1", b'{"encounter_id": "e1", "occurred_at": "Jane Doe 1950"}'
        )
    assert "Jane" not in refused.value.reason


def test_json_schemas_are_those_of_the_code() -> None:
    written = {file.stem: json.loads(file.read_text()) for file in schemas.FOLDER.glob("*.json")}
    assert written == json.loads(json.dumps(schemas.generate())), "run: make contracts"

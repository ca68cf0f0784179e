"""Every wire sample is answered and understood as its index says, whole and in pieces of any size."""

import hashlib
from collections.abc import Sequence
from datetime import datetime

import pytest

from services.ingest.hl7.receive import FrameOutcome
from shared.hl7.message import messages_in
from tests.support.hl7 import NOW, Sample, received, samples

# The index's effects, as one message can tell them: it does not know whether a case is open, or the patient right.
EFFECTS = {"opens": ("opens",), "withdraws": ("withdraws",), "ignored": ("ignored", "opens", "withdraws")}


def said(outcome: FrameOutcome) -> bytes | None:
    return outcome.answer(lambda: "own-1", NOW)


def check(sample: Sample, found: Sequence[FrameOutcome]) -> None:
    expected = sample.expected
    answers = [messages_in(answer)[0] for outcome in found if (answer := said(outcome)) is not None]
    codes = [answer.value("MSA", 1) for answer in answers]
    assert codes in [expected["acks"], *expected.get("acks_or", [])]
    assert [answer.value("MSA", 2) for answer in answers] == expected.get("ids", [])
    if "err" in expected:
        assert answers[0].value("ERR", 3) in expected["err"]
    assert len(found) == len(expected["effects"])
    for outcome, effect in zip(found, expected["effects"], strict=True):
        fact = outcome.assessment.fact
        told = effect.get("told", [])
        if effect["effect"] == "refused":
            assert (outcome.assessment.problem is not None) == ("sender" in told)
            assert outcome.is_broken or outcome.assessment.problem is not None or fact is not None
            continue
        assert outcome.assessment.effect in EFFECTS[effect["effect"]]
        if effect["effect"] == "opens":
            assert fact is not None
            assert fact.department == effect["department"]
            assert fact.occurred_at == datetime.fromisoformat(effect["occurred_at"])
            assert outcome.assessment.died == fact.died == effect["died"]


@pytest.mark.parametrize("size", [None, 1, 7, 64])
def test_every_sample_is_answered_and_understood(size: int | None) -> None:
    sender, found = samples()
    for sample in found:
        check(sample, received(sample.data, sender, size))


def test_a_resend_is_the_same_fact_and_a_reused_control_id_is_not() -> None:
    sender, found = samples()
    key = {}
    for sample in found:
        facts = [outcome.assessment.fact for outcome in received(sample.data, sender)]
        key[sample.name[:2]] = [fact.key for fact in facts if fact is not None]
    assert key["01"] == key["03"]
    assert key["01"] != key["04"]
    assert key["13"] == key["15"]  # under another control id
    assert key["06"] != key["14"]


def test_facts_name_patients_by_digest_only() -> None:
    sender, found = samples()
    for sample in found:
        for outcome in received(sample.data, sender):
            fact = outcome.assessment.fact
            if fact is None or outcome.message is None:
                continue
            text = fact.model_dump_json()
            mrns = {outcome.message.component(item, 1) for item in outcome.message.repetitions("PID", 3)}
            names = set(outcome.message.value("PID", 5, number) for number in (1, 2))
            visit = fact.visit.value if fact.visit is not None else ""
            assert not [item for item in mrns | names if item and item in text.replace(visit, "")]
    mrn = hashlib.sha256(b"http://hospital.example.org/identifiers/mrn|POP-000159").hexdigest()
    first = received(found[0].data, sender)[0].assessment.fact
    assert first is not None
    assert first.patients == (mrn,)

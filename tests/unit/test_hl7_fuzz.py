"""Mutated MLLP frames: nothing escapes, every whole frame is answered or counted, and no name leaves the reader.

COUNTERSIGN_THOROUGH=200 pytest tests/unit/test_hl7_fuzz.py: 100,000 frames.
"""

import logging
import random

import pytest

from services.ingest.hl7.adt import census_visit
from services.ingest.hl7.receive import FrameOutcome, is_empty_batch, outcomes
from shared.hl7.mllp import BrokenFrame, Deframer, Frame, OversizedFrame, Received, frame
from tests.support.effort import THOROUGH
from tests.support.hl7 import NOW, adt, sender
from tests.support.mutation import mutated

FRAMES = 500 * THOROUGH
NAME = "Zzyzxfamily"
EVENTS = ("A03", "A13", "A08", "A01", "A40", "A16", "ZZZ")
PIECES = (
    b"|",
    b"^",
    b"~",
    b"\\",
    b"&",
    b"\r",
    b"\n",
    b"\x0b",
    b"\x1c",
    b"\x1c\r",
    b"\0",
    b"\xef\xbb\xbf",
    b"MSH",
    b"\xff\xfe",
)
PIECES = (*PIECES, b"BHS|^~\\&\r", b'""', b"20260230999999", b"\x0bMSH|^~\\&|", b"PV1|1|I\r", b"9" * 300)


def _messages(shuffle: random.Random) -> bytes:
    event = shuffle.choice(EVENTS)
    return adt(event, PID_5=f"{NAME}^Jane", MRG_1=f"{NAME}^^^HOSP^MR", NK1_2=NAME, PV1_7=f"1^{NAME}")


def _feed(data: bytes, shuffle: random.Random) -> list[Received]:
    deframer, found, start = Deframer(), list[Received](), 0
    while start < len(data):
        size = shuffle.choice((1, 7, 64, len(data)))
        found += deframer.feed(data[start : start + size])
        start += size
    return [*found, *deframer.close()]


def _is_whole(outcome: FrameOutcome) -> bool:
    return outcome.message is not None and not outcome.assessment.is_answer


@pytest.mark.timeout(60 + FRAMES // 100)
def test_mutated_frames_are_answered_or_counted_and_show_no_name(caplog: pytest.LogCaptureFixture) -> None:
    shuffle, who, answered, broken = random.Random(), sender(practitioner_system="urn:people"), 0, 0
    seed = shuffle.randrange(2**32)
    shuffle.seed(seed)
    caplog.set_level(logging.DEBUG)
    for number in range(FRAMES):
        content = mutated(_messages(shuffle), PIECES, shuffle)
        data = mutated(frame(content), PIECES, shuffle) if shuffle.random() < 0.3 else frame(content)
        try:
            for received in _feed(data, shuffle):
                assert isinstance(received, Frame | BrokenFrame | OversizedFrame)
                found = list(outcomes(received, [who], NOW))
                for outcome in found:
                    said = outcome.answer(lambda: "1", NOW)
                    answered += said is not None
                    broken += outcome.is_broken
                    if outcome.assessment.fact is not None:
                        assert NAME not in _known(outcome), "a name is in the fact"
                    if outcome.assessment.problem is not None:
                        assert NAME not in repr(outcome.assessment.problem)
                    if outcome.message is not None and outcome.assessment.problem is None:
                        census_visit(outcome.message, outcome.sender)
                if isinstance(received, Frame) and not found:
                    assert is_empty_batch(received.content), "a whole frame without an outcome"
        except Exception as error:
            error.add_note(f"seed {seed}, frame {number}: {data!r}")
            raise
    assert min(answered, broken) > 0, "the mutations are too weak or too strong to test anything"
    assert NAME not in caplog.text


def _known(outcome: FrameOutcome) -> str:
    """The fact without what identifies: a mutation may move a name into the visit's or the attending's number."""
    fact = outcome.assessment.fact
    assert fact is not None
    return repr(fact.model_copy(update={"visit": None, "attending": None}))

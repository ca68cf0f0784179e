"""What is read from a decision, and what a decision says nothing about."""

from datetime import timedelta

import pytest

from services.evaluator.decision_signals import SIGNALS, TESTED, decision_of, measure
from shared.contracts.case_values import EditCount, Edits, Resolution
from shared.contracts.draft import AnswerFigures
from shared.contracts.envelope import CHAIN_START, RecordedEvent
from shared.contracts.events import Approved, CaseEvent, Drafted, ReadingFigures, Rejected, RejectionAction
from shared.contracts.subjects import CaseRef
from tests.support.examples import DIGEST, PHYSICIAN, STAY, T0, draft_ref

DAY = 86_400.0


def recorded(body: CaseEvent, after: float = 0.0) -> RecordedEvent:
    time = T0 + timedelta(seconds=after)
    return RecordedEvent(CaseRef("icu", "c1"), "e1", "countersign/x", time, "", body, CHAIN_START, None)


def drafted(answer: AnswerFigures | None = None, sentences: int = 4) -> RecordedEvent:
    return recorded(
        Drafted(
            stay=STAY, draft=draft_ref(), sentences=sentences, unsupported=2, encounter_status="finished", answer=answer
        )
    )


def approved(edits: Edits | None = None, resolutions: tuple[Resolution, ...] = ()) -> Approved:
    return Approved(
        stay=STAY,
        draft=draft_ref(),
        signed=DIGEST,
        edited=edits is not None,
        by=PHYSICIAN,
        edits=edits,
        resolutions=resolutions,
    )


def rejected(action: RejectionAction) -> Rejected:
    return Rejected(
        stay=STAY, draft=draft_ref(), action=action, reason=DIGEST, by=PHYSICIAN, encounter_status="finished"
    )


def signals(draft: RecordedEvent, decided: CaseEvent, seconds: float = 0.0) -> dict[str, float]:
    decision = decision_of(draft, recorded(decided, seconds))
    assert decision is not None
    return measure(decision)


def test_a_draft_that_was_signed_as_it_is() -> None:
    assert signals(drafted(), approved()) == {
        "rejected": 0,
        "replaced": 0,
        "changed": 0,
        "redraft": 0,
        "confirmed": 0,
        "corrected": 0,
        "waited": 0,
    }


@pytest.mark.parametrize(
    ("reading", "read", "unread"),
    [
        (ReadingFigures(seconds=180, parts_viewed=4, parts=4), 0.75, 0.0),
        (ReadingFigures(seconds=20, parts_viewed=1, parts=4), 0.25, 0.0),
        (ReadingFigures(seconds=9, parts_viewed=4, parts=4), 9 / 69, 1.0),
        (ReadingFigures(seconds=60, parts_viewed=0, parts=4), 0.5, 1.0),
    ],
)
def test_how_long_the_page_was_in_front(reading: ReadingFigures, read: float, unread: float) -> None:
    found = signals(drafted(), approved().model_copy(update={"reading": reading}))
    assert (found["read"], found["unread"]) == (pytest.approx(read), unread)


def test_a_draft_that_was_edited() -> None:
    resolutions = (Resolution(sentence=0, how="confirmed"), Resolution(sentence=1, how="changed"))
    answer = AnswerFigures(supported=5, contradicted=1, not_in_record=2)
    found = signals(
        drafted(answer),
        approved(Edits(distance=300, changed=(1,)), (*resolutions, Resolution(sentence=2, how="removed"))),
    )
    assert (found["replaced"], found["changed"]) == (0.25, 0.75)
    assert (found["confirmed"], found["corrected"]) == (0.25, 0.5)
    assert (found["contradicted"], found["not-in-record"]) == (0.125, 0.25)


@pytest.mark.parametrize(("action", "redraft"), [("redraft", 1.0), ("close", 0.0)])
def test_a_draft_that_was_rejected_says_nothing_about_edits(action: RejectionAction, redraft: float) -> None:
    assert signals(drafted(), rejected(action), DAY) == {"rejected": 1, "redraft": redraft, "waited": 0.5}


def test_edits_by_part_are_those_of_a_signed_draft_that_were_counted() -> None:
    counted = (EditCount(part="medications", kind="fact-added", count=2),)
    rewritten = approved(Edits(distance=9, counts=counted)).model_copy(update={"narrative": "physician"})
    decisions: list[tuple[CaseEvent, tuple[EditCount, ...] | None]] = [
        (approved(Edits(distance=9, counts=counted)), counted),
        (approved(), ()),
        (approved(Edits(distance=9)), None),  # signed by a version that did not count them
        (rewritten, None),
        (rejected("redraft"), None),
    ]
    for decided, edits in decisions:
        decision = decision_of(drafted(), recorded(decided))
        assert decision is not None
        assert decision.edits == edits


def test_no_decision_about_a_draft() -> None:
    assert decision_of(drafted(), recorded(rejected("withdraw"))) is None
    assert decision_of(recorded(approved()), recorded(approved())) is None


def test_a_model_that_wrote_nothing_and_a_draft_without_sentences() -> None:
    found = signals(drafted(AnswerFigures(), sentences=0), approved(Edits(distance=10, changed=(0,))))
    assert not {"contradicted", "not-in-record", "confirmed", "corrected"} & found.keys()
    assert found["replaced"] == 0


def test_every_figure_is_from_0_to_1_and_two_clocks_may_differ() -> None:
    answer = AnswerFigures(contradicted=9)
    edits = Edits(distance=10**6, changed=tuple(range(30)))
    resolutions = tuple(Resolution(sentence=index % 9, how="changed") for index in range(30))
    found = signals(drafted(answer), approved(edits, resolutions), -DAY)
    assert found.keys() >= set(TESTED)
    assert all(0 <= value <= 1 for value in found.values())
    assert found["waited"] == 0
    assert len({item.name for item in SIGNALS}) == len(SIGNALS)

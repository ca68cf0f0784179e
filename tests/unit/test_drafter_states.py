"""Which configuration drafts, after any sequence of moves."""

from collections.abc import Callable
from datetime import timedelta
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.contracts import drafter_states as states
from shared.contracts.case_values import Actor
from shared.contracts.drafter_states import DocumentDrafters, TransitionRefusedError, apply
from shared.contracts.drafters import (
    DrafterConfiguration,
    DrafterEvent,
    DrafterSampling,
    PromptText,
    RecordedDrafterEvent,
)
from shared.contracts.envelope import ChainHead
from tests.support.examples import T0

DOCUMENT = "discharge-summary"
WHO = Actor(subject="ml", role="operator")
DIGESTS = tuple(letter * 64 for letter in "abcd")
A, B, C, _ = DIGESTS
PROMPT = PromptText(name="p", version=1, text="{facts}\n", max_tokens=10)
CASES = [f"case-{number}" for number in range(2000)]


MOVES: dict[str, Callable[[DocumentDrafters, str], DrafterEvent | None]] = {
    "declare": states.declare,
    "add": partial(states.add, by=WHO, reason="x"),
    "shadow": partial(states.start_shadow, by=WHO, reason="x"),
    "canary": partial(states.start_canary, share=0.5, by=WHO, reason="x"),
    "promote": partial(states.promote, by=WHO, reason="x"),
    "rollback": partial(states.roll_back, by=WHO, reason="x"),
    "retire": partial(states.retire, by=WHO, reason="x"),
}


def after(now: DocumentDrafters, event: DrafterEvent | None) -> DocumentDrafters:
    """The state after one more event; the same where there is none."""
    if event is None:
        return now
    sequence = now.head.sequence + 1
    head = ChainHead(sequence, f"digest-{sequence}")
    time = T0 + timedelta(seconds=sequence)
    record = RecordedDrafterEvent(DOCUMENT, f"e{sequence}", "countersign/x", time, now.head.digest, event, head)
    return apply(now, record)


def declared(*digests: str, now: DocumentDrafters | None = None) -> DocumentDrafters:
    now = now or DocumentDrafters(DOCUMENT)
    for digest in digests:
        now = after(now, states.declare(now, digest))
    return now


def added(now: DocumentDrafters, digest: str) -> DocumentDrafters:
    return after(now, states.add(now, digest, WHO, "try it"))


def state_of(now: DocumentDrafters, digest: str) -> str:
    return now.entries[digest].state


def test_what_the_settings_declare_drafts_until_a_person_chooses() -> None:
    now = declared(A, B)
    assert (state_of(now, A), state_of(now, B)) == ("retired", "live")
    now = added(now, C)
    now = after(now, states.promote(now, C, WHO, "better"))
    now = declared(A, now=now)
    assert now.live is not None
    assert now.live.configuration == C  # a restart with other settings does not undo what a person decided
    assert states.declare(now, A) is None


def test_settings_decide_again_once_they_declare_what_is_live() -> None:
    now = added(declared(A), B)
    now = after(now, states.promote(now, B, WHO, "better"))
    now = declared(B, C, now=now)
    assert (state_of(now, C), state_of(now, B)) == ("live", "retired")


def test_a_canary_drafts_its_share_and_a_case_keeps_its_drafter() -> None:
    now = added(declared(A), B)
    now = after(now, states.start_canary(now, B, 0.1, WHO, "try it"))
    first = [now.assign(case) for case in CASES]
    assert 0.07 < sum(found == (B, "canary") for found in first) / len(CASES) < 0.13
    wider = after(now, states.start_canary(now, B, 0.5, WHO, "more"))
    for case, found in zip(CASES, first, strict=True):
        assert found == now.assign(case)
        assert found == (A, "live") or wider.assign(case) == found  # who had the canary keeps it
    other = after(now, states.roll_back(now, B, WHO, "worse"))
    other = added(other, C)
    other = after(other, states.start_canary(other, C, 0.1, WHO, "try it"))
    both = zip(first, map(other.assign, CASES), strict=True)
    same = sum((one, then) == ((B, "canary"), (C, "canary")) for one, then in both)
    assert same < 60  # of some 200: the next canary gets other cases


def test_a_rollback_that_is_repeated_changes_nothing() -> None:
    now = added(declared(A), B)
    now = after(now, states.promote(now, B, WHO, "better"))
    now = after(now, states.roll_back(now, B, WHO, "worse"))
    assert (state_of(now, A), state_of(now, B)) == ("live", "candidate")
    assert states.roll_back(now, B, WHO, "worse") is None
    with pytest.raises(TransitionRefusedError, match="no other configuration was live before"):
        states.roll_back(now, A, WHO, "worse")


@pytest.mark.parametrize("repeated", ["add", "shadow", "canary", "promote", "retire", "declare"])
def test_a_move_that_is_repeated_changes_nothing(repeated: str) -> None:
    now = added(declared(A), B)
    now = after(now, MOVES[repeated](now, B))
    assert MOVES[repeated](now, B) is None


def test_what_the_state_does_not_allow_says_why() -> None:
    now = added(added(declared(A), B), C)
    now = after(now, states.start_canary(now, B, 0.2, WHO, "x"))
    for move, words in (
        (lambda: states.start_canary(now, C, 0.2, WHO, "x"), "is the canary"),
        (lambda: states.start_canary(now, A, 0.2, WHO, "x"), "only a candidate"),
        (lambda: states.promote(now, C, WHO, "x"), "roll it back first"),
        (lambda: states.retire(now, B, WHO, "x"), "promote another one"),
        (lambda: states.retire(now, A, WHO, "x"), "it is live"),
        (lambda: states.roll_back(now, A, WHO, "x"), "roll it back first"),
        (lambda: states.roll_back(now, C, WHO, "x"), "drafts nothing"),
        (lambda: states.start_shadow(now, B, WHO, "x"), "only a candidate"),
        (lambda: states.promote(now, "e" * 64, WHO, "x"), "there is no configuration"),
    ):
        with pytest.raises(TransitionRefusedError, match=words):
            move()


@given(st.lists(st.tuples(st.sampled_from(sorted(MOVES)), st.sampled_from(DIGESTS)), max_size=30))
def test_one_is_live_and_at_most_one_is_a_canary(moves: list[tuple[str, str]]) -> None:
    now = declared(A)
    for name, digest in moves:
        try:
            event = MOVES[name](now, digest)
        except TransitionRefusedError:
            continue
        now = after(now, event)
        found = [entry.state for entry in now.entries.values()]
        assert found.count("live") == 1
        assert found.count("canary") <= 1
        assert found.count("shadow") <= 1
        assert now.assign("case-1") is not None


def test_a_configuration_is_known_by_everything_that_decides_the_text() -> None:
    one = DrafterConfiguration(document=DOCUMENT, model="drafter", prompt=PROMPT)
    others = (
        one.model_copy(update={"document": "death-summary"}),
        one.model_copy(update={"model": "other"}),
        one.model_copy(update={"served": "openai m 2"}),
        one.model_copy(update={"policy": "marked"}),
        one.model_copy(update={"sampling": DrafterSampling(temperature=0.5)}),
        *(
            one.model_copy(update={"prompt": PROMPT.model_copy(update=change)})
            for change in ({"text": "{facts}!\n"}, {"stop": ("x",)}, {"max_tokens": 11}, {"version": 2})
        ),
    )
    assert len({one.digest, *(item.digest for item in others)}) == len(others) + 1
    assert DrafterConfiguration.read(one.stored()) == one


def test_the_digest_of_a_configuration_never_changes() -> None:
    """Drafts name configurations by it: a change of the stored form would make every one of them unknown."""
    one = DrafterConfiguration(document=DOCUMENT, model="drafter", prompt=PROMPT)
    assert one.stored() == (
        b'{"document":"discharge-summary","model":"drafter",'
        b'"prompt":{"name":"p","version":1,"text":"{facts}\\n","max_tokens":10}}'
    )


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("version: 1\nstop: x\nmax_tokens: 5\n", "no line ====="),
        ("version: 1\nstop: x\nmax_tokens: 5\n=====\nno facts", "no placeholder"),
        ("version: one\nstop: x\nmax_tokens: 5\n=====\n{facts}", "invalid literal"),
        ("version: 1\nstop: x\nmax_tokens: 0\n=====\n{facts}", "max_tokens"),
    ],
)
def test_a_prompt_file_that_is_wrong_says_so(content: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        PromptText.parse("p", content)


def test_a_baseline_is_reset_of_what_is_live_and_of_nothing_else() -> None:
    now = declared(A)
    assert (now.live, now.live and now.live.began) == (now.entries[A], 1)
    now = after(now, states.add(now, B, WHO, "x"))
    with pytest.raises(TransitionRefusedError, match="not live"):
        states.reset_baseline(now, B, WHO, "x")
    reset = after(now, states.reset_baseline(now, A, WHO, "new ward"))
    assert reset.live is not None
    assert (reset.live.began, reset.live.since, reset.live.by) == (3, now.entries[A].since, now.entries[A].by)
    late = after(after(now, states.promote(now, B, WHO, "x")), states.reset_baseline(now, A, WHO, "late"))
    assert late.live is not None
    assert (late.live.configuration, late.live.began) == (B, 3)  # it was replaced in the meantime

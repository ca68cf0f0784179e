"""What a run of the proof does follows from its seed alone."""

from collections import Counter

from tests.proof.faults import KINDS, SHARES, schedule
from tests.proof.model_server import ANSWERS, answer_to
from tests.proof.plans import PLANS, choose

TARGETS = ["ehr", "provider", "ingest", "drafter", "approval", "nats"]


def test_the_same_seed_gives_the_same_plans_and_every_plan_comes() -> None:
    assert choose(200, 7) == choose(200, 7) != choose(200, 8)
    for number in (len(PLANS), 200, 10_000):
        counts = Counter(plan.name for plan in choose(number, 7))
        assert counts.total() == number
        assert set(counts) == {plan.name for plan in PLANS}
    shares = {plan.name: plan.share for plan in PLANS}
    assert sum(shares.values()) == 100
    assert all(abs(count / 100 - shares[name]) < 2 for name, count in counts.items())


def test_the_same_seed_hurts_the_same_in_the_same_order() -> None:
    faults = schedule(7, 1000, 100, 2, TARGETS)
    assert faults == schedule(7, 1000, 100, 2, TARGETS) != schedule(8, 1000, 100, 2, TARGETS)
    kinds = Counter(fault.kind for fault in faults)
    assert (kinds["kill"], kinds["restore"]) == (100, 2)
    assert set(kinds) == {"kill", "restore", *KINDS} == {"kill", "restore", *SHARES}
    assert {fault.target for fault in faults if fault.kind == "kill"} == set(TARGETS)
    assert [fault.at for fault in faults] == sorted(fault.at for fault in faults)
    assert faults[-1].at < 1000, "the last comes while cases are under way"


def test_the_model_server_gives_every_answer() -> None:
    answers = Counter(answer_to(f"prompt {number}".encode()) for number in range(500))
    assert set(answers) == {text for _, text in ANSWERS}

"""A short proof: `make proof` with few cases, on the real Triton (docs/explanation/fault-testing.md).

A longer one, or other kills: `make proof PROOF="--cases 500 --kills 40 --seed 7"`.
"""

import os
from pathlib import Path

import pytest

from tests.proof.plans import PLANS
from tests.proof.run import Options, prove

pytestmark = [
    pytest.mark.chaos,
    pytest.mark.triton,
    pytest.mark.timeout(400),
    pytest.mark.xdist_group("processor"),
]


async def test_nothing_is_lost_doubled_or_altered_while_everything_is_killed(tmp_path: Path) -> None:
    seed = int(os.environ.get("COUNTERSIGN_CHAOS_SEED", "20261123"))
    options = Options(cases=24, kills=6, restores=0, seed=seed, at_once=20, clocks="4s,8s,12s", triton=True)
    outcome = await prove(options, tmp_path)
    assert outcome.holds, outcome.violations
    figures = outcome.figures
    assert figures["cases"] == 24
    assert len(PLANS) <= 24, "each plan comes at least once"
    assert figures["faults"]["kill"] == 6
    assert set(figures["killed"]) == {"ehr", "provider", "ingest", "drafter", "approval", "nats"}
    assert figures["checkpoints"] > 0

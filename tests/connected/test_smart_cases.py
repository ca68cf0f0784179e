"""Cases whose EHR gives tokens that end within seconds: none of them fails, and nothing is read or written without one.

`COUNTERSIGN_THOROUGH=100 pytest tests/connected/test_smart_cases.py`: a thousand cases with tokens of five seconds.
"""

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest

from sandbox_ehr.seed import seed
from sandbox_ehr.store import Store
from shared.contracts.retry import RetryPolicy
from shared.messaging.dead_letters import read_all
from tests.support.effort import THOROUGH
from tests.support.patients import write_stays
from tests.support.server import NatsServer
from tests.support.smart import SmartEhr
from tests.support.stack import Stack, running

pytestmark = pytest.mark.connected

CASES = 6 if THOROUGH == 1 else 10 * THOROUGH
AT_ONCE = 6
LIFE_S = 5.0
# Each request takes that many seconds longer on the clock of tokens and server, so that few cases outlive many tokens,
# however fast the machine is.
REQUEST_S = 0.1 if THOROUGH == 1 else 0.0
TO_FILED = ["discharged", "context-extracted", "drafted", "review-requested", "approved", "filed"]


async def filed(stack: Stack, encounter: str, turns: asyncio.Semaphore) -> str:
    async with turns:
        case_id = await stack.discharge(encounter)
        await stack.reaches(case_id, "awaiting-review")
        assert (await stack.decide(case_id, "approve")).status_code == 200
        await stack.reaches(case_id, "filed")
        return case_id


@pytest.mark.timeout(120 * THOROUGH)
async def test_no_case_fails_while_tokens_end_all_the_time(
    nats: NatsServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(RetryPolicy, "wait", lambda row, attempt: 0.05)
    stays = tmp_path / "stays"
    stays.mkdir()
    encounters, store = write_stays(stays, CASES, most=3), Store()
    seed(store, folder=stays)
    begun, sent = time.monotonic(), 0

    def clock() -> float:
        return 1_800_000_000 + time.monotonic() - begun + REQUEST_S * sent

    ehr = SmartEhr(tmp_path, LIFE_S, clock, store)
    allows = ehr.server.allows

    def counted(*request: Any) -> int:
        nonlocal sent
        sent += 1
        return allows(*request)

    monkeypatch.setattr(ehr.server, "allows", counted)
    await nats.provision()
    async with running(nats, ehr.sandbox, connect=lambda _: ehr.client()) as stack:
        turns = asyncio.Semaphore(AT_ONCE)
        tasks = [asyncio.create_task(filed(stack, encounter, turns)) for encounter in encounters]
        ehr.server.revoke_all()
        cases = await asyncio.gather(*tasks)
        assert [await stack.events(case_id) for case_id in cases] == [TO_FILED] * CASES
        assert len(stack.in_chart("DocumentReference")) == CASES
        bus = await nats.connect("operator")
        assert await read_all(bus) == {}
        await bus.close()
    lives = (clock() - 1_800_000_000) / LIFE_S
    assert ehr.server.issued >= 4, "the cases outlived several tokens"
    assert ehr.server.issued <= 2 * (2 * lives + 2), "one token for each process and life, not one for each request"
    assert ehr.server.forbidden == 0, "the scopes that are requested are all that are needed"

"""Texts are held against records in a process of their own, which may end at any time."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from typing import cast

import psutil
import pytest

from services.approval.review import record_check
from services.approval.review.added_text import Statement, statements
from services.approval.review.record_check import RecordChecker
from shared.contracts.draft import Draft
from shared.contracts.errors import TransientError
from shared.messaging.artifacts import CaseTexts
from shared.runtime import worker_process
from shared.runtime.problems import ProblemError
from tests.unit.test_added_text import CONTEXT, DRAFT, RECORD

pytestmark = pytest.mark.slow

ADDED = (
    "She takes amlodipine 10 mg once daily.",
    "She was given warfarin 5 mg. She is allergic to penicillin.",
    "Ärztin Ünal saw her – no “new” findings.",
)


class Texts:
    """The one artifact that the check reads; `gets` counts how often."""

    def __init__(self) -> None:
        self.gets = 0

    async def get(self, digest: str) -> bytes:
        assert digest == DRAFT.context_digest
        self.gets += 1
        return CONTEXT.model_dump_json().encode()


@pytest.fixture
async def checks() -> AsyncIterator[RecordChecker]:
    found = RecordChecker()
    yield found
    await found.close()


async def written(checks: RecordChecker, texts: Texts, *added: str, by: str = "jane") -> tuple[Statement, ...]:
    return await checks.check(cast(CaseTexts, texts), DRAFT, with_(*added), by)


def with_(*added: str, draft: Draft = DRAFT) -> str:
    return draft.text + "".join(f"{line}\n" for line in added)


def worker_of(checks: RecordChecker) -> psutil.Process:
    assert checks.worker.process is not None
    return psutil.Process(checks.worker.process.pid)


async def test_the_process_says_what_the_rules_say_and_reads_a_record_once(checks: RecordChecker) -> None:
    texts = Texts()
    assert await written(checks, texts) == ()
    assert checks.worker.process is None
    for number in range(1, len(ADDED) + 1):
        expected = statements(DRAFT, with_(*ADDED[:number]), RECORD)
        assert expected
        found = await written(checks, texts, *ADDED[:number])
        assert found == expected
        assert [item.digest for item in found] == [item.digest for item in expected]
    assert texts.gets == 1


async def test_a_killed_process_is_started_again_and_nothing_passes_unchecked(
    checks: RecordChecker,
) -> None:
    texts = Texts()
    await written(checks, texts, ADDED[0])
    worker = worker_of(checks)
    worker.suspend()
    asked = asyncio.create_task(written(checks, texts, *ADDED))
    await asyncio.wait([asked], timeout=0.1)
    worker.kill()
    with pytest.raises(TransientError):
        await asked
    assert len(await written(checks, texts, *ADDED, by="john")) == len(statements(DRAFT, with_(*ADDED), RECORD))
    assert texts.gets == 2


async def test_who_goes_away_leaves_the_process_to_the_others(checks: RecordChecker) -> None:
    texts = Texts()
    await written(checks, texts, ADDED[0])
    worker = worker_of(checks)
    worker.suspend()
    asked = asyncio.create_task(written(checks, texts, *ADDED))
    await asyncio.wait([asked], timeout=0.1)
    asked.cancel()
    worker.resume()
    assert await written(checks, texts, ADDED[1])
    assert worker_of(checks).pid == worker.pid


async def test_a_check_that_does_not_end_is_given_up(checks: RecordChecker, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = Texts()
    await written(checks, texts, ADDED[0])
    worker = worker_of(checks)
    os.kill(worker.pid, signal.SIGSTOP)
    monkeypatch.setattr(record_check, "CHECK_TIMEOUT_S", 0.2)
    with pytest.raises(TransientError):
        await written(checks, texts, *ADDED)
    assert not worker.is_running() or worker.status() == psutil.STATUS_ZOMBIE
    # What it took is on the account of whoever sent it, and of nobody else.
    with pytest.raises(ProblemError) as refused:
        await written(checks, texts, ADDED[1])
    assert refused.value.status == 429
    monkeypatch.undo()
    assert await written(checks, texts, ADDED[1], by="john")


async def test_the_process_gives_way_and_has_no_secrets(checks: RecordChecker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COUNTERSIGN_MASTER_KEY", "secret")
    await written(checks, Texts(), ADDED[0])
    worker = worker_of(checks)
    assert worker.nice() >= 10
    assert "COUNTERSIGN_MASTER_KEY" not in worker.environ()


async def test_an_answer_that_is_too_large_is_an_error_that_is_known(
    checks: RecordChecker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_process, "MAX_ANSWER_BYTES", 10)
    with pytest.raises(TransientError):
        await written(checks, Texts(), ADDED[0])

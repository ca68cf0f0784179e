"""Check what physicians type against the record, in a separate process (`record_check_worker.py`)."""

import asyncio
from typing import Any
from weakref import WeakValueDictionary

from pydantic import TypeAdapter

from services.approval.review.added_text import Statement
from shared.contracts.draft import Draft
from shared.contracts.errors import TransientError
from shared.messaging.artifacts import CaseTexts
from shared.runtime.rate_limits import TokenBucket
from shared.runtime.worker_process import AnswerTooLargeError, WorkerEndedError, WorkerProcess

WORKER = "services.approval.review.record_check_worker"
STATEMENTS = TypeAdapter(tuple[Statement, ...])
CHECK_TIMEOUT_S = 60.0  # seconds for one text: the process has a low priority, and a long record is indexed first
# Seconds of the processor for one person's texts: the first look at a long text takes two, a change some milliseconds.
SECONDS, SECONDS_A_SECOND = 6, 0.1


class RecordChecker:
    """Checks texts one at a time, in a worker process that starts with the first text."""

    def __init__(self) -> None:
        self.worker = WorkerProcess(WORKER)
        self._time = TokenBucket("texts", SECONDS, SECONDS_A_SECOND)
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._asked: set[asyncio.Task[tuple[Statement, ...]]] = set()

    async def check(self, texts: CaseTexts, draft: Draft, text: str, by: str) -> tuple[Statement, ...]:
        """Check the sentences of `text` that `draft` does not have against the record that it was made from.

        That is the artifact of `texts` that the draft names.

        Texts are checked one at a time; each person has at most one in the queue. Raises Problem 429 when `by` has used
        up their processor time, TransientError when the check fails or times out.
        """
        if text == draft.text:
            return ()
        # A cancelled request must not stop the process: it holds other callers' records.
        task = asyncio.create_task(self._in_turn(texts, draft, text, by))
        self._asked.add(task)
        task.add_done_callback(self._asked.discard)
        return await asyncio.shield(task)

    async def close(self) -> None:
        await self.worker.close()

    async def _in_turn(self, texts: CaseTexts, draft: Draft, text: str, by: str) -> tuple[Statement, ...]:
        async with self._turns.setdefault(by, asyncio.Lock()):
            await self._time.admit(by, counted=False)
            try:
                answer = await self._answer(texts, draft, text)
            except (AnswerTooLargeError, WorkerEndedError, TimeoutError) as error:
                self._time.spend(by, SECONDS)
                raise TransientError(f"the check of the text did not end ({type(error).__name__})") from None
            self._time.spend(by, answer["seconds"])
        return STATEMENTS.validate_python(answer["statements"])

    async def _answer(self, texts: CaseTexts, draft: Draft, text: str) -> dict[str, Any]:
        request = {"context": draft.context_digest, "draft": draft.model_dump_json(), "text": text}
        answer: dict[str, Any] = await self.worker.ask(request, seconds=CHECK_TIMEOUT_S)
        if answer.get("unknown"):
            context = await texts.get(draft.context_digest)
            answer = await self.worker.ask(request, context, seconds=CHECK_TIMEOUT_S)
        return answer

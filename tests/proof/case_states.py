"""Where every case is, read from the trail as it grows: what plans wait for."""

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

from tests.proof.checker.collect import streams
from tests.proof.checker.evidence import Message

POLL_INTERVAL_S = 0.25  # seconds
Wanted = Callable[[list[str]], bool]


class CaseStates:
    """The names of each case's events, oldest first, and what plans need of their bodies."""

    def __init__(self, url: str, seed: str, ca_file: Path | None = None) -> None:
        self._url, self._seed, self._ca_file = url, seed, ca_file
        self.events: defaultdict[str, list[str]] = defaultdict(list)
        self.case_of: dict[str, str] = {}  # encounter → case
        self.task_of: dict[str, str] = {}  # case → the Task of its last review
        self._changed = asyncio.Event()
        self._next = 1

    async def run(self) -> None:
        """Until it is cancelled. A server that is away is waited for."""
        while True:
            with contextlib.suppress(Exception):
                async with streams(self._url, self._seed, self._ca_file) as read:
                    while True:
                        for message in await read.page("DISCHARGE", self._next):
                            self._take(message)
                        self._wake()
                        await asyncio.sleep(POLL_INTERVAL_S)
            await asyncio.sleep(POLL_INTERVAL_S)

    def _take(self, message: Message) -> None:
        _, _, case, name = message.subject.split(".")
        self._next = message.sequence + 1
        self.events[case].append(name)
        if name in ("discharged", "preparation-requested"):
            self.case_of[str(message.body["encounter_id"])] = case
        if name == "review-requested":
            self.task_of[case] = str(message.body.get("task") or "")

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    async def opened(self, encounter: str) -> str:
        """The encounter's case, once there is one."""
        while encounter not in self.case_of:
            await self._changed.wait()
        return self.case_of[encounter]

    async def until(self, case: str, wanted: Wanted) -> None:
        while not wanted(self.events[case]):
            await self._changed.wait()

    async def reach(self, case: str, name: str, times: int = 1) -> None:
        await self.until(case, lambda names: names.count(name) >= times)

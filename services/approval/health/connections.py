"""Check what approval sends to and who signs people in: EHR, receiver of documents, identity provider, collector.

The results are kept for a while, for all callers together: the checks ask other people's servers.
"""

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable
from time import monotonic

from services.approval.health.rules import assess_write_back
from services.approval.settings import ApprovalSettings
from shared.contracts.errors import CountersignError
from shared.http import HttpClient
from shared.runtime.checks.addresses import TIMEOUT_S, check_document_receiver, check_telemetry
from shared.runtime.checks.ehr import check_access
from shared.runtime.checks.findings import Finding, Group
from shared.runtime.checks.sign_on import check_sign_on

logger = logging.getLogger(__name__)

KEPT_S = 30.0
SIGN_ON_KEPT_S = 300.0  # the provider logs a refused code at each check
AGAIN = "ask again in some seconds"


class KeptCheck:
    """A check whose result is kept for `seconds`; callers at the same time share one run."""

    def __init__(self, what: str, check: Callable[[], Awaitable[Group]], seconds: float, clock: Callable[[], float]):
        self.what = what
        self._check = check
        self._seconds = seconds
        self._clock = clock
        self._run: asyncio.Task[Group] | None = None
        self._at = 0.0

    def run(self) -> asyncio.Task[Group]:
        """Return the present run; a new one where its result is too old."""
        if self._run is None or (self._run.done() and self._clock() - self._at >= self._seconds):
            self._run, self._at = asyncio.create_task(self._started()), self._clock()
        return self._run

    async def close(self) -> None:
        if self._run is not None:
            self._run.cancel()
            await asyncio.wait((self._run,))

    async def _started(self) -> Group:
        return await self._check()


class ConnectionChecks:
    """The checks by the settings of approval. They send no document, and sign nobody in."""

    def __init__(self, settings: ApprovalSettings, clock: Callable[[], float] = monotonic) -> None:
        self._settings = settings
        self._checks = (
            KeptCheck("EHR", self._ehr, KEPT_S, clock),
            KeptCheck("identity provider", self._sign_on, SIGN_ON_KEPT_S, clock),
            KeptCheck("receiver of documents and collector", self._addresses, KEPT_S, clock),
        )

    async def findings(self, patience_s: float) -> list[Finding]:
        """Return the findings; of a server that does not answer within `patience_s` seconds, that it is not known."""
        runs = [(check.what, check.run()) for check in self._checks]
        await asyncio.wait([run for _, run in runs], timeout=patience_s)
        found, late = [], Group("connections")
        for what, run in runs:
            if not run.done():
                late.unknown(what, f"no answer within {patience_s:g} s", AGAIN)
            elif (error := run.exception()) is not None:  # the other checks count nevertheless
                logger.error("the check of %s failed", what, exc_info=error)
                late.unknown(what, f"its check failed ({type(error).__name__})", "see the log of approval")
            else:
                found += run.result().found
        return [*found, *late.found]

    async def close(self) -> None:
        for check in self._checks:
            await check.close()

    async def _ehr(self) -> Group:
        group, settings = Group("connections"), self._settings
        try:
            async with _client() as http:
                found = await check_access(group, http, settings.ehr.url, settings.ehr.authorization)
        except CountersignError as failure:
            group.fault("EHR", failure.reason, "see the log of approval")
            return group
        if found is not None:
            assess_write_back(group, settings.write_back, found.capabilities, settings.mdm)
        return group

    async def _sign_on(self) -> Group:
        group, settings = Group("connections"), self._settings
        try:
            async with _client() as http:
                await check_sign_on(group, http, settings)
        except CountersignError as failure:
            group.fault("identity provider", failure.reason, "see docs/how-to/sign-on.md")
        return group

    async def _addresses(self) -> Group:
        group = Group("connections")
        await check_document_receiver(group, self._settings.mdm)
        async with _client() as http:
            await check_telemetry(group, http, os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT", ""))
        return group


def _client() -> HttpClient:
    return HttpClient(timeout=TIMEOUT_S, follow_redirects=False)

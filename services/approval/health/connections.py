"""Check what approval sends to and who signs people in: EHR, receiver of documents, identity provider, collector.

The result is kept for half a minute, for all callers together: the checks ask other people's servers.
"""

import asyncio
import os
from collections.abc import Callable
from time import monotonic

from services.approval.health.rules import assess_write_back
from services.approval.settings import ApprovalSettings
from shared.contracts.errors import CountersignError
from shared.http import HttpClient
from shared.runtime.checks.addresses import TIMEOUT_S, check_document_receiver, check_telemetry
from shared.runtime.checks.ehr import check_access
from shared.runtime.checks.findings import Finding, Group
from shared.runtime.checks.sign_on import check_sign_on

CACHE_S = 30.0
AGAIN = "ask again in some seconds"


class ConnectionChecks:
    """The checks by the settings of approval. They send no document, and sign nobody in."""

    def __init__(self, settings: ApprovalSettings, clock: Callable[[], float] = monotonic) -> None:
        self._settings = settings
        self._clock = clock
        self._asked: asyncio.Task[list[Finding]] | None = None
        self._at = 0.0

    async def findings(self, patience_s: float) -> list[Finding]:
        """Return the findings, or that they are not there yet after `patience_s` seconds."""
        if self._asked is None or (self._asked.done() and self._clock() - self._at >= CACHE_S):
            self._asked, self._at = asyncio.create_task(self._check()), self._clock()
        done, _ = await asyncio.wait((self._asked,), timeout=patience_s)
        if done:
            return self._asked.result()
        group = Group("connections")
        group.unknown("connections", f"other servers have not answered within {patience_s:g} s", AGAIN)
        return group.found

    async def close(self) -> None:
        if self._asked is not None:
            self._asked.cancel()
            await asyncio.wait((self._asked,))

    async def _check(self) -> list[Finding]:
        async with HttpClient(timeout=TIMEOUT_S, follow_redirects=False) as http:
            found = await asyncio.gather(self._ehr(http), self._sign_on(http), self._addresses(http))
        return [finding for group in found for finding in group.found]

    async def _ehr(self, http: HttpClient) -> Group:
        group, settings = Group("connections"), self._settings
        try:
            found = await check_access(group, http, settings.ehr.url, settings.ehr.authorization)
        except CountersignError as failure:
            group.fault("EHR", failure.reason, "see the log of approval")
            return group
        if found is not None:
            assess_write_back(group, settings.write_back, found.capabilities, settings.mdm)
        return group

    async def _sign_on(self, http: HttpClient) -> Group:
        group, settings = Group("connections"), self._settings
        try:
            await check_sign_on(group, http, settings)
        except CountersignError as failure:
            group.fault("identity provider", failure.reason, "see docs/how-to/sign-on.md")
        return group

    async def _addresses(self, http: HttpClient) -> Group:
        group = Group("connections")
        await check_document_receiver(group, self._settings.mdm)
        await check_telemetry(group, http, os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT", ""))
        return group

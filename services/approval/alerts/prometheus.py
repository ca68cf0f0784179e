"""Ask a Prometheus which alerts fire: its rules with their state, by its HTTP API.

Rules and not `/api/v1/alerts`, which answers alike when nothing fires and when no rule is loaded.
https://prometheus.io/docs/prometheus/latest/querying/api/#rules
"""

import asyncio
from pathlib import Path

import httpx

from services.approval.alerts.catalogue import CATALOGUE
from services.approval.alerts.rules import AlertReport, read_rules
from shared.contracts.errors import TransientError
from shared.http import HttpClient

DEADLINE_S = 4.0  # seconds for the whole answer: a person waits for the page
MOST_BYTES = 4 << 20  # of an answer; a rule with its alerts has about a kilobyte


class PrometheusAlerts:
    """`url`: that of Prometheus, empty where none is connected. `token_file`: has the bearer token, read each time."""

    def __init__(self, url: str, token_file: Path | None, http: HttpClient) -> None:
        self._url = url.rstrip("/")
        self._token_file = token_file
        self._http = http

    @property
    def connected(self) -> bool:
        return bool(self._url)

    async def report(self) -> AlertReport:
        """Return which alerts of Countersign fire. Raises TransientError where that cannot be known."""
        if not self._url:
            raise TransientError("alerts are not connected: COUNTERSIGN_PROMETHEUS_URL is not set")
        try:
            async with asyncio.timeout(DEADLINE_S):
                return read_rules(await self._ask())
        except TimeoutError:
            raise TransientError(f"Prometheus does not answer within {DEADLINE_S:g} s") from None
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise TransientError(f"Prometheus does not answer ({type(error).__name__})") from None
        except (OSError, ValueError) as error:
            raise TransientError(f"the token for Prometheus cannot be read ({type(error).__name__})") from None

    async def close(self) -> None:
        await self._http.aclose()

    async def _ask(self) -> bytes:
        token = (await asyncio.to_thread(self._token_file.read_text)).strip() if self._token_file else ""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        params = {"type": "alert", "rule_name[]": list(CATALOGUE)}  # an older server returns all rules
        async with self._http.stream("GET", f"{self._url}/api/v1/rules", params=params, headers=headers) as answer:
            if answer.status_code != 200:
                raise TransientError(f"Prometheus answered HTTP {answer.status_code}")
            found = bytearray()
            async for chunk in answer.aiter_bytes():
                found += chunk
                if len(found) > MOST_BYTES:
                    raise TransientError(f"Prometheus's answer has more than {MOST_BYTES >> 20} MB")
        return bytes(found)

"""Post a message to an endpoint: to a checked address, without redirects, within a deadline."""

import asyncio
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import httpx

from services.approval.event_feed.message import MEDIA_TYPE
from services.approval.webhooks.rules import DeliveryOutcome, WebhookAddresses, classify_response
from services.approval.webhooks.signing import signed_headers
from shared.http import HttpClient
from shared.messaging.steps import Clock
from shared.outbound import CheckedTransport, NotAllowedError
from shared.runtime.version import VERSION

DEADLINE_S = 10.0  # from the name's resolution to the answer's headers; the answer's body is not read


@dataclass(frozen=True, slots=True)
class Answer:
    """What a request led to. `status` None: no answer; the verdict's reason says why."""

    verdict: DeliveryOutcome
    status: int | None
    seconds: float


class WebhookSender:
    """`transport` replaces the network, for tests; `timer` returns seconds."""

    def __init__(
        self,
        addresses: WebhookAddresses,
        clock: Clock,
        timer: Callable[[], float] = time.monotonic,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self.addresses = addresses
        self._clock = clock
        self._timer = timer
        self._http = HttpClient(transport=transport or CheckedTransport(addresses), timeout=DEADLINE_S)

    async def post(self, url: str, id: str, event: dict[str, Any], secrets: Sequence[bytes]) -> Answer:
        """Send one event, and return what became of it. It raises nothing that the endpoint causes."""
        body = json.dumps(event, separators=(",", ":")).encode()
        headers = {"content-type": MEDIA_TYPE, "user-agent": f"countersign/{VERSION}"}
        headers |= signed_headers(secrets, id, self._clock(), body)
        begun, status = self._timer(), None
        try:
            self.addresses.check_url(url)  # what is allowed may have changed since it was registered
            async with asyncio.timeout(DEADLINE_S):
                async with self._http.stream("POST", url, content=body, headers=headers) as response:
                    status = response.status_code
                    verdict = classify_response(status, response.headers, self._clock())
        except NotAllowedError as refused:
            verdict = DeliveryOutcome("retry", f"not sent: {refused}")
        except TimeoutError:
            verdict = DeliveryOutcome("retry", f"no answer within {DEADLINE_S:g} s")
        except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as error:
            # Its text may quote the URL, or what the endpoint sent.
            verdict = DeliveryOutcome("retry", f"no answer ({type(error).__name__})")
        return Answer(verdict, status, round(self._timer() - begun, 3))

    async def close(self) -> None:
        await self._http.aclose()

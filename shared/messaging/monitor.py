"""What nats-server says of itself on its monitoring address.

https://docs.nats.io/running-a-nats-service/nats_admin/monitoring
"""

from dataclasses import dataclass

import httpx

from shared.contracts.failures import TransientError

TIMEOUT = 3.0


@dataclass(frozen=True, slots=True)
class Durability:
    """How the server keeps what it has acknowledged."""

    sync_always: bool  # on disk before it is acknowledged


async def read_durability(url: str) -> Durability:
    """Ask the server at `url`, such as `http://127.0.0.1:8222`. Raises TransientError when it does not answer."""
    try:
        async with httpx.AsyncClient(timeout=TIMEOUT, trust_env=False) as http:
            answer = (await http.get(f"{url.rstrip('/')}/jsz")).raise_for_status()
            return Durability(sync_always=bool(answer.json()["config"].get("sync_always")))
    except (httpx.HTTPError, ValueError, KeyError) as error:
        raise TransientError(f"NATS monitoring does not answer ({type(error).__name__})") from None

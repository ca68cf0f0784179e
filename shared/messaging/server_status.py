"""Status of nats-server, from its monitoring endpoint.

https://docs.nats.io/running-a-nats-service/nats_admin/monitoring
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import httpx

from shared.contracts.errors import TransientError
from shared.http import HttpClient

TIMEOUT = 3.0


@dataclass(frozen=True, slots=True)
class ServerStatus:
    """How durable acknowledged writes are. The server does not say whether its store is encrypted."""

    sync_always: bool  # every acknowledged write is on disk first
    auth_required: bool
    servers: int  # of the cluster's meta group; 1 where there is no cluster
    single: tuple[str, ...]  # streams that only one server holds, in a cluster
    version: str
    now: datetime  # the server's clock
    stored: int  # bytes
    may_store: int  # bytes: the limit that it was given, or found
    certificate_ends: datetime | None = None  # of the certificate that it shows to clients; None: no TLS


async def read_durability(url: str) -> ServerStatus:
    """Read the server's status. `url` is the base of the monitoring endpoint, such as http://nats:8222.

    Raises TransientError when it does not answer.
    """
    async with HttpClient(base_url=url.rstrip("/"), timeout=TIMEOUT) as http:
        try:
            server = (await http.get("/varz")).raise_for_status().json()
            options = {"streams": "true", "config": "true", "accounts": "true"}
            store = (await http.get("/jsz", params=options)).raise_for_status().json()
        except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
            raise TransientError(f"NATS's monitoring endpoint does not answer ({type(error).__name__})") from None
    return durability(server, store)


def durability(server: dict[str, Any], store: dict[str, Any]) -> ServerStatus:
    """Return the status from the responses of `/varz` and `/jsz`."""
    config = store.get("config") or {}
    servers = (store.get("meta_cluster") or {}).get("cluster_size", 1)
    streams = [item for account in store.get("account_details") or () for item in account.get("stream_detail") or ()]
    single = [item["name"] for item in streams if servers > 1 and item.get("config", {}).get("num_replicas", 1) == 1]
    return ServerStatus(
        sync_always=bool(config.get("sync_always")),
        auth_required=bool(server.get("auth_required")),
        servers=servers,
        single=tuple(sorted(single)),
        version=str(server.get("version", "")),
        now=datetime.fromisoformat(server["now"]),
        stored=int(store.get("storage", 0)),
        may_store=int(config.get("max_storage", 0)),
        certificate_ends=datetime.fromisoformat(ends) if (ends := server.get("tls_cert_not_after")) else None,
    )

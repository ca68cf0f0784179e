"""Streams and consumers as nats-server reports them on its monitoring endpoint: `/jsz`.

A server may have accounts of several hospitals. Ours is the one whose stream DISCHARGE was created when ours was.

https://docs.nats.io/running-a-nats-service/nats_admin/monitoring
"""

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import httpx

from shared.contracts.errors import TransientError
from shared.http import HttpClient
from shared.messaging.server_status import TIMEOUT, ServerStatus, durability
from shared.messaging.topology import all_consumers

OPTIONS = {"streams": "true", "consumers": "true", "config": "true", "accounts": "true"}
MARKER = "DISCHARGE"  # the stream by which an account is recognised
BUCKET = "KV_"


@dataclass(frozen=True, slots=True)
class StreamStatus:
    """A stream or bucket. `last_at`: when its last message was stored. `leader`: None where no server leads it."""

    name: str
    messages: int
    bytes: int
    last_at: datetime | None
    replicas: int
    leader: str | None


@dataclass(frozen=True, slots=True)
class ConsumerStatus:
    """A consumer of ours. `pending`: not delivered yet. `in_flight`: delivered, not acknowledged.

    `redelivered`: of those in flight, delivered more than once. `waiting`: open pull requests of workers. `follower`:
    the server that reports is not its leader, so `pending` may be late, and `waiting` is not known.
    """

    name: str
    stream: str
    pending: int
    in_flight: int
    redelivered: int
    waiting: int
    paused: bool
    follower: bool
    last_delivered_at: datetime | None


@dataclass(frozen=True, slots=True)
class BrokerStatus:
    """What one server reports. `missing`: consumers of the topology that it does not have."""

    name: str
    server: ServerStatus
    streams: tuple[StreamStatus, ...]
    consumers: tuple[ConsumerStatus, ...]
    missing: tuple[str, ...]


async def read_broker_status(url: str, created: datetime) -> BrokerStatus:
    """Read the status of our account; `created` is when our stream DISCHARGE was created.

    Raises TransientError where the endpoint does not answer, or where the server does not have our account's streams.
    """
    async with HttpClient(base_url=url.rstrip("/"), timeout=TIMEOUT) as http:
        try:
            server = (await http.get("/varz")).raise_for_status().json()
            store = (await http.get("/jsz", params=OPTIONS)).raise_for_status().json()
        except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
            raise TransientError(f"NATS's monitoring endpoint does not answer ({type(error).__name__})") from None
    return broker_status(server, store, created)


def broker_status(server: dict[str, Any], store: dict[str, Any], created: datetime) -> BrokerStatus:
    """Return the status from the responses of `/varz` and `/jsz`. Raises TransientError. Pure."""
    accounts = [account.get("stream_detail") or [] for account in store.get("account_details") or ()]
    ours = [streams for streams in accounts if any(_is_marker(item, created) for item in streams)]
    if len(ours) != 1:
        raise TransientError("the server of NATS's monitoring endpoint does not have the streams of this installation")
    name = str(server.get("server_name", ""))
    same = server.get("server_id") == store.get("server_id")  # a load balancer may have asked two servers
    expected = {item.name: item for item in all_consumers()}
    found = {
        item["name"]: _consumer(item, name if same else "")
        for stream in ours[0]
        for item in stream.get("consumer_detail") or ()
        if item["name"] in expected and expected[item["name"]].stream == stream["name"]
    }
    return BrokerStatus(
        name=name,
        server=durability(server, store | {"account_details": [{"stream_detail": ours[0]}]}),
        streams=tuple(sorted(map(_stream, ours[0]), key=lambda item: (item.name.startswith(BUCKET), item.name))),
        consumers=tuple(found[item] for item in expected if item in found),
        missing=tuple(item for item in expected if item not in found),
    )


def _is_marker(item: dict[str, Any], created: datetime) -> bool:
    return item["name"] == MARKER and parse_time(item["created"]) == created


def parse_time(text: str) -> datetime:
    """Return a time of the server in microseconds: it reports up to nine digits of a second."""
    return datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", text))


def _time(text: str | None) -> datetime | None:
    return None if not text or text.startswith("0001") else parse_time(text)


def _stream(item: dict[str, Any]) -> StreamStatus:
    state, cluster = item["state"], item.get("cluster")
    return StreamStatus(
        name=item["name"],
        messages=int(state["messages"]),
        bytes=int(state["bytes"]),
        last_at=_time(state.get("last_ts")),
        replicas=int((item.get("config") or {}).get("num_replicas") or 1),
        leader=(cluster.get("leader") or None) if cluster else "",
    )


def _consumer(item: dict[str, Any], server: str) -> ConsumerStatus:
    cluster = item.get("cluster") or {}
    return ConsumerStatus(
        name=item["name"],
        stream=item["stream_name"],
        pending=int(item.get("num_pending") or 0),
        in_flight=int(item.get("num_ack_pending") or 0),
        redelivered=int(item.get("num_redelivered") or 0),
        waiting=int(item.get("num_waiting") or 0),
        paused=bool(item.get("paused")),
        follower=bool(cluster) and cluster.get("leader") != server,
        last_delivered_at=_time((item.get("delivered") or {}).get("last_active")),
    )

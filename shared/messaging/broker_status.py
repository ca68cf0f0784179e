"""Streams and consumers as the servers of NATS report them on their monitoring endpoints: `/jsz`.

In a cluster only the leader of a consumer knows its workers, so every address of the endpoint's host is asked. A server
may have accounts of several hospitals. Ours is the one whose stream DISCHARGE was created when ours was.

https://docs.nats.io/running-a-nats-service/nats_admin/monitoring
"""

import asyncio
import re
import socket
from collections.abc import Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast
from urllib.parse import urlsplit

import httpx
from nats.js.api import ConsumerConfig, StreamConfig, StreamInfo

from shared.contracts.errors import TransientError
from shared.http import HttpClient
from shared.messaging.declared_buckets import BUCKETS
from shared.messaging.replica_status import ReplicaStatus, copies
from shared.messaging.server_status import TIMEOUT, ServerStatus, durability
from shared.messaging.topology import STREAMS, all_consumers

OPTIONS = {"streams": "true", "consumers": "true", "config": "true", "accounts": "true"}
MARKER = "DISCHARGE"  # the stream by which an account is recognised
BUCKET = "KV_"
OUR_STREAMS = frozenset((*(item.name for item in STREAMS), *(f"{BUCKET}{name}" for name in BUCKETS)))


@dataclass(frozen=True, slots=True)
class StreamStatus:
    """A stream or bucket. `last_at`: when its last message was stored. `leader`: None where no server leads it.

    `config` and `copies`: None where the server does not show the configuration.
    """

    name: str
    messages: int
    bytes: int
    last_at: datetime | None
    replicas: int
    leader: str | None
    last_seq: int = 0
    config: StreamConfig | None = None
    copies: ReplicaStatus | None = None


@dataclass(frozen=True, slots=True)
class ConsumerStatus:
    """A consumer of ours. `pending`: not delivered yet. `in_flight`: delivered, not acknowledged.

    `redelivered`: of those in flight, delivered more than once. `waiting`: open pull requests of workers. `follower`:
    its leader does not report, so `pending` may be late, and `waiting` is not known.
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
    config: ConsumerConfig | None = None


@dataclass(frozen=True, slots=True)
class ServerReport:
    """What one server reports of itself."""

    name: str
    status: ServerStatus


@dataclass(frozen=True, slots=True)
class BrokerStatus:
    """What the servers report. `missing`: consumers of the topology that none of them has.

    `strange`: stream and name of durable consumers that the topology does not have.
    """

    servers: tuple[ServerReport, ...]
    streams: tuple[StreamStatus, ...]
    consumers: tuple[ConsumerStatus, ...]
    missing: tuple[str, ...]
    strange: tuple[tuple[str, str], ...] = ()

    @property
    def complete(self) -> bool:
        """Return whether all servers of the cluster report; otherwise what is missing may be on another."""
        return len(self.servers) >= max(item.status.servers for item in self.servers)


async def addresses(url: str) -> list[str]:
    """Return the base URLs of all servers behind `url`: one for each address of its host. With TLS, `url` alone.

    Raises TransientError where the host has no address.
    """
    parts = urlsplit(url)
    if parts.scheme != "http" or not parts.hostname:
        return [url]
    try:
        found = await asyncio.get_running_loop().getaddrinfo(parts.hostname, parts.port or 80, type=socket.SOCK_STREAM)
    except OSError as error:
        raise TransientError(
            f"the host of NATS's monitoring endpoint has no address ({type(error).__name__})"
        ) from None
    hosts = sorted({str(item[4][0]) for item in found})
    return [f"http://{f'[{host}]' if ':' in host else host}:{parts.port or 80}" for host in hosts]


async def read_broker_status(urls: Sequence[str], created: datetime) -> BrokerStatus:
    """Read the status of our account from each server; `created` is when our stream DISCHARGE was created.

    Raises TransientError where none answers, or where none has our account's streams.
    """
    found = await asyncio.gather(*map(_ask, urls))
    answers = [answer for answer in found if answer is not None]
    if not answers:
        raise TransientError("NATS's monitoring endpoint does not answer")
    return merged([broker_status(server, store, created) for server, store in answers])


async def _ask(url: str) -> tuple[dict[str, Any], dict[str, Any]] | None:
    async with HttpClient(base_url=url.rstrip("/"), timeout=TIMEOUT) as http:
        try:
            server = (await http.get("/varz")).raise_for_status().json()
            store = (await http.get("/jsz", params=OPTIONS)).raise_for_status().json()
        except (httpx.HTTPError, httpx.InvalidURL, ValueError):
            return None  # another server leads what it led
    return server, store


def merged(found: Sequence[BrokerStatus | None]) -> BrokerStatus:
    """Return what all servers report together: of each stream and consumer, what its leader says. Pure.

    Raises TransientError where none has our account's streams.
    """
    reports = {item.servers[0].name: item for item in found if item is not None}
    if not reports:
        raise TransientError("the server of NATS's monitoring endpoint does not have the streams of this installation")
    streams: dict[str, StreamStatus] = {}
    consumers: dict[str, ConsumerStatus] = {}
    for name, report in reports.items():
        for stream in report.streams:
            if stream.name not in streams or stream.leader == name:
                streams[stream.name] = stream
        for item in report.consumers:
            if item.name not in consumers or not item.follower:
                consumers[item.name] = item
    order = [item.name for item in all_consumers()]
    return BrokerStatus(
        servers=tuple(server for report in reports.values() for server in report.servers),
        streams=tuple(sorted(streams.values(), key=lambda item: (item.name.startswith(BUCKET), item.name))),
        consumers=tuple(consumers[name] for name in order if name in consumers),
        missing=tuple(name for name in order if name not in consumers),
        strange=tuple(sorted({found for report in reports.values() for found in report.strange})),
    )


def broker_status(server: dict[str, Any], store: dict[str, Any], created: datetime) -> BrokerStatus | None:
    """Return the status from one server's responses of `/varz` and `/jsz`; None where it lacks our streams. Pure."""
    accounts = [account.get("stream_detail") or [] for account in store.get("account_details") or ()]
    ours = [streams for streams in accounts if any(_is_marker(item, created) for item in streams)]
    if len(ours) != 1:
        return None
    name = str(server.get("server_name", ""))
    same = server.get("server_id") == store.get("server_id")  # a load balancer may have asked two servers
    expected = {item.name: item for item in all_consumers()}
    found = {
        item["name"]: _consumer(item, name if same else "")
        for stream in ours[0]
        for item in stream.get("consumer_detail") or ()
        if item["name"] in expected and expected[item["name"]].stream == stream["name"]
    }
    own = store | {"account_details": [{"stream_detail": ours[0]}]}
    return BrokerStatus(
        servers=(ServerReport(name, durability(server, own)),),
        streams=tuple(map(_stream, ours[0])),
        consumers=tuple(found.values()),
        missing=tuple(name for name in expected if name not in found),
        strange=tuple(_strange(ours[0])),
    )


def _strange(streams: Sequence[dict[str, Any]]) -> Iterator[tuple[str, str]]:
    """Yield durable consumers of our streams that the topology does not have."""
    known = {(item.stream, item.name) for item in all_consumers()}
    for stream in streams:
        for item in stream.get("consumer_detail") or () if stream["name"] in OUR_STREAMS else ():
            found = (str(stream["name"]), str(item["name"]))
            if (item.get("config") or {}).get("durable_name") and found not in known:
                yield found


def _is_marker(item: dict[str, Any], created: datetime) -> bool:
    return item["name"] == MARKER and parse_time(item["created"]) == created


def parse_time(text: str) -> datetime:
    """Return a time of the server in microseconds: it reports up to nine digits of a second."""
    return datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", text))


def _time(text: str | None) -> datetime | None:
    return None if not text or text.startswith("0001") else parse_time(text)


def _stream(item: dict[str, Any]) -> StreamStatus:
    state, cluster, info = item["state"], item.get("cluster"), _stream_info(item)
    return StreamStatus(
        name=item["name"],
        messages=int(state["messages"]),
        bytes=int(state["bytes"]),
        last_at=_time(state.get("last_ts")),
        replicas=int((item.get("config") or {}).get("num_replicas") or 1),
        leader=(cluster.get("leader") or None) if cluster else "",
        last_seq=int(state.get("last_seq") or 0),
        config=info.config if info is not None else None,
        copies=copies(info) if info is not None else None,
    )


def _stream_info(item: dict[str, Any]) -> StreamInfo | None:
    """Return what `$JS.API.STREAM.INFO` would say; None where the server does not show the configuration."""
    if not item.get("config"):
        return None
    known = {"messages": 0, "bytes": 0, "first_seq": 0, "last_seq": 0, "consumer_count": 0} | item["state"]
    # nats-py converts what it is given in place.
    shown = deepcopy({"config": item["config"], "state": known, "cluster": item.get("cluster")})
    return cast("StreamInfo", StreamInfo.from_response(shown))


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
        config=ConsumerConfig.from_response(dict(config)) if (config := item.get("config")) else None,
    )

"""REST API of the state of the installation, for operators and auditors."""

from datetime import datetime
from typing import Literal

from fastapi import APIRouter
from pydantic import BaseModel, Field

from services.approval.dependencies import Api, SystemReader
from services.approval.system.rules import State, state_of
from shared.messaging.descriptions import CONSUMER_DESCRIPTIONS, STREAM_DESCRIPTIONS
from shared.messaging.topology import consumer
from shared.runtime.api_route import ApiRoute
from shared.runtime.problems import problem_responses

COMMON = {
    401: "no token, or one that is not valid",
    403: "the token has neither the role operator nor auditor",
    503: "NATS, or its monitoring endpoint, does not answer, or `COUNTERSIGN_NATS_MONITOR_URL` is not set",
}

router = APIRouter(tags=["system"], responses=problem_responses(COMMON), route_class=ApiRoute)


class StreamEntry(BaseModel):
    """A stream, or a bucket: those start with `KV_`."""

    name: str = Field(description="name of the stream")
    description: str = Field(description="what it holds; empty for buckets")
    messages: int = Field(description="messages that are stored")
    bytes: int = Field(description="bytes that are stored")
    last_at: datetime | None = Field(description="when the last message was stored")
    replicas: int = Field(description="servers that hold it, as configured")
    leader: str | None = Field(description="the server that leads it; empty without a cluster, null where none does")


class ConsumerEntry(BaseModel):
    """A consumer of a service."""

    name: str = Field(description="durable name of the consumer")
    service: str
    stream: str
    description: str = Field(description="what it does")
    state: State = Field(
        description="`served`: workers wait. `busy`: messages are being handled. `retrying`: as many messages as "
        "it has workers, or more, are delivered again. `backlog`: more than 1000 are pending. `unserved`: no process "
        "takes messages. `missing`: NATS does not have it. `unknown`: the server that leads it does not report"
    )
    pending: int = Field(description="messages that are not delivered yet")
    in_flight: int = Field(
        description="messages that are delivered and not acknowledged: handled, or waiting for a retry"
    )
    redelivered: int = Field(description="of those in flight, delivered more than once")
    workers_waiting: int = Field(description="open pull requests of workers")
    last_delivered_at: datetime | None = Field(description="when a message was delivered last")


class ServerEntry(BaseModel):
    """A NATS server."""

    name: str = Field(description="name of the NATS server")
    version: str = Field(description="of nats-server")
    sync_always: bool = Field(description="every write is on disk before it is acknowledged")


class Topology(BaseModel):
    """Streams and consumers as the NATS servers report them: of each, what its leader says."""

    cluster_size: int = Field(description="servers of the cluster; 1 without one")
    servers: list[ServerEntry] = Field(description="the servers that report")
    streams: list[StreamEntry] = Field(description="NATS streams and buckets")
    consumers: list[ConsumerEntry] = Field(description="durable consumers")


class ScheduleEntry(BaseModel):
    """A recurring job, by its timer in NATS."""

    job: str = Field(description="such as `checkpoint`, `refresh`, `census`")
    name: str = Field(description="source or department, where a job has several schedules")
    service: str
    title: str = Field(description="its name")
    description: str = Field(description="what it does")
    every: str = Field(description="interval or schedule, as the timer was set")
    state: Literal["scheduled", "running", "due", "late", "off"] = Field(
        description="`due`: its time has come and it waits for a process. `late`: it has not run in time. `off`: no "
        "timer is set"
    )
    set_at: datetime | None = Field(description="when the timer was set: at the last run, or the start of the service")
    next_at: datetime | None = Field(description="when it runs next; null: not planned")


class ScheduleList(BaseModel):
    """The recurring jobs of approval, and those of other services that have a timer."""

    items: list[ScheduleEntry]


@router.get(
    "/v1/topology",
    summary="Streams, consumers and workers",
    description="From the monitoring endpoint of each NATS server. Only the streams of this installation are shown.",
)
async def show_topology(_: SystemReader, api: Api) -> Topology:
    status = await api.system.broker()
    streams = [
        StreamEntry(
            name=item.name,
            description=STREAM_DESCRIPTIONS.get(item.name, ""),
            messages=item.messages,
            bytes=item.bytes,
            last_at=item.last_at,
            replicas=item.replicas,
            leader=item.leader,
        )
        for item in status.streams
    ]
    consumers = [
        _consumer(
            item.name,
            state_of(item),
            pending=item.pending,
            in_flight=item.in_flight,
            redelivered=item.redelivered,
            workers_waiting=item.waiting,
            last_delivered_at=item.last_delivered_at,
        )
        for item in status.consumers
    ]
    consumers += [_consumer(name, "missing") for name in status.missing]
    return Topology(
        cluster_size=max(item.status.servers for item in status.servers),
        servers=[
            ServerEntry(name=item.name, version=item.status.version, sync_always=item.status.sync_always)
            for item in status.servers
        ],
        streams=streams,
        consumers=consumers,
    )


@router.get(
    "/v1/schedules",
    summary="Recurring jobs: when each runs next",
    description="Reconciliation, checkpoints, retention, refreshes of the knowledge base, polls, the nightly census.",
)
async def list_schedules(_: SystemReader, api: Api) -> ScheduleList:
    now = api.clock()
    return ScheduleList(
        items=[
            ScheduleEntry(
                job=item.job,
                name=item.name,
                service=item.service,
                title=item.title,
                description=item.why,
                every=item.every,
                state=item.state(now),
                set_at=item.last_at,
                next_at=item.next_at,
            )
            for item in await api.system.schedules()
        ]
    )


def _consumer(
    name: str,
    state: State,
    *,
    pending: int = 0,
    in_flight: int = 0,
    redelivered: int = 0,
    workers_waiting: int = 0,
    last_delivered_at: datetime | None = None,
) -> ConsumerEntry:
    known = consumer(name)
    return ConsumerEntry(
        name=name,
        service=known.service,
        stream=known.stream,
        description=CONSUMER_DESCRIPTIONS[name],
        state=state,
        pending=pending,
        in_flight=in_flight,
        redelivered=redelivered,
        workers_waiting=workers_waiting,
        last_delivered_at=last_delivered_at,
    )

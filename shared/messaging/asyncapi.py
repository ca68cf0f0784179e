"""Writes the AsyncAPI 3 documents by FastStream's generator: one of each service, and one of all.

FastStream knows channels, operations, messages and payloads. Its models take what it does not know of: the streams'
headers, the parameters of addresses, and the schemas' files, which are referred to and not copied.
https://www.asyncapi.com/docs/reference/specification/v3.0.0
"""

import json
from pathlib import Path
from typing import Any

from faststream.specification import AsyncAPI, License
from faststream.specification.asyncapi.v3_0_0.schema import ApplicationSchema
from nats.aio.msg import Msg

from shared.messaging.broker import ServiceBroker
from shared.messaging.channels import CASE_HEADERS, CHANNELS, PARAMETERS, REFRESH_HEADERS, Channel, Json
from shared.messaging.connection import NatsConnection
from shared.messaging.specification import SCHEMAS
from shared.messaging.topology import CONSUMERS, SERVICES

DOCS = Path(__file__).parents[2] / "docs"
VERSION = "1.0.0"
HEADERS = {"headers": CASE_HEADERS, "refresh-headers": REFRESH_HEADERS}


ORDERED = ("channels", "operations", "messages", "schemas")


def files() -> dict[Path, Json]:
    """Return every document by its file."""
    return {
        DOCS / "asyncapi.json": generate(SERVICES, "../shared/contracts/json"),
        **{
            DOCS / "asyncapi" / f"{service}.json": generate((service,), "../../shared/contracts/json")
            for service in SERVICES
        },
    }


def generate(services: tuple[str, ...], schemas: str) -> Json:
    """Return the document of `services`. `schemas` is the path from it to the files of the contracts."""
    one = services[0].capitalize() if len(services) == 1 else ""
    schema = AsyncAPI(
        *(declared(service) for service in services),
        title=f"Countersign {one}".strip(),
        version=VERSION,
        description="Every subject of the bus: who sends, who receives, what it carries. NATS JetStream.",
        license=License(name="Apache-2.0"),
    ).to_specification()
    if not isinstance(schema, ApplicationSchema):
        raise TypeError("FastStream has made another version of AsyncAPI than 3")
    _complete(schema)
    document: Json = json.loads(schema.to_json().replace(SCHEMAS, f"{schemas}/"))
    # The generator takes subscribers from a set: without an order of ours every run would write another file.
    for part in (document, document["components"]):
        part |= {name: dict(sorted(value.items())) for name, value in part.items() if name in ORDERED}
    return document


def declared(service: str) -> ServiceBroker:
    """Return a broker of the service with all consumers of the topology, without their real handlers."""

    async def handle(_: Msg) -> None: ...

    broker = ServiceBroker(service, NatsConnection("", service, ""), clock=_no_time)
    for item in CONSUMERS:
        if item.service == service:
            broker.on_message(item.name, handle)
    return broker


def _no_time() -> Any:
    raise NotImplementedError("nothing is handled")


def _complete(schema: ApplicationSchema) -> None:
    """Add what FastStream's generator has no word for."""
    named = {item.name: item for item in CHANNELS}
    # By their channels' names, whether a subscriber has one or several.
    schema.operations = {_last(item.channel): item for item in schema.operations.values()}
    components: Any = schema.components
    for key, channel in schema.channels.items():
        known = named[_channel_of(key)]
        if known.parameters:
            _set(channel, "parameters", {name: {"description": PARAMETERS[name]} for name in known.parameters})
    for key, message in components.messages.items():
        known = named[_channel_of(key.partition(":")[0])]
        message.summary = known.message.summary
        message.name = known.message.name or None
        if (headers := _headers_of(known)) is not None:
            _set(message, "headers", {"$ref": f"#/components/schemas/{headers}"})
    used = {_headers_of(named[_channel_of(key)]) for key in schema.channels}
    components.schemas |= {name: _schema_of(names) for name, names in HEADERS.items() if name in used}


def _channel_of(key: str) -> str:
    """Convert `drafter-draft-receives-case-drafted` to `case-drafted`."""
    return key.partition("-receives-")[2] or key.partition("-sends-")[2]


def _last(reference: Any) -> str:
    """Return the last part of a reference."""
    name: str = reference.ref.rpartition("/")[2]
    return name


def _headers_of(channel: Channel) -> str | None:
    return next((name for name, names in HEADERS.items() if channel.message.headers == names), None)


def _schema_of(names: tuple[str, ...]) -> Json:
    linked = "ce-prevdigest" in names
    more = " ce-prevdigest is the digest of the case's event before." if linked else ""
    return {
        "type": "object",
        "description": f"CloudEvents 1.0 in binary mode.{more}",
        "required": [name for name in names if name not in ("ce-prevdigest", "traceparent")],
        "properties": {name: {"type": "string"} for name in names},
    }


def _set(model: Any, name: str, value: Json) -> None:
    """Set a field that FastStream's models of AsyncAPI allow and do not declare."""
    setattr(model, name, value)


def main() -> None:
    for file, document in files().items():
        file.parent.mkdir(exist_ok=True)
        file.write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()

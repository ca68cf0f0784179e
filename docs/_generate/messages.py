"""The page of subjects and events, from the AsyncAPI document and the JSON Schemas of the events."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from docs._generate.markdown import cell, code, page, table

DOCS = Path(__file__).parents[1]
DOCUMENT = DOCS / "asyncapi.json"


def render() -> str:
    """Return the page."""
    document = json.loads(DOCUMENT.read_text())
    users = _users(document)
    streams: dict[str, list[str]] = {}
    for name, channel in document["channels"].items():
        stream = _stream(channel)
        streams.setdefault(stream, []).append(_channel(name, channel, document, users.get(name, {})))
    parts = [
        "Services communicate by events on NATS JetStream. A case is the ordered list of its events in the stream "
        "`DISCHARGE`. Attributes travel as headers, as CloudEvents in binary mode. The machine-readable document "
        "(AsyncAPI 3): {download}`asyncapi.json <../../asyncapi.json>`.\n"
    ]
    for stream in sorted(streams):
        parts += [f"## Stream {stream}\n", *streams[stream]]
    return page("Subjects and events", "developers who publish or consume events", "the AsyncAPI document", *parts)


def _users(document: Mapping[str, Any]) -> dict[str, dict[str, set[str]]]:
    """Return channel → action → names of the operations that use it, where operations are named after services."""
    users: dict[str, dict[str, set[str]]] = {}
    for name, operation in document.get("operations", {}).items():
        channel = operation["channel"]["$ref"].rsplit("/", 1)[1]
        users.setdefault(channel, {}).setdefault(operation["action"], set()).add(name)
    return users


def _stream(channel: Mapping[str, Any]) -> str:
    words = str(channel.get("description", "")).removeprefix("Stream ").replace(",", " ").replace(".", " ").split()
    return words[0] if words else str(channel["address"]).split(".")[0].upper()


def _channel(name: str, channel: Mapping[str, Any], document: Mapping[str, Any], users: Mapping[str, set[str]]) -> str:
    lines = [f"### {name}\n", f"Subject {code(channel['address'])}. {cell(channel.get('description', ''))}\n"]
    for action, verb in (("send", "Sent by"), ("receive", "Received by")):
        if named := sorted(users.get(action, ())):
            lines.append(f"{verb}: {', '.join(code(item) for item in named)}.\n")
    for reference in channel.get("messages", {}).values():
        message = _resolve(reference, document)
        lines.append(f"**{code(message.get('name', name))}** {cell(message.get('summary', ''))}\n")
        rows = list(_rows(_resolve(message.get("payload", {}), document)))
        if rows:
            lines.append(table(("Field", "Type", "Required"), rows))
    return "\n".join(lines)


def _resolve(node: Mapping[str, Any], document: Mapping[str, Any]) -> Mapping[str, Any]:
    reference = str(node.get("$ref", ""))
    if reference.startswith("#/"):
        found: Any = document
        for part in reference[2:].split("/"):
            found = found[part]
        return _resolve(found, document)
    if reference:
        loaded: dict[str, Any] = json.loads((DOCUMENT.parent / reference.split("#")[0]).read_text())
        return loaded
    return node


def _rows(schema: Mapping[str, Any]) -> list[tuple[str, ...]]:
    required = schema.get("required", ())
    return [
        (code(name), _type(item), "yes" if name in required else "no")
        for name, item in schema.get("properties", {}).items()
    ]


def _type(schema: Mapping[str, Any]) -> str:
    if reference := schema.get("$ref"):
        return code(str(reference).rsplit("/", 1)[1])
    if "const" in schema:
        return code(json.dumps(schema["const"]))
    if "enum" in schema:
        return " or ".join(code(item) for item in schema["enum"])
    if options := schema.get("anyOf"):
        return " or ".join(_type(item) for item in options)
    if schema.get("type") == "array":
        return f"list of {_type(schema.get('items', {})) or 'anything'}"
    return str(schema.get("format") or schema.get("type") or "any")

"""The page of subjects and events, from the AsyncAPI document and the JSON Schemas of the events."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from docs._generate.markdown import cell, code, page, table

DOCS = Path(__file__).parents[1]
DOCUMENT = DOCS / "asyncapi.json"


@dataclass
class Subject:
    """Everything that the document says about one subject, whichever of its channels says it."""

    name: str
    channel: Mapping[str, Any]
    users: dict[str, set[str]] = field(default_factory=dict)  # action → operations


def render() -> str:
    """Return the page."""
    document = json.loads(DOCUMENT.read_text())
    streams: dict[str, list[str]] = {}
    for subject in sorted(_subjects(document).values(), key=lambda item: item.name):
        streams.setdefault(_stream(subject.channel), []).append(_section(subject, document))
    parts = [
        "Services communicate by events on NATS JetStream. A case is the ordered list of its events in the stream "
        "`DISCHARGE`. Attributes travel as headers, as CloudEvents in binary mode. The machine-readable document "
        "(AsyncAPI 3): {download}`asyncapi.json <../../asyncapi.json>`.\n"
    ]
    for stream in sorted(streams):
        parts += [f"## Stream {stream}\n", *streams[stream]]
    return page("Subjects and events", "developers who publish or consume events", "the AsyncAPI document", *parts)


def _subjects(document: Mapping[str, Any]) -> dict[str, Subject]:
    """Return subject → what is said about it. A channel may stand for a subject, or for one service's use of it."""
    found: dict[str, Subject] = {}
    by_channel: dict[str, Subject] = {}
    for name, channel in document["channels"].items():
        plain = re.sub(r"^.*-(?:sends|receives)-", "", name)
        by_channel[name] = found.setdefault(channel["address"], Subject(plain, channel))
    for name, operation in document.get("operations", {}).items():
        subject = by_channel[operation["channel"]["$ref"].rsplit("/", 1)[1]]
        user = re.sub(r"-(?:sends|receives)-.*$", "", name)
        subject.users.setdefault(operation["action"], set()).add(user)
    return found


def _stream(channel: Mapping[str, Any]) -> str:
    words = str(channel.get("description", "")).removeprefix("Stream ").replace(",", " ").replace(".", " ").split()
    return words[0] if words else str(channel["address"]).split(".")[0].upper()


def _section(subject: Subject, document: Mapping[str, Any]) -> str:
    channel = subject.channel
    lines = [f"### {subject.name}\n", f"Subject {code(channel['address'])}. {cell(channel.get('description', ''))}\n"]
    for action, verb in (("send", "Sent by"), ("receive", "Received by")):
        if named := sorted(subject.users.get(action, ())):
            lines.append(f"{verb}: {', '.join(code(item) for item in named)}.\n")
    for reference in channel.get("messages", {}).values():
        message = _resolve(reference, document)
        lines.append(f"{cell(message.get('summary', ''))}\n")
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

"""The HTTP pages: one for each service that has an API, from its OpenAPI document."""

import importlib
import inspect
import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from pydantic_settings import BaseSettings

from docs._generate.markdown import cell, code, page, table

SERVICES = {
    "ingest": "Discharges, FHIR notifications, refreshes of the knowledge base.",
    "approval": "Cases, reviews, decisions, documents, corrections, dead letters, erasure, sessions.",
    "evaluator": "The state of the knowledge base, search, rollback, promotion and pin.",
}
HIDDEN = ("/healthz", "/readyz")


def render(service: str, out: Path) -> str:
    """Return the service's page, and write its OpenAPI document to `out`."""
    document = openapi(service)
    out.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n")
    groups: dict[str, list[str]] = {}
    for path, methods in document["paths"].items():
        if path in HIDDEN:
            continue
        for method, operation in methods.items():
            tag = (operation.get("tags") or ["other"])[0]
            groups.setdefault(tag, []).append(_operation(path, method, operation, document))
    parts = [
        f"{SERVICES[service]} Every request carries `Authorization: Bearer TOKEN`; errors are problem details "
        f"(RFC 9457). The machine-readable document: {{download}}`{out.name} <{out.name}>`, also served at "
        "`/openapi.json`.\n"
    ]
    for tag in sorted(groups):
        parts += [f"## {tag.capitalize()}\n", *groups[tag]]
    return page(f"HTTP API: {service}", "developers of clients", "the service's OpenAPI document", *parts)


def openapi(service: str) -> dict[str, Any]:
    """Return the OpenAPI document of a service, which is not started."""
    return application(service).openapi()


def application(service: str) -> FastAPI:
    """Build the application of a service without starting it."""
    from shared.runtime.service import create_app

    with tempfile.TemporaryDirectory() as folder:
        tokens = Path(folder, "tokens.json")
        tokens.write_text('{"tokens": []}')
        values = {
            "COUNTERSIGN_MODE": "demo",
            "COUNTERSIGN_NATS_SEED": "unused",
            "COUNTERSIGN_TOKENS_FILE": str(tokens),
            "COUNTERSIGN_QDRANT_URL": "http://127.0.0.1:6333",
            "COUNTERSIGN_APPROVAL_URL": "http://127.0.0.1:8003",  # of the evaluator: pages are signed in to there
        }
        before = {name: os.environ.get(name) for name in values}
        os.environ.update(values)
        try:
            module = importlib.import_module(f"services.{service}.main")
            built = module.build(_settings(service)())
            return create_app([built])
        finally:
            for name, value in before.items():
                os.environ.pop(name) if value is None else os.environ.update({name: value})


def _settings(service: str) -> type[BaseSettings]:
    module = importlib.import_module(f"services.{service}.settings")
    return next(
        item
        for item in vars(module).values()
        if inspect.isclass(item)
        and issubclass(item, BaseSettings)
        and item.__module__ == module.__name__
        and item.__name__.lower().startswith(service)
    )


def _operation(path: str, method: str, operation: Mapping[str, Any], document: Mapping[str, Any]) -> str:
    lines = [f"### `{method.upper()} {path}`\n", f"{cell(operation.get('summary', ''))}.\n"]
    if text := operation.get("description"):
        lines.append(f"{cell(text)}\n")
    rows = [
        (
            code(item["name"]),
            item["in"],
            "yes" if item.get("required") else "no",
            _type(item.get("schema", {})),
            cell(item.get("description", "")),
        )
        for item in operation.get("parameters", ())
    ]
    if rows:
        lines.append(table(("Parameter", "In", "Required", "Type", "Meaning"), rows))
    body = operation.get("requestBody", {}).get("content", {})
    for media, content in body.items():
        lines.append(f"Body, {code(media)}:\n")
        lines.append(_fields(content.get("schema", {}), document))
    answers = [
        (code(status), cell(answer.get("description", "")), ", ".join(_names(answer)))
        for status, answer in operation.get("responses", {}).items()
    ]
    lines.append(table(("Status", "Meaning", "Body"), answers))
    return "\n".join(lines)


def _names(answer: Mapping[str, Any]) -> Iterator[str]:
    for media, content in answer.get("content", {}).items():
        kind = _type(content.get("schema", {}))
        yield f"{kind} ({code(media)})" if kind else code(media)


def _fields(schema: Mapping[str, Any], document: Mapping[str, Any]) -> str:
    options = [item for item in schema.get("anyOf", ()) if item.get("type") != "null"]
    schema = _resolved(options[0] if len(options) == 1 else schema, document)  # a body that may be missing
    rows = [
        (
            code(name),
            _type(item),
            "yes" if name in schema.get("required", ()) else "no",
            cell(item.get("description", "")),
        )
        for name, item in schema.get("properties", {}).items()
    ]
    return table(("Field", "Type", "Required", "Meaning"), rows) if rows else f"{_type(schema) or 'bytes'}.\n"


def _resolved(schema: Mapping[str, Any], document: Mapping[str, Any]) -> Mapping[str, Any]:
    reference = schema.get("$ref", "")
    return document["components"]["schemas"][reference.rsplit("/", 1)[1]] if reference else schema


def _type(schema: Mapping[str, Any]) -> str:
    if reference := schema.get("$ref"):
        return code(reference.rsplit("/", 1)[1])
    if "enum" in schema:
        return " or ".join(code(item) for item in schema["enum"])
    if "const" in schema:
        return code(schema["const"])
    if options := schema.get("anyOf"):
        return " or ".join(_type(item) for item in options)
    if schema.get("type") == "array":
        return f"list of {_type(schema.get('items', {})) or 'anything'}"
    return str(schema.get("format") or schema.get("type") or "")

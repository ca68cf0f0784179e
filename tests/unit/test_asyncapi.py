"""The AsyncAPI documents are those of the code, complete, and valid."""

import json
import warnings
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from faststream.specification.asyncapi.v3_0_0.schema import ApplicationSchema

from shared.contracts.events import EVENT_TYPES
from shared.contracts.refresh import REFRESH_EVENT_TYPES
from shared.messaging import asyncapi
from shared.messaging.channels import CHANNELS
from shared.messaging.topology import CONSUMERS, SERVICES

FILES = asyncapi.files()
MERGED = FILES[asyncapi.DOCS / "asyncapi.json"]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_the_documents_are_those_of_the_code(file: Path) -> None:
    assert json.loads(file.read_text()) == FILES[file], "run: make contracts"


def test_there_is_one_of_each_service_and_one_of_all() -> None:
    assert {file.stem for file in FILES} == {"asyncapi", *SERVICES}
    assert {file.stem for file in (asyncapi.DOCS / "asyncapi").iterdir()} == set(SERVICES)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_it_is_asyncapi_3(file: Path) -> None:
    assert ApplicationSchema.model_validate(FILES[file]).asyncapi == "3.0.0"


def test_nothing_is_lost_or_overwritten_where_they_are_merged() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # as FastStream says that two have the same name
        asyncapi.files()
    for part in ("channels", "operations"):
        ours = [FILES[asyncapi.DOCS / "asyncapi" / f"{service}.json"][part] for service in SERVICES]
        assert sum(len(item) for item in ours) == len(MERGED[part])
        for item in ours:
            assert item.items() <= MERGED[part].items()


def test_every_event_is_sent_and_every_consumer_receives() -> None:
    operations = MERGED["operations"]
    for kind in EVENT_TYPES:
        name = kind.model_fields["event"].default
        assert any(key.endswith(f"-sends-case-{name}") for key in operations), name
    for refresh in REFRESH_EVENT_TYPES:
        name = refresh.model_fields["event"].default
        assert any(key.endswith(f"-sends-knowledge-{name}") for key in operations), name
    for consumer in CONSUMERS:
        assert any(key.startswith(f"{consumer.name}-receives-") for key in operations), consumer.name


def test_every_channel_is_in_it_with_what_its_messages_are() -> None:
    for channel in CHANNELS:
        found = [item for item in MERGED["channels"].values() if item["address"] == channel.address]
        assert found, channel.name
        for item in found:
            assert tuple(item.get("parameters", {})) == channel.parameters
            (reference,) = item["messages"].values()
            message = _at(MERGED, reference["$ref"])
            assert message["summary"] == channel.message.summary
            assert ("headers" in message) == bool(channel.message.headers)
            payload = _at(MERGED, message["payload"]["$ref"])
            if channel.message.schema:
                assert payload == {"$ref": f"../shared/contracts/json/{channel.message.schema}"}
            else:
                assert payload == channel.message.payload


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_reference_leads_somewhere(file: Path) -> None:
    def references(node: object) -> list[str]:
        if isinstance(node, dict):
            own = [node["$ref"]] if isinstance(node.get("$ref"), str) else []
            return own + [item for value in node.values() for item in references(value)]
        if isinstance(node, list):
            return [item for value in node for item in references(value)]
        return []

    found = references(FILES[file])
    assert len(found) > 50
    for reference in found:
        if reference.startswith("#/"):
            _at(FILES[file], reference)
        else:
            assert (file.parent / reference).exists(), reference


def _at(document: dict[str, Any], reference: str) -> Any:
    target: Any = document
    for part in reference.removeprefix("#/").split("/"):
        target = target[unquote(part)]
    return target

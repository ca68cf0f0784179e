"""The AsyncAPI document is that of the code, complete, and valid."""

import json
from pathlib import Path

from faststream.specification.asyncapi.v3_0_0.schema import ApplicationSchema

from shared.contracts.events import EVENT_TYPES
from shared.contracts.refresh import REFRESH_EVENT_TYPES
from shared.messaging import asyncapi
from shared.messaging.topology import CONSUMERS


def test_the_document_is_that_of_the_code() -> None:
    assert json.loads(asyncapi.FILE.read_text()) == asyncapi.generate(), "run: make contracts"


def test_it_is_asyncapi_3() -> None:
    assert ApplicationSchema.model_validate(asyncapi.generate()).asyncapi == "3.0.0"


def test_every_event_is_sent_and_every_consumer_receives() -> None:
    operations = asyncapi.generate()["operations"]
    for kind in EVENT_TYPES:
        name = kind.model_fields["event"].default
        assert any(key.endswith(f"-sends-case-{name}") for key in operations), name
    for refresh in REFRESH_EVENT_TYPES:
        name = refresh.model_fields["event"].default
        assert any(key.endswith(f"-sends-knowledge-{name}") for key in operations), name
    for consumer in CONSUMERS:
        assert any(key.startswith(f"{consumer.name}-receives-") for key in operations), consumer.name


def test_every_reference_leads_somewhere() -> None:
    document = asyncapi.generate()

    def references(node: object) -> list[str]:
        if isinstance(node, dict):
            own = [node["$ref"]] if isinstance(node.get("$ref"), str) else []
            return own + [item for value in node.values() for item in references(value)]
        return []

    for reference in references(document):
        if reference.startswith("#/"):
            target: object = document
            for part in reference[2:].split("/"):
                assert isinstance(target, dict)
                target = target[part]
        else:
            assert (Path(asyncapi.FILE).parent / reference).exists(), reference

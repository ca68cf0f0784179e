"""A rolling upgrade: processes of two versions read what both of them write."""

import json
from typing import Any

import pytest

from shared.contracts.context import EncounterContext
from shared.contracts.draft import Draft
from shared.contracts.envelope import CHAIN_START, chain_digest, decode, encode
from shared.contracts.errors import PermanentError, TransientError
from shared.contracts.events import EVENT_TYPES
from shared.contracts.model import Model, read_strictly
from tests.support.examples import CASE, T0, draft, event

NAMES = [kind.model_fields["event"].default for kind in EVENT_TYPES]


def newer(value: Any) -> Any:
    """With a field more in each object, as a later version may write it."""
    if isinstance(value, dict):
        if not value or any("/" in name for name in value):  # by content type: no object with fields of its own
            return value
        return {name: newer(item) for name, item in value.items()} | {"of_a_later_version": {"a": 1}}
    return [newer(item) for item in value] if isinstance(value, list) else value


@pytest.mark.parametrize("name", NAMES)
def test_an_event_with_more_fields_is_read_as_what_is_known_of_it(name: str) -> None:
    headers, data = encode(CASE, event(name), id="e1", source="approval", time=T0, after=CHAIN_START)
    more = json.dumps(newer(json.loads(data))).encode()
    found = decode(CASE.subject(name), headers, more, 1)
    assert found.body == event(name)
    assert found.head.digest == chain_digest(headers, more), (
        "the chain is of what was stored, not of what was understood"
    )


def test_an_event_that_only_a_newer_version_knows_is_left_to_it() -> None:
    headers, data = encode(CASE, event("filed"), id="e1", source="approval", time=T0, after=CHAIN_START)
    with pytest.raises(TransientError, match="newer version"):
        decode(CASE.subject("translated"), headers, data, 1)


def test_a_draft_and_a_record_are_told_whole_or_not_at_all() -> None:
    whole = draft().model_dump_json(exclude_none=True).encode()
    assert read_strictly(Draft, whole) == draft()
    with pytest.raises(TransientError, match="newer version"):
        read_strictly(Draft, json.dumps(newer(json.loads(whole))).encode())
    for junk in (b"", b"{}", b"[]", b"junk"):
        for kind in (Draft, EncounterContext):
            with pytest.raises(PermanentError):
                read_strictly(kind, junk)


def test_a_model_is_closed_where_it_is_made() -> None:
    class Point(Model):
        x: int

    assert Point.read(b'{"x": 1, "y": 2}') == Point(x=1)
    with pytest.raises(ValueError, match="extra"):
        Point.model_validate({"x": 1, "y": 2})

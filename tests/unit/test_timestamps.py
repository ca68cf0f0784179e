"""Timestamps and CloudEvents attributes: forms that stand in signed documents and in the digests of events."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from shared.contracts.cloudevents import event_headers
from shared.contracts.timestamps import format_timestamp, format_utc, parse_timestamp

WINTER = timezone(timedelta(hours=1))
LOCAL = datetime(2026, 11, 23, 10, 0, 0, 123456, tzinfo=WINTER)


@pytest.mark.parametrize(
    ("time", "own", "utc"),
    [
        (LOCAL, "2026-11-23T10:00:00.123+01:00", "2026-11-23T09:00:00.123Z"),
        (LOCAL.astimezone(UTC), "2026-11-23T09:00:00.123Z", "2026-11-23T09:00:00.123Z"),
        (datetime(2026, 1, 1, tzinfo=UTC), "2026-01-01T00:00:00.000Z", "2026-01-01T00:00:00.000Z"),
    ],
)
def test_a_time_is_written_with_its_offset_or_in_utc(time: datetime, own: str, utc: str) -> None:
    assert (format_timestamp(time), format_utc(time)) == (own, utc)
    assert parse_timestamp(own) == parse_timestamp(utc) == time.replace(microsecond=time.microsecond // 1000 * 1000)


def test_seconds_alone_are_written_where_they_are_asked_for() -> None:
    assert format_utc(LOCAL, "seconds") == "2026-11-23T09:00:00Z"


@pytest.mark.parametrize("value", ["2026-11-23T09:00:00", "2026-11-23", "today", "", None, 7, {"a": 1}])
def test_what_names_no_moment_is_none(value: object) -> None:
    assert parse_timestamp(value) is None


def test_an_event_has_the_attributes_of_cloudevents() -> None:
    headers = event_headers(id="i", type="countersign.x.v1", source="ingest", time=LOCAL, subject="d/c")
    assert list(headers.items()) == [
        ("ce-specversion", "1.0"),
        ("ce-id", "i"),
        ("ce-type", "countersign.x.v1"),
        ("ce-source", "countersign/ingest"),
        ("ce-time", "2026-11-23T09:00:00.123456+00:00"),
        ("ce-subject", "d/c"),
        ("content-type", "application/json"),
    ]
    bare = event_headers(id="i", type="countersign.x.v1", source="ingest")
    assert set(headers) - set(bare) == {"ce-time", "ce-subject"}

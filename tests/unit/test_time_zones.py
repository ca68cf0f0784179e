"""The hospital's time zone: a setting with a clear error, per department where it differs."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from pydantic import ValidationError

from services.drafter import document_header
from services.drafter.record import build_context
from services.drafter.source_record import SourceRecord
from shared.runtime.settings import ServiceSettings
from shared.runtime.start import describe_settings_error
from shared.runtime.time_zones import TimeZones
from shared.web.local_time import local
from tests.unit.test_record import encounter


def test_a_department_may_be_in_another_zone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COUNTERSIGN_TIME_ZONE", "America/Chicago")
    monkeypatch.setenv("COUNTERSIGN_DEPARTMENT_TIME_ZONES", '{"telestroke": "America/Denver"}')
    zones = TimeZones()
    assert zones.of("cardiology") == ZoneInfo("America/Chicago")
    assert zones.of("telestroke") == ZoneInfo("America/Denver")


def test_nothing_set_is_no_zone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COUNTERSIGN_TIME_ZONE", raising=False)
    assert TimeZones().of("cardiology") is None
    monkeypatch.setenv("COUNTERSIGN_TIME_ZONE", "")
    monkeypatch.setenv("COUNTERSIGN_DEPARTMENT_TIME_ZONES", "")
    assert TimeZones().of("cardiology") is None


@pytest.mark.parametrize("name", ["Mars/Olympus", "CEST+1:", "../etc/passwd", "Europe"])
def test_a_name_that_is_no_zone_is_refused(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv("COUNTERSIGN_TIME_ZONE", name)
    with pytest.raises(ValidationError, match="is not a time zone"):
        TimeZones()


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("Europe/Berlin", "is not valid JSON"),
        ('["Europe/Berlin"]', "must be an object: department → time zone"),
        (
            '{"Heart Centre": "Europe/Berlin"}',
            "'Heart Centre' is not a department such as internal-medicine",
        ),
        ('{"cardiology": ""}', "cardiology has no time zone"),
        ('{"cardiology": 1}', "cardiology has no time zone"),
        (
            '{"cardiology": "Mars/Olympus"}',
            "'Mars/Olympus' is not a time zone such as America/Chicago or Europe/Berlin",
        ),
    ],
)
def test_a_service_does_not_start_with_wrong_time_zones_of_departments(
    monkeypatch: pytest.MonkeyPatch, value: str, words: str
) -> None:
    monkeypatch.setenv("COUNTERSIGN_NATS_SEED", "unused")
    monkeypatch.setenv("COUNTERSIGN_DEPARTMENT_TIME_ZONES", value)
    with pytest.raises(ValidationError) as error:
        ServiceSettings()
    assert describe_settings_error(error.value) == f"COUNTERSIGN_DEPARTMENT_TIME_ZONES: {words}"


def test_times_are_printed_with_their_zone() -> None:
    time = datetime(2026, 11, 28, 3, 22, tzinfo=UTC)
    assert local(time, ZoneInfo("Europe/Berlin")) == "28 Nov 2026, 04:22 CET"
    assert local(time, None) == "28 Nov 2026, 03:22 UTC"
    assert local(time, ZoneInfo("America/Sao_Paulo")) == "28 Nov 2026, 00:22 UTC-03"
    assert local(time, ZoneInfo("Asia/Kolkata"), "%H:%M:%S %Z") == "08:52:00 IST"


@pytest.mark.parametrize(
    ("zone", "stay"),
    [
        (None, "Stay: Admitted 2026-06-02, discharged 2026-06-05"),
        ("America/Los_Angeles", "Stay: Admitted 2026-06-01, discharged 2026-06-04"),
    ],
)
def test_the_document_has_the_days_of_the_hospital(zone: str | None, stay: str) -> None:
    period = {"start": "2026-06-02T03:00:00Z", "end": "2026-06-05T06:59:00Z"}
    record = SourceRecord(encounter(period=period), {"resourceType": "Patient", "id": "p1"}, {})
    record.zone = ZoneInfo(zone) if zone else None
    assert document_header.header(build_context(record))[1].text == stay

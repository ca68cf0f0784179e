"""Whom a department's escalations reach: the file, what it says where it is wrong, and what goes to a channel."""

from datetime import timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from services.approval.escalation.directory import Directory
from services.approval.escalation.directory_file import DirectoryFile, read
from services.approval.notifications import channels
from services.approval.notifications.notification import Notification, read_notification
from shared.contracts.errors import PermanentError, TransientError
from tests.support.examples import CASE, T0

EXAMPLE = """
departments:
  cardiology:
    supervisor: Practitioner/dr-7
    deputies: [Practitioner/dr-8, PractitionerRole/on-call]
    escalate_after: 12h,24h,3d
    channels:
      - mailto://127.0.0.1?from=a@example.org&to=b@example.org&mode=insecure
      - {url_env: PAGER, levels: [2, 3]}
      - {url_file: hook, name: chat}
  "*":
    supervisor: Practitioner/dr-1
    channels: ["json://127.0.0.1/everybody"]
"""
DEFAULT = (timedelta(hours=24), timedelta(hours=72), timedelta(days=7))
NOTICE = Notification(department="cardiology", case=CASE.id, escalation="e-1", level=2, since=T0, channel="k" * 16)


class NoEhr:
    """An EHR that knows of no roles."""

    async def search(self, type: str, params: Any) -> list[Any]:
        return []


def write(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "directory.yaml"
    file.write_text(text)
    return file


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DirectoryFile:
    monkeypatch.setenv("PAGER", "json://127.0.0.1/pager-secret")
    (tmp_path / "hook").write_text("json://127.0.0.1/hook-secret\n")
    return read(write(tmp_path, EXAMPLE))


def directory(file: DirectoryFile | None, **supervisors: str) -> Directory:
    return Directory(NoEhr(), supervisors, DEFAULT, file)  # type: ignore[arg-type]


async def test_what_a_department_leaves_out_is_taken_from_all(file: DirectoryFile) -> None:
    found = directory(file)
    assert await found.supervisor("cardiology") == "Practitioner/dr-7"
    assert await found.supervisor("surgery") == "Practitioner/dr-1"
    assert found.deputies("cardiology") == ("Practitioner/dr-8", "PractitionerRole/on-call")
    assert found.deputies("surgery") == ()
    assert found.escalation_delays("cardiology") == (timedelta(hours=12), timedelta(hours=24), timedelta(days=3))
    assert found.escalation_delays("surgery") == DEFAULT
    assert [len(found.channels("cardiology", level)) for level in (1, 2, 3)] == [2, 3, 3]
    assert [item.address() for item in found.channels("surgery", 1)] == ["json://127.0.0.1/everybody"]


async def test_without_a_file_settings_and_ehr_are_asked() -> None:
    assert await directory(None, cardiology="Practitioner/s").supervisor("cardiology") == "Practitioner/s"
    assert await directory(None).supervisor("cardiology") == "Supervisor of cardiology"
    assert directory(None).channels("cardiology", 1) == ()
    assert directory(None).escalation_delays("cardiology") == DEFAULT


def test_a_changed_secret_is_the_same_channel(
    file: DirectoryFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, pager, hook = directory(file).channels("cardiology", 3)
    assert (pager.address(), hook.address()) == ("json://127.0.0.1/pager-secret", "json://127.0.0.1/hook-secret")
    monkeypatch.setenv("PAGER", "json://127.0.0.1/new")
    (tmp_path / "hook").write_text("json://127.0.0.1/newer")
    again = read(tmp_path / "directory.yaml")
    assert directory(again).channel("cardiology", pager.key) == pager
    assert pager.address() == "json://127.0.0.1/new"
    assert directory(again).channel("cardiology", hook.key) is not None
    assert directory(again).channel("surgery", hook.key) is None
    monkeypatch.delenv("PAGER")
    with pytest.raises(PermanentError, match="PAGER"):
        pager.address()


def test_keys_and_words_hold_no_secret(file: DirectoryFile) -> None:
    assert "secret" not in repr(file)
    assert "everybody" not in repr(file)
    keys = [item.key for name in ("cardiology", "surgery") for item in file.entry(name).channels or ()]
    assert len(set(keys)) == len(keys) == 4
    assert all(len(key) == 16 and key.isalnum() for key in keys)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("departments: {Cardio Logy: {}}", "departments.Cardio Logy: is neither the token of a department"),
        ("departments: {x: {supervisor: Bob}}", "departments.x.supervisor: is not a FHIR reference"),
        ("departments: {x: {deputies: [Practitioner/a, Practitioner/a]}}", "x.deputies: names something twice"),
        ("departments: {x: {escalate_after: 1h}}", "x.escalate_after: give three durations"),
        ("departments: {x: {escalate_after: '3h,2h,1h'}}", "each escalation must come later"),
        ("departments: {x: {escalate_after: [1, 2, 3]}}", "give three durations"),
        ("departments: {x: {chanels: []}}", "departments.x.chanels: is not known here"),
        ("departments: {x: {channels: [{}]}}", "x.channels.0: give one of url, url_file and url_env"),
        ("departments: {x: {channels: [{url: 'json://h', levels: [4]}]}}", "channels.0.levels"),
        ("departments: {x: {channels: ['json://h', 'json://h']}}", "x.channels: names a channel twice"),
        ("departments: {x: {channels: ['mailto://']}}", "x.channels.0: this mailto address is not understood"),
        ("departments: {x: {channels: [{url_env: NOT_SET}]}}", "environment variable NOT_SET of a channel is not set"),
        ("departments: {x: {channels: [{url_file: nowhere}]}}", "cannot be read (No such file or directory)"),
        ("- x", "file: must be a mapping"),
        ("a: [", "is not YAML, line 1"),
    ],
)
def test_what_is_wrong_with_a_file_is_said_place_by_place(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(PermanentError) as refused:
        read(write(tmp_path, text))
    assert words in refused.value.reason


def test_a_file_that_is_not_there_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(PermanentError, match="cannot be read"):
        read(tmp_path / "nowhere.yaml")


@pytest.mark.parametrize(
    "text",
    [
        "departments: {x: {channels: ['foo://user:hunter2@h']}}",
        "departments: {x: {channels: [{url: 'json://user:hunter2@h', url_env: X}]}}",
        "departments: {x: {channels: {'json://user:hunter2@h': 1}}}",
        "departments: {x: {channels: [{'json://user:hunter2@h': 1}]}}",
        "departments: {x: {channels: ['json://user:hunter2@h', 'json://user:hunter2@h']}}",
    ],
)
def test_no_complaint_quotes_a_secret(tmp_path: Path, text: str) -> None:
    with pytest.raises(PermanentError) as refused:
        read(write(tmp_path, text))
    assert "hunter2" not in refused.value.reason


def test_a_notice_says_what_waits_and_where_and_nothing_about_the_patient() -> None:
    assert NOTICE.text("https://x/reviews/c") == (
        "Department: cardiology\nWaiting since: 2026-11-23 09:00 UTC\nEscalation: 2\nReview: https://x/reviews/c\n"
    )
    assert NOTICE.text("").endswith(f"Case: {CASE.id}\n")
    assert "Waiting since: 2026-11-23 10:00 CET" in NOTICE.text("", ZoneInfo("Europe/Berlin"))
    assert (NOTICE.notify_type, NOTICE.model_copy(update={"level": 3}).notify_type) == ("warning", "failure")


def test_a_notice_is_about_its_subject() -> None:
    data = NOTICE.model_dump_json().encode()
    assert read_notification(NOTICE.subject, data) == NOTICE
    for subject, body in ((f"notify.other.e-1.{'k' * 16}", data), (NOTICE.subject, b"{}"), (NOTICE.subject, b"junk")):
        with pytest.raises(PermanentError):
            read_notification(subject, body)


def test_a_channel_that_does_not_take_a_message_is_tried_again_and_quotes_nothing() -> None:
    with pytest.raises(TransientError) as refused:
        channels.send("json://user:hunter2@127.0.0.1:1/x", "title", "text", "warning")
    assert refused.value.reason == "a json channel did not take the message"
    with pytest.raises(PermanentError) as unknown:
        channels.send("foo://user:hunter2@h", "title", "text", "warning")
    assert "hunter2" not in unknown.value.reason


class Roles:
    """An EHR with one supervisor; `asked` is how often it was asked for all of its roles."""

    def __init__(self) -> None:
        self.asked = 0
        self.practitioner = "Practitioner/dr-1"
        self.refuses = False

    async def search(self, type: str, params: Any) -> list[Any]:
        self.asked += 1
        if self.refuses:
            raise PermanentError("PractitionerRole is not supported")
        return [{"code": [{"text": "Department supervisor"}], "practitioner": {"reference": self.practitioner}}]


async def test_the_ehr_is_asked_for_its_roles_once_a_minute() -> None:
    ehr, seconds = Roles(), [0.0]
    directory = Directory(ehr, {}, DEFAULT, clock=lambda: seconds[0])  # type: ignore[arg-type]
    for _ in range(3):
        assert await directory.supervisor("cardiology") == "Practitioner/dr-1"
    assert ehr.asked == 1
    ehr.practitioner = "Practitioner/dr-2"
    seconds[0] = 61.0
    assert await directory.supervisor("cardiology") == "Practitioner/dr-2"
    ehr.refuses, seconds[0] = True, 122.0
    assert await directory.supervisor("cardiology") == "Supervisor of cardiology"
    ehr.refuses = False
    assert await directory.supervisor("cardiology") == "Practitioner/dr-2", "a refusal is not kept"

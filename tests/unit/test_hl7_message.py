"""Delimiters, terminators, charsets, escapes and times as senders write them."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.ingest.hl7.timestamps import instant, is_date
from shared.hl7.message import Delimiters, messages_in
from tests.support.hl7 import adt, received, sender

CHICAGO = ZoneInfo("America/Chicago")


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (b"MSH|^~\\&|A", Delimiters("|", "^", "~", "\\", "&")),
        (b"MSH|^~\\&#|A", Delimiters("|", "^", "~", "\\", "&")),
        (b"MSH$%*@!|A$", Delimiters("$", "%", "*", "@", "!")),
        (b"MSH|^~&|A", Delimiters("|", "^", "~", "&", "")),
        (b"MSH|^|A", Delimiters("|", "^")),
        (b"MSH||A", Delimiters("|")),
        (b"MSH|", Delimiters("|")),
    ],
)
def test_delimiters_are_those_of_the_header_by_position(header: bytes, expected: Delimiters) -> None:
    (message,) = messages_in(header + b"\rPID|1\r")
    assert message.delimiters == expected


@pytest.mark.parametrize(
    "content", [b"", b"MSH", b"MSHabc", b"MSH \rPID", b"PID|1\r", b"hello", b"BHS|^~\\&\rBTS|0\r", b"\r\n"]
)
def test_what_has_no_header_is_no_message(content: bytes) -> None:
    assert messages_in(content) == []


@pytest.mark.parametrize(
    ("content", "segments"),
    [
        (b"MSH|1\rPID|2\r", ("MSH|1", "PID|2")),
        (b"MSH|1\nPID|2\n", ("MSH|1", "PID|2")),
        (b"MSH|1\r\nPID|2\r\n", ("MSH|1", "PID|2")),
        (b"MSH|1\r\nNTE|a\nb\r\n", ("MSH|1", "NTE|a\nb")),  # a lone LF beside CR is content
        (b"MSH|1\r\r\rPID|2", ("MSH|1", "PID|2")),
        (b"\xef\xbb\xbfMSH|1\rPID|2", ("MSH|1", "PID|2")),
        (b"\r\n MSH|1\rPID|2", ("MSH|1", "PID|2")),
    ],
)
def test_terminators(content: bytes, segments: tuple[str, ...]) -> None:
    (message,) = messages_in(content)
    assert message.segments == segments


def test_a_batch_is_its_messages() -> None:
    batch = b"FHS|^~\\&\rBHS|^~\\&\rMSH|^~\\&|1\rPID|1\rMSH|^~\\&|2\rBTS|2\rFTS|1\r"
    assert [message.segments for message in messages_in(batch)] == [("MSH|^~\\&|1", "PID|1"), ("MSH|^~\\&|2",)]


@pytest.mark.parametrize(
    ("charset", "data", "expected"),
    [
        ("", "Łódź".encode(), "Łódź"),
        ("UNICODE UTF-8", "Łódź".encode(), "Łódź"),
        ("8859/1", "Müller".encode("latin-1"), "Müller"),
        ("UNICODE UTF-8", "Müller".encode("latin-1"), "Müller"),  # MSH-18 is wrong
        ("ASCII", "Müller".encode(), "Müller"),
        ("8859/15", "€".encode("iso8859-15"), "€"),
        ("no charset", "Š".encode("windows-1252"), "Š"),
    ],
)
def test_text_is_decoded_by_msh_18_then_as_utf_8_then_by_the_setting(charset: str, data: bytes, expected: str) -> None:
    (message,) = messages_in(adt(MSH_18=charset) + b"ZZZ|" + data + b"\r")
    assert message.text(message.value("ZZZ", 1), "windows-1252") == expected


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (r"A\T\B\F\C\S\D\R\E\E\F", "A&B|C^D~E\\F"),
        (r"\X41\\XC58141\ ", "AŁA "),
        (r"\XFF\ ", r"\XFF\ "),
        (r"4\5 re.", r"4\5 re."),
        (r"open\ ", "open\\ "),
        (r"\H\bold\N\ ", r"\H\bold\N\ "),
    ],
)
def test_escape_sequences_of_delimiters_and_bytes(raw: str, expected: str) -> None:
    (message,) = messages_in(adt())
    assert message.text(raw, "windows-1252") == expected


def test_a_deleted_value_is_no_value() -> None:
    (message,) = messages_in(adt(PV1_36='""', PV1_19='""'))
    assert message.value("PV1", 36) == message.value("PV1", 19) == ""


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("202606260412", "2026-06-26T09:12:00"),
        ("20260626041200", "2026-06-26T09:12:00"),
        ("20260626041200.5", "2026-06-26T09:12:00.5"),
        ("20260626041200.123456", "2026-06-26T09:12:00.123456"),
        ("20260626041200-0700", "2026-06-26T11:12:00"),
        ("202606260412+0530", "2026-06-25T22:42:00"),
        ("20261201041200", "2026-12-01T10:12:00"),
    ],
)
def test_instants(value: str, expected: str) -> None:
    assert instant(value, CHICAGO) == datetime.fromisoformat(expected).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    "value", ["", '""', "2026", "20260626", "20260626T041200Z", "20261326041200", "99999999999999", "2026062604"]
)
def test_what_is_no_instant(value: str) -> None:
    assert instant(value, CHICAGO) is None
    assert is_date(value) == (value == "20260626")


@given(st.binary(max_size=200))
def test_no_content_is_too_strange(content: bytes) -> None:
    """Whatever a frame contains, it is read, and every message in it is answered or known to need no answer."""
    for data in (content, adt() + content, b"MSH" + content, adt().replace(b"|", content[:1] or b"|")):
        for outcome in received(b"\x0b" + data.replace(b"\x1c", b"") + b"\x1c", sender()):
            outcome.answer(lambda: "1", datetime(2026, 1, 1, tzinfo=UTC))

"""Headers of NATS messages are read as nats-py reads them."""

from hypothesis import example, given
from hypothesis import strategies as st
from nats.aio.client import Client

from shared.messaging.client import NatsClient

PIECES = st.sampled_from(
    [b":", b"\r\n", b" ", b"\t", b"\x1c", b"Nats-Msg-Id", b"ce-type", b"\xc3\xa9", b"\xff", b"=", b"1"]
)


@given(st.lists(PIECES, max_size=30).map(b"".join))
@example(b"Nats-Stream: DISCHARGE\r\nce-type:x:y\r\nce-time:\t2026-01-02T03:04:05Z \r\n\r\n")
@example(b"twice: 1\r\ntwice: 2\r\n: no name\r\nno colon\r\ntwo words: 3\r\n")
def test_headers_are_those_of_nats_py(raw: bytes) -> None:
    assert NatsClient._parse_header_lines(raw) == Client._parse_header_lines(raw)

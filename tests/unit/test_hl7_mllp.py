"""Frames are found in whatever pieces a stream arrives."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.hl7.mllp import MAX_FRAME_BYTES, BrokenFrame, Deframer, Frame, OversizedFrame, Received, frame

ONE, TWO = b"MSH|^~\\&|1\rPID|1\r", b"MSH|^~\\&|2\r"
NEXT, END = BrokenFrame("next-frame"), BrokenFrame("end-of-connection")
LIMIT = 64
LARGE = b"MSH|" + b"x" * LIMIT

STREAMS: dict[str, tuple[bytes, list[Received]]] = {
    "one": (frame(ONE), [Frame(ONE)]),
    "two in one write": (frame(ONE) + frame(TWO), [Frame(ONE), Frame(TWO)]),
    "LF after the trailer": (frame(ONE) + b"\n" + frame(TWO) + b"\n", [Frame(ONE), Frame(TWO)]),
    "no CR after FS": (b"\x0b" + ONE + b"\x1c\x0b" + TWO + b"\x1c", [Frame(ONE), Frame(TWO)]),
    "text and NUL between frames": (b"\0hello" + frame(ONE) + b"\0\0 bye " + frame(TWO), [Frame(ONE), Frame(TWO)]),
    "nothing but junk": (b"MSH|no frame\r\n\0\x1c\r", []),
    "an empty frame": (b"\x0b\x1c\r", [Frame(b"")]),
    "broken off, then whole": (b"\x0bMSH|a\rPV1|4E^" + frame(TWO), [NEXT, Frame(TWO)]),
    "broken off twice": (
        b"\x0bMSH|a" + b"\x0bBHS|b" + b"\x0b\xef\xbb\xbfMSH|c\x1c",
        [NEXT, NEXT, Frame(b"\xef\xbb\xbfMSH|c")],
    ),
    "broken off at the end": (frame(ONE) + b"\x0bMSH|a\rPV1|", [Frame(ONE), END]),
    "broken off twice at the end": (b"\x0bMSH|a\x0bMSH|b", [NEXT, END]),
    "VT inside a text": (frame(b"MSH|a\x0bb"), [Frame(b"MSH|a\x0bb")]),
    "too large": (frame(LARGE) + frame(TWO), [OversizedFrame(LARGE), Frame(TWO)]),
    "exactly the limit": (frame(LARGE[:LIMIT]), [Frame(LARGE[:LIMIT])]),
    "broken off, then too large": (b"\x0bMSH|a" + frame(LARGE) + frame(TWO), [NEXT, OversizedFrame(LARGE), Frame(TWO)]),
    "too large and broken off": (b"\x0b" + LARGE * 3 + frame(TWO), [NEXT, Frame(TWO)]),
    "too large at the end": (b"\x0b" + LARGE * 3, [END]),
    "both within the limit": (b"\x0b" + LARGE[:60] + frame(LARGE[:60]), [NEXT, Frame(LARGE[:60])]),
}


def read(data: bytes, size: int, limit: int = LIMIT) -> list[Received]:
    deframer = Deframer(limit)
    found = [item for start in range(0, len(data), size) for item in deframer.feed(data[start : start + size])]
    return found + deframer.close()


@pytest.mark.parametrize("name", STREAMS)
@pytest.mark.parametrize("size", [1, 2, 3, 5, 8, 1000])
def test_frames(name: str, size: int) -> None:
    data, expected = STREAMS[name]
    found = read(data, size)
    # Of a frame that is too large the head is as much as had arrived.
    heads = [item.head for item in found if isinstance(item, OversizedFrame)]
    assert all(LARGE.startswith(head) and len(head) > LIMIT for head in heads)
    plain = [OversizedFrame(LARGE) if isinstance(item, OversizedFrame) else item for item in found]
    assert plain == expected


@given(
    st.lists(
        st.sampled_from([b"\x0b", b"\x1c", b"\r", b"\n", b"MSH", b"MS", b"BHS", b"|", b"x" * 40, b"\xef\xbb\xbf"])
    ),
    st.integers(1, 9),
)
def test_pieces_make_no_difference(parts: list[bytes], size: int) -> None:
    data = b"".join(parts)
    whole, pieces = read(data, len(data) or 1), read(data, size)
    assert [type(item) for item in whole] == [type(item) for item in pieces]
    assert [item for item in whole if isinstance(item, Frame)] == [item for item in pieces if isinstance(item, Frame)]


def test_the_limit_is_16_mib_and_what_is_over_it_is_not_kept() -> None:
    deframer = Deframer()
    piece = b"x" * 65_536
    assert deframer.feed(b"\x0bMSH|") == []
    for _ in range(MAX_FRAME_BYTES // len(piece) + 1):
        assert deframer.feed(piece) == []
    assert len(deframer._buffer) < 10
    (found,) = deframer.feed(b"\x1c\r")
    assert isinstance(found, OversizedFrame)
    assert found.head.startswith(b"MSH|xxx")
    assert not deframer.in_frame

"""Write HL7v2 messages with the usual delimiters. Pure.

Delimiters in a value are escaped (HL7 v2.5.1 chapter 2.7). Every other character stays as it is where the charset has
it: what some libraries make of `Ł`, `\\X141\\`, no receiver reads back.
"""

import re
from collections.abc import Mapping
from datetime import datetime

from shared.hl7.message import CHARSETS

ENCODING_CHARACTERS = "^~\\&"
DEFAULT_CHARSET = "UNICODE UTF-8"  # MSH-18, HL7 table 0211
_ESCAPED = {"\\": "\\E\\", "|": "\\F\\", "^": "\\S\\", "~": "\\R\\", "&": "\\T\\"}
_DELIMITERS = re.compile(r"[\\|^~&]")
# Control characters would end a segment, a frame or a connection. A tab is text.
_CONTROL = re.compile("[\x00-\x08\x0a-\x1f\x7f]")
REPLACEMENT = "\ufffd"
MAX_NAMED = 10  # characters that an error names


class UnencodableError(ValueError):
    """The charset does not have these characters. `names`: their code points, as `U+0141`."""

    def __init__(self, characters: set[str]) -> None:
        codes = [f"U+{ord(item):04X}" for item in sorted(characters)]
        more = f" and {len(codes) - MAX_NAMED} more" if len(codes) > MAX_NAMED else ""
        self.names = ", ".join(codes[:MAX_NAMED]) + more
        super().__init__(self.names)


def encode(message: str, charset: str, *, escape_others: bool) -> bytes:
    """Return a message of escaped values as bytes. `charset` is MSH-18.

    `escape_others`: characters that the charset does not have become `\\X…\\` with the hexadecimal bytes of their
    UTF-8, whose meaning the receiver has to know (HL7 v2.5.1 chapter 2.7.6).

    Raises UnencodableError without it.
    """
    codec = CHARSETS[charset]
    try:
        return message.encode(codec)
    except UnicodeEncodeError:
        others = {item for item in set(message) if not _has(codec, item)}
    if not escape_others:
        raise UnencodableError(others)
    run = re.compile(f"[{re.escape(''.join(sorted(others)))}]+")
    return run.sub(lambda found: f"\\X{found[0].encode().hex().upper()}\\", message).encode(codec)


def _has(codec: str, character: str) -> bool:
    try:
        character.encode(codec)
    except UnicodeEncodeError:
        return False
    return True


def escape(text: str) -> str:
    """Return one value of a field. A control character other than the tab becomes U+FFFD."""
    return _DELIMITERS.sub(lambda found: _ESCAPED[found[0]], _CONTROL.sub(REPLACEMENT, text))


def components(*values: str) -> str:
    """Return a field of escaped components, without empty ones at its end."""
    return "^".join(map(escape, values)).rstrip("^")


def segment(name: str, fields: Mapping[int, str]) -> str:
    """Return a segment of fields that are escaped already, by number. MSH-1 and MSH-2 are added."""
    if name == "MSH":
        fields = {**fields, 2: ENCODING_CHARACTERS}
    first = 2 if name == "MSH" else 1
    return "|".join([name, *(fields.get(number, "") for number in range(first, max(fields) + 1))])


def timestamp(at: datetime) -> str:
    """Return an instant with its offset: `20260626041200-0500`."""
    return at.strftime("%Y%m%d%H%M%S%z")


def text_lines(text: str) -> list[str]:
    """Return the lines of a text, for a segment each."""
    return text.replace("\r\n", "\n").replace("\r", "\n").rstrip("\n").split("\n")

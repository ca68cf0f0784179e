"""Read HL7v2 messages from the content of a frame. Pure.

Bytes are read as latin-1, so that what goes back in an answer is what came, byte for byte; text is decoded where it is
used (`Message.text`). Delimiters are those of MSH-1 and MSH-2 by position, and those that are missing do not exist.
Segments are found by name and only the fields asked for are split: the structure is not validated, which is the
engine's business, and a message of 16 MiB costs no more than one of 400 bytes.
"""

import codecs
import re
from collections.abc import Iterator
from dataclasses import dataclass

BOM = codecs.BOM_UTF8.decode("latin-1")
DELETED = '""'  # the sender deletes the value: there is none
MAX_FIELDS = 64  # fields of a segment that are kept apart; PV1 has 54 in HL7 2.9
MAX_PARTS = 256  # repetitions of a field, and components of a repetition
# MSH-18 → Python codec: HL7 table 0211, as far as no byte of a character can be a delimiter
CHARSETS = {
    "ASCII": "ascii",
    "UNICODE UTF-8": "utf-8",
    "UTF-8": "utf-8",
    **{f"8859/{number}": f"iso8859-{number}" for number in range(1, 17) if number != 12},
    "KS X 1001": "euc-kr",
}


@dataclass(frozen=True, slots=True)
class Delimiters:
    """The delimiters of one message; an empty one does not exist."""

    field: str
    component: str = ""
    repetition: str = ""
    escape: str = ""
    subcomponent: str = ""


@dataclass(frozen=True, slots=True)
class Message:
    """One message, as the text of its segments. Fields count from 1, as HL7's do."""

    segments: tuple[str, ...]
    delimiters: Delimiters

    def named(self, name: str) -> list[str]:
        """Return the segments of that name."""
        return [item for item in self.segments if item[:3] == name and item[3:4] in ("", self.delimiters.field)]

    def raw(self, name: str, number: int, which: int = 0) -> str:
        """Return a field as it came; empty where it or its segment is missing. `which` counts segments of the name."""
        found = self.named(name)
        if which >= len(found):
            return ""
        parts = found[which].split(self.delimiters.field, MAX_FIELDS)
        if name == "MSH":  # MSH-1 is the delimiter itself
            return self.delimiters.field if number == 1 else _at(parts, number - 1)
        return _at(parts, number)

    def repetitions(self, name: str, number: int, which: int = 0) -> list[str]:
        """Return the repetitions of a field."""
        return _split(self.raw(name, number, which), self.delimiters.repetition)

    def component(self, field: str, number: int) -> str:
        """Return a component of one repetition: its first subcomponent; empty where it is missing or deleted."""
        value = _at(_split(field, self.delimiters.component), number - 1)
        value = _split(value, self.delimiters.subcomponent)[0].strip()
        return "" if value == DELETED else value

    def value(self, name: str, number: int, component: int = 1) -> str:
        """Return a component of a field's first repetition."""
        return self.component(self.repetitions(name, number)[0], component)

    def text(self, value: str, fallback: str) -> str:
        """Return a value decoded, with its escape sequences resolved.

        By MSH-18 where that is right, else as UTF-8, else by the charset `fallback`, which replaces what it does not
        know: a wrong charset refuses no message.
        """
        data = value.encode("latin-1")
        for charset in (CHARSETS.get(self.value("MSH", 18).upper()), "utf-8"):
            try:
                if charset is not None:
                    return self._unescape(data.decode(charset))
            except UnicodeDecodeError:
                continue
        return self._unescape(data.decode(fallback, errors="replace"))

    def _unescape(self, text: str) -> str:
        """Resolve the escape sequences of delimiters and bytes; any other one stays as it is."""
        mark, marks = self.delimiters.escape, self.delimiters
        if not mark or mark not in text:
            return text
        known = {"F": marks.field, "S": marks.component, "R": marks.repetition, "T": marks.subcomponent, "E": mark}
        sequence = re.compile(f"{re.escape(mark)}(?:([FSRTE])|X((?:[0-9A-Fa-f]{{2}})+)){re.escape(mark)}")
        return sequence.sub(lambda found: _escaped(found[1], found[2], known, found[0]), text)


def messages_in(content: bytes) -> list[Message]:
    """Return the messages of a frame, in order: several where it is a batch; none where there is no readable MSH."""
    text = content.decode("latin-1")
    return [Message(lines, delimiters) for lines in _per_message(text) if (delimiters := _delimiters(lines[0]))]


def header_in(content: bytes) -> Message | None:
    """Return the header of a frame that cannot be read whole: too large, or in UTF-16."""
    found = messages_in(content)
    return found[0] if found else None


def from_utf16(content: bytes) -> bytes | None:
    """Return a frame in UTF-16 as latin-1; None where it is not in UTF-16."""
    marks = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
    if content.startswith(marks):
        codec = "utf-16"
    elif re.match(rb"[MBF]\0[SH]\0[HS]\0", content):
        codec = "utf-16-le"
    elif re.match(rb"\0[MBF]\0[SH]\0[HS]", content):
        codec = "utf-16-be"
    else:
        return None
    return content.decode(codec, errors="replace").encode("latin-1", errors="replace")


def _per_message(text: str) -> Iterator[tuple[str, ...]]:
    """Yield the segments of each message. Headers and trailers of files and batches belong to none."""
    lines: list[str] = []
    for line in _lines(text):
        if line.startswith("MSH"):
            if lines:
                yield tuple(lines)
            lines = [line]
        elif lines and line[:3] not in ("FHS", "BHS", "BTS", "FTS"):
            lines.append(line)
    if lines:
        yield tuple(lines)


def _lines(text: str) -> list[str]:
    """Split into segments. Without a CR, LF ends a segment; with one, CR LF does and a lone LF is content."""
    text = text.removeprefix(BOM).lstrip("\r\n\0 \t")
    text = text.replace("\r\n", "\r") if "\r" in text else text.replace("\n", "\r")
    return [line for line in text.split("\r") if line]


def _delimiters(header: str) -> Delimiters | None:
    """Return the delimiters of an MSH segment; None where it has no MSH-1."""
    field = header[3:4]
    if not field or field.isalnum() or field.isspace():
        return None
    marks = header[4:].split(field, 1)[0][:4]
    return Delimiters(field, *marks)


def _split(value: str, delimiter: str) -> list[str]:
    return value.split(delimiter, MAX_PARTS) if delimiter else [value]


def _at(parts: list[str], index: int) -> str:
    return parts[index] if index < len(parts) else ""


def _escaped(name: str | None, digits: str | None, known: dict[str, str], whole: str) -> str:
    if name is not None:
        return known[name]
    try:
        return bytes.fromhex(digits or "").decode("utf-8")
    except UnicodeDecodeError:
        return whole

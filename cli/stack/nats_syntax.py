"""Where the settings of a NATS configuration file are in its text. Pure: it finds, and changes nothing.

The syntax is nats-server's (`conf/lex.go`): JSON, with comments, unquoted words, `=` or no separator, and `include`.
https://docs.nats.io/running-a-nats-service/configuration
"""

import json
import re
from dataclasses import dataclass
from typing import Any

SPACE = " \t\r\n"
BETWEEN = SPACE + ",;"
WORD_END = re.compile(r"[\s,;\]}]|$")
KEY_END = re.compile(r"[\s:=]|$")
INCLUDE = "include"
VARIABLE = re.compile(r'("(?:[^"\\]|\\.)*")|(\$\w+)')


class UnreadableConfigurationError(Exception):
    """The text is not a NATS configuration, or uses syntax that is not read here (multi-line strings)."""


@dataclass(frozen=True, slots=True)
class Setting:
    """One `key: value` of a map, or an include, whose key is `include` and whose value is the file's name.

    `start` and `end` delimit it in the text, `value` starts its value. `inner` are the settings of a map.
    """

    key: str
    start: int
    value: int
    end: int
    inner: tuple["Setting", ...] | None = None


def settings(text: str) -> tuple[Setting, ...]:
    """Return the top-level settings of a configuration, in order. Raises UnreadableConfigurationError."""
    return _Reader(text).top()


def body_start(text: str) -> int:
    """Return where the first top-level setting may be inserted: after the brace, if the file is one JSON object."""
    reader = _Reader(text)
    at = reader.skip(0)
    return at + 1 if text[at : at + 1] == "{" else 0


def text_of(text: str, setting: Setting) -> str:
    """Return the value as it is written, without the quotes of a string."""
    return text[setting.value : setting.end].strip("\"'")


def json_value(text: str, setting: Setting) -> Any:
    """Return the value if it is written as JSON, in which `$VARIABLE` is allowed as a value; otherwise None."""
    quoted = VARIABLE.sub(lambda m: m[1] or f'"{m[2]}"', text[setting.value : setting.end])
    try:
        return json.loads(quoted)
    except ValueError:
        return None


def without(text: str, removed: list[Setting]) -> str:
    """Return the text without these settings, the separators behind them, and the lines that are empty then."""
    for setting in sorted(removed, key=lambda item: item.start, reverse=True):
        start, end = setting.start, setting.end
        separator = re.compile(r"[ \t]*[,;]?[ \t]*").match(text, end)
        end = separator.end() if separator else end
        line = text.rfind("\n", 0, start) + 1
        if not text[line:start].strip() and text[end : end + 1] in ("\n", ""):
            start, end = line, min(end + 1, len(text))
        text = text[:start] + text[end:]
    return text


class _Reader:
    def __init__(self, text: str) -> None:
        self._text = text

    def top(self) -> tuple[Setting, ...]:
        found: list[Setting] = []
        at = self.skip(0, BETWEEN + "{}")  # nats-server ignores braces around the whole file
        while at < len(self._text):
            found.append(self._setting(at))
            at = self.skip(found[-1].end, BETWEEN + "{}")
        return tuple(found)

    def skip(self, at: int, ignored: str = SPACE) -> int:
        """Return the position after characters of `ignored` and comments."""
        while at < len(self._text):
            if self._text[at] == "#" or self._text.startswith("//", at):
                end = self._text.find("\n", at)
                at = len(self._text) if end < 0 else end
            elif self._text[at] in ignored:
                at += 1
            else:
                break
        return at

    def _setting(self, start: int) -> Setting:
        if self._text[start] in "\"'":
            key, at = self._quoted(start)
        else:
            at = self._end_of(KEY_END, start)
            key = self._text[start:at]
            if key.lower() == INCLUDE and self._text[at : at + 1] in (" ", "\t"):
                value = self._blank(at)
                return Setting(INCLUDE, start, value, self._simple(value))
        at = self._blank(at, SPACE)
        if self._text[at : at + 1] in ("=", ":"):
            at = self._blank(at + 1)
        inner, end = self._value(at)
        return Setting(key, start, at, end, inner)

    def _value(self, at: int) -> tuple[tuple[Setting, ...] | None, int]:
        first = self._text[at : at + 1]
        if first in ("", "\n", "("):
            raise UnreadableConfigurationError
        if first == "{":
            return self._map(at)
        return None, self._array(at) if first == "[" else self._simple(at)

    def _map(self, at: int) -> tuple[tuple[Setting, ...], int]:
        found: list[Setting] = []
        at = self.skip(at + 1, BETWEEN)
        while self._text[at : at + 1] != "}":
            if at >= len(self._text):
                raise UnreadableConfigurationError
            found.append(self._setting(at))
            at = self.skip(found[-1].end, BETWEEN)
        return tuple(found), at + 1

    def _array(self, at: int) -> int:
        at = self.skip(at + 1, BETWEEN)
        while self._text[at : at + 1] != "]":
            _, at = self._value(at)
            at = self.skip(at, BETWEEN)
        return at + 1

    def _simple(self, at: int) -> int:
        """Return the end of a string, number, word or variable."""
        if self._text[at : at + 1] in ('"', "'"):
            return self._quoted(at)[1]
        end = self._end_of(WORD_END, at)
        if end == at:
            raise UnreadableConfigurationError
        return end

    def _quoted(self, at: int) -> tuple[str, int]:
        pattern = r'"((?:[^"\\]|\\.)*)"' if self._text[at] == '"' else r"'([^']*)'"
        found = re.compile(pattern, re.DOTALL).match(self._text, at)
        if found is None:
            raise UnreadableConfigurationError
        return found[1], found.end()

    def _blank(self, at: int, blanks: str = " \t") -> int:
        while self._text[at : at + 1] in set(blanks):
            at += 1
        return at

    def _end_of(self, pattern: re.Pattern[str], at: int) -> int:
        found = pattern.search(self._text, at)
        return found.start() if found else len(self._text)

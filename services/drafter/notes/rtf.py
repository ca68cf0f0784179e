"""Extract the text of RTF: paragraphs, tabs, characters of any code page; no styles, no pictures. Pure.

Rich Text Format Specification 1.9.1. Objects are not opened and nothing is decompressed, so a file cannot grow.
"""

import codecs
import re
from dataclasses import dataclass, field

# `\\word-12 `, `\\'e4`, `\\*` and other symbols, braces, plain text
_TOKEN = re.compile(r"\\([a-zA-Z]{1,32})(-?\d{1,10})? ?|\\'([0-9a-fA-F]{2})|\\([^a-zA-Z])|([{}])|([^\\{}\r\n]+)|[\r\n]")
_BREAKS = {
    "par": "\n",
    "line": "\n",
    "sect": "\n",
    "page": "\n",
    "row": "\n",
    "tab": "\t",
    "cell": " | ",
    "nestcell": " | ",
}
_CHARACTERS = {
    "emdash": "—", "endash": "–", "bullet": "•", "lquote": "‘", "rquote": "’", "ldblquote": "“", "rdblquote": "”",
    "emspace": " ", "enspace": " ",
}  # fmt: skip
_SYMBOLS = {"~": " ", "_": "-", "-": "", "\n": "\n", "\r": "\n", "\\": "\\", "{": "{", "}": "}"}
# Groups without words of the document.
_SKIPPED = frozenset(
    "fonttbl colortbl stylesheet info pict object themedata datastore listtable listoverridetable rsidtbl generator"  # noqa: SIM905
    " header footer headerl headerr footerl footerr latentstyles xmlnstbl filetbl revtbl fldinst".split()
)
MAX_DEPTH = 200  # nested groups
MAX_CHARACTERS = 2_000_000  # of text


@dataclass(slots=True)
class _Group:
    """State until a brace closes."""

    skipped: bool = False
    fallback: int = 1  # characters after \\u that stand for it: `\\ucN`
    hidden: bool = False


@dataclass(slots=True)
class _Reader:
    page: str = "cp1252"
    groups: list[_Group] = field(default_factory=lambda: [_Group()])
    out: list[str] = field(default_factory=list)
    length: int = 0
    waiting: int = 0  # characters still to be passed over after \\u
    opened: bool = False  # whether a group has just begun
    starred: bool = False
    high: int = 0  # first half of a character beyond 16 bits

    def put(self, text: str) -> None:
        if self.waiting:
            passed = min(self.waiting, len(text))
            self.waiting -= passed
            text = text[passed:]
        group = self.groups[-1]
        if text and not group.skipped and not group.hidden:
            self.length += len(text)
            if self.length > MAX_CHARACTERS:
                raise ValueError("it is too long")
            self.out.append(text)

    def brace(self, mark: str) -> None:
        if mark == "{":
            if len(self.groups) >= MAX_DEPTH:
                raise ValueError("its groups are nested too deeply")
            last = self.groups[-1]
            self.groups.append(_Group(last.skipped, last.fallback, last.hidden))
        elif len(self.groups) > 1:
            self.groups.pop()
        self.waiting = 0

    def word(self, word: str, number: int | None) -> None:
        group = self.groups[-1]
        if word == "u" and number is not None:
            self._unicode(number % 65536)
        elif word == "uc":
            group.fallback = max(number or 0, 0)
        elif word == "ansicpg" and number:
            self.page = _codec_of(f"cp{number}") or self.page
        elif word == "v":
            group.hidden = number != 0
        elif word == "plain":
            group.hidden = False
        elif word in _SKIPPED or (self.starred and self.opened):
            group.skipped = True
        elif word in _BREAKS:
            self.put(_BREAKS[word])
        elif word in _CHARACTERS:
            self.put(_CHARACTERS[word])

    def _unicode(self, code: int) -> None:
        self.waiting = 0
        if 0xD800 <= code < 0xDC00:
            self.high = code
        elif 0xDC00 <= code < 0xE000:
            if self.high:
                self.put(chr(0x10000 + ((self.high - 0xD800) << 10) + (code - 0xDC00)))
            self.high = 0
        else:
            self.put(chr(code))
        self.waiting = self.groups[-1].fallback


def text_of(source: str) -> str:
    """Return the text of an RTF file, one line for each paragraph.

    Raises ValueError for what is no RTF, is nested too deeply or too long.
    """
    if not source.lstrip("\ufeff \r\n\t").startswith("{\\rtf"):
        raise ValueError("it is no RTF")
    reader, position = _Reader(), 0
    while position < len(source):
        match = _TOKEN.match(source, position)
        if match is None:  # a backslash at the end
            break
        position = match.end()
        word, number, code, symbol, mark, plain = match.groups()
        if word == "bin":
            position += max(int(number or 0), 0)
        elif word:
            reader.word(word, int(number) if number else None)
        elif code:
            reader.put(bytes.fromhex(code).decode(reader.page, errors="replace"))
        elif mark:
            reader.brace(mark)
        elif plain:
            reader.put(plain)
        elif symbol and symbol != "*":
            reader.put(_SYMBOLS.get(symbol, ""))
        reader.starred = symbol == "*"
        reader.opened = mark == "{" or (symbol == "*" and reader.opened)
    return "".join(reader.out)


def _codec_of(page: str) -> str | None:
    try:
        return codecs.lookup(page).name
    except LookupError:
        return None

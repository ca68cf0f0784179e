"""Extract the lines of HTML and XHTML: blocks, items and rows on their own lines, cells separated by `

`. Pure.
"""

import re
from typing import Any

import lxml.html
from lxml.etree import LxmlError

_SKIPPED = frozenset({"script", "style", "head", "template", "noscript", "svg", "object", "iframe", "button", "select"})
_BLOCKS = frozenset(
    "address article aside blockquote body br caption center dd div dl dt fieldset footer form h1 h2 h3 h4 h5 h6 header"  # noqa: SIM905
    " hr html li main nav ol p pre section table tbody tfoot thead tr ul".split()
)
_HIDDEN = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden", re.IGNORECASE)


def lines_of(source: str) -> str:
    """Return the text of `source`, one line for each block.

    Raises ValueError where it is no markup.
    """
    if not source.strip():
        return ""
    try:
        parser = lxml.html.HTMLParser(encoding="utf-8", huge_tree=False)
        root = lxml.html.document_fromstring(source.encode("utf-8", errors="replace"), parser=parser)
    except (LxmlError, ValueError, AssertionError):
        raise ValueError("it is not HTML") from None
    pieces: list[str] = []
    _walk(root, pieces)
    text = "".join(pieces)
    return "\n".join(line for line in (" ".join(part.split()) for part in text.split("\n")) if line)


def _walk(root: Any, pieces: list[str]) -> None:
    """Walk in document order with an explicit stack: markup may be nested deeper than Python's call stack."""
    waiting: list[tuple[Any, bool]] = [(root, False)]
    while waiting:
        node, left = waiting.pop()
        if left:
            if isinstance(node.tag, str) and node.tag in _BLOCKS:
                pieces.append("\n")
            elif node.tag in ("td", "th"):
                pieces.append(" | " if node.getnext() is not None else " ")
            pieces.append(_collapse_spaces(node.tail))
            continue
        if not isinstance(node.tag, str) or node.tag in _SKIPPED or _HIDDEN.search(node.get("style") or ""):
            pieces.append(_collapse_spaces(node.tail))
            continue
        if node.tag in _BLOCKS:
            pieces.append("\n- " if node.tag == "li" else "\n")
        if node.tag == "pre":
            pieces.append(node.text_content() + "\n" + _collapse_spaces(node.tail))
            continue
        pieces.append(_collapse_spaces(node.text))
        waiting.append((node, True))
        waiting += [(child, False) for child in reversed(node)]


def _collapse_spaces(text: str | None) -> str:
    """Replace line breaks of the source by spaces."""
    return re.sub(r"\s+", " ", text or "")

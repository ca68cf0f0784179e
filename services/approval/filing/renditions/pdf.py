"""The signed text as a document to print: PDF/A-2a (ISO 19005-2) and PDF/UA-1 (ISO 14289-1) in one, by Typst.

The same data give the same bytes. https://typst.app/docs/reference/pdf/
"""

import json
import re
from datetime import datetime
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

import typst

from services.approval.filing.renditions.signed import Section, SignedText, writable

Paper = Literal["a4", "us-letter"]
TEMPLATE = Path(__file__).with_name("document.typ")
# Fonts for characters that Typst's own fonts lack. Noto Sans Arabic and Noto Sans CJK: SIL Open Font License 1.1.
FONTS = ("fontpkg_noto_sans_arabic", "cvttf_NotoSansCJK_Regular")
LINE, CELL = 60, 20  # characters of a word that fit on a line, and in a cell of a table


def write(
    text: SignedText, *, patient: str, hospital: str, author: str, signature: list[str], at: datetime, paper: Paper
) -> bytes | None:
    """Return the PDF, with `patient` and `hospital` on every page.

    None if it cannot be written, for example if no font has one of its characters: a page with a gap would differ from
    what was signed. The reason is not returned: Typst's message quotes the text.
    """
    given: dict[str, Any] = {
        "title": text.title,
        "sections": [_section(section) for section in text.sections],
        "patient": _breakable(writable(patient)),
        "hospital": _breakable(writable(hospital)),
        "author": writable(author),
        "signature": [_breakable(writable(line)) for line in signature],
        "date": {"year": at.year, "month": at.month, "day": at.day},
        "paper": paper,
    }
    try:
        written: bytes = typst.compile(
            TEMPLATE,
            format="pdf",
            sys_inputs={"document": json.dumps(given)},
            pdf_standards=["a-2a", "ua-1"],
            font_paths=_fonts(),
            timestamp=int(at.timestamp()),
        )
    except RuntimeError:  # TypstError is one
        return None
    return written


def _section(section: Section) -> dict[str, Any]:
    blocks = [
        {
            "title": _breakable(block.title),
            "columns": [_breakable(column, CELL) for column in block.columns],
            "lines": [
                {
                    "text": _breakable(line.text),
                    "item": line.item,
                    "cells": [_breakable(cell, CELL) for cell in line.cells],
                }
                for line in block.lines
            ],
        }
        for block in section.blocks
    ]
    return {"title": _breakable(section.title), "blocks": blocks}


def _breakable(text: str, longest: int = LINE) -> str:
    """Return `text` with break opportunities in words that would not fit on a line."""
    return re.sub(rf"\S{{{longest}}}(?=\S)", lambda found: f"{found[0]}\u200b", text)


@cache
def _fonts() -> typst.Fonts:
    """Return the fonts, found once: a search of the directories takes longer than writing a PDF."""
    specs = [find_spec(name) for name in FONTS]
    directories = [place for spec in specs if spec for place in spec.submodule_search_locations or ()]
    return typst.Fonts(include_system_fonts=False, font_paths=directories)

"""Split clinical prose into sentences. Decimals, titles and dosing abbreviations do not end one."""

import re

ABBREVIATIONS = (
    "dr.",
    "mr.",
    "mrs.",
    "ms.",
    "st.",
    "vs.",
    "no.",
    "e.g.",
    "i.e.",
    "approx.",
    "b.i.d.",
    "t.i.d.",
    "q.d.",
    "q.i.d.",
    "p.o.",
    "i.v.",
    "prof.",
    "jr.",
    "sr.",
    "z.b.",
    "resp.",
    "inj.",
    "fig.",
)
_END = re.compile(r"[.!?](?=\s+[A-Z0-9\[(\"'])")


def split_sentences(text: str) -> list[str]:
    """Return the sentences of `text`, in order, stripped."""
    found: list[str] = []
    start = 0
    for match in _END.finditer(text):
        last_word = text[start : match.end()].rsplit(maxsplit=1)[-1].lower()
        initial = re.fullmatch(r"[a-z]\.", last_word)
        if last_word in ABBREVIATIONS or initial:
            continue
        found.append(text[start : match.end()].strip())
        start = match.end()
    found.append(text[start:].strip())
    return [sentence for sentence in found if sentence]

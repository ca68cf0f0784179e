"""Expand the shorthand of clinical notes, so that every rule reads the same words: `d/c'd on`, `h/o`, `2/2`, `?PE`.

Shorthand that depends on context is resolved here: `d/c'd` is "discharged" for a person and "discontinued" for a
medicine. `shorthand.tsv` is our own list of what is common in English hospital notes.
"""

import re
from functools import cache

from shared.grounding.entity_finder import find_drugs
from shared.grounding.vocabulary import FOLDER

_DISCHARGED = re.compile(
    r"\b(?:d/c'?e?d|dc'd|dc'ed|dced)(?=\s*(?:$|[.,;]|on\b|to\b|home\b|w/|with\b|from\b|in\b|after\b|under\b|back\b"
    r"|against\b|ama\b|today\b|\d|january|february|march|april|may|june|july|august|september|october|november|"
    r"december))",
    re.IGNORECASE,
)
_LEAVING_ABBREVIATION = re.compile(r"\b(?:d/c|dc)(?!['’\w/])", re.IGNORECASE)
_ENDED = re.compile(r"\b(?:d/c'?e?d|dc'd|dc'ed|dced)\b", re.IGNORECASE)
_PERSON = re.compile(
    r"(?:^|\b(?:pt|patient|he|she|was|and|mr\.? \w+|ms\.? \w+|mrs\.? \w+|then|ultimately) )$", re.IGNORECASE
)
_HAS_SHORTHAND = re.compile(r"\bx\s?\d|['?@&+↑↓]|\b[A-Za-z]{1,8}\b")
# Sign or abbreviation → words; in this order.
_SIGNS: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern, flags), words)
    for pattern, words, flags in (
        (r"’", "'", 0),
        (r"\b[pP]t(?='s\b|\b)(?!/|\d|\.\w)", "patient", 0),
        (r"\b(?:you have|you've)\b", "the patient has", re.IGNORECASE),
        (r"\b(?:you are|you're)\b", "the patient is", re.IGNORECASE),
        (r"\byou were\b", "the patient was", re.IGNORECASE),
        (r"\byour(?:s)?\b", "the patient's", re.IGNORECASE),
        (r"\byou\b", "the patient", re.IGNORECASE),
        (r"\bS\.\s?(?=[a-z]{3,})", "serum ", 0),
        (r"\bk/?c/?o\b", "known case of", re.IGNORECASE),
        (r"\bs/o\b", "suggestive of", re.IGNORECASE),
        (r"\bc/s\b", "culture", re.IGNORECASE),
        (r"\b(?:tab|inj|cap|syp)\.(?= ?[A-Za-z])", "", re.IGNORECASE),
        (r"^all(?:ergies)?\s*:", "Allergies:", re.IGNORECASE),
        (r"^d\.?o\.?a\.?\s*:", "Date of admission:", re.IGNORECASE),
        (r"^d\.?o\.?d\.?\s*:", "Date of discharge:", re.IGNORECASE),
        (r"^rx(?= for\b)|\brx'd\b", "prescribed", re.IGNORECASE),
        (r"\brx\b", "prescription", re.IGNORECASE),
        (r"\br/o'?d(?: out)? for\b", "ruled out for", re.IGNORECASE),
        (r"\br/o'?d\b", "ruled out", re.IGNORECASE),
        (r"\br/o\b", "rule out", re.IGNORECASE),
        (r"(?<![\d/])\b2/2\b(?!/)", "secondary to", 0),
        (r"(?<=\s)\?+\s?(?=[A-Za-z])|^\?+\s?(?=[A-Za-z])|\bquery (?=[a-z])", "possible ", re.IGNORECASE),
        (r"(?<![qQ]\d)(?<![xX]\d)(?<![xX]\d\d)(?<=\d)\s?d\b(?=\s*(?:$|[.,;]|of\b|course))", " days", 0),
        (r"(?<!\w)(?:x|×)\s?(\d+)[\s-]?(?:d|days?)\b", r"for \1 days", re.IGNORECASE),
        (r"\bx\s?(\d+)\s?(?:wks?|weeks?)\b", r"for \1 weeks", re.IGNORECASE),
        (r"\bx(?=\s\d+\s?(?:d|days?|wks?|weeks?)\b)", "for", re.IGNORECASE),
        (r"(?<![\w-])T(?![\w-]| wave| score| cell| inversion|\.|$)", "temperature", 0),
        (r"^T(?=\s(?:low|high|elevated|normal|WNL|max))|(?:(?<=low )|(?<=high )|(?<=elevated )|(?<=raised ))"
            r"T(?=[.,;]|$)", "temperature", 0),
        (r"^(?:LAMA|DAMA)\b", "Left against medical advice", 0),
        (r"\b(takes?|taking|on) ([^.;]{3,60}) at baseline\b", r"\1 \2 at home", re.IGNORECASE),
        (r"\b(?:days in (?:the )?hospital|hospital days)\s*:\s*(\d+)\b", r"hospital stay: \1 days", re.IGNORECASE),
        (r"\bnil\b(?! by mouth)", "no", re.IGNORECASE),
        (r"(?:(?<=\bfor )|(?<=\bLOS ))(\d+)/7\b|\b(\d+)/7(?= (?:of|course|then|total)\b)", r"\1\2 days", re.IGNORECASE),
        (r"\b(Na|K|Ca|Mg|Cl)\+{1,2}", r"\1", 0),
        (r"^Home(?= (?:on discharge|with|today)|\.$)", "Discharged home", 0),
        (r"\bRIP\b", "died", 0),
        (r"\bresus\b", "resuscitation", re.IGNORECASE),
        (r"\bNFR\b", "Not for resuscitation", 0),
        (r"^ADRs?(?=\s*[:-])", "Allergies", 0),
        (r"\bDH(?=\s*:)", "home medications", 0),
        (r"\s@\s?", " at ", 0),
        (r"\s&\s", " and ", 0),
        (r"↑\s?", " elevated ", 0),
        (r"↓\s?", " low ", 0),
        (r"\badm(?:it)?(?= (?:w/|with|for|to|on \d|\d))", "admitted", re.IGNORECASE),
        (r"\bhypo(?=(?:Na|K|Ca|Mg)\b)", "low ", 0),
        (r"\bhyper(?=(?:Na|K|Ca|Mg)\b)", "high ", 0),
    )
)  # fmt: skip


@cache
def _read_shorthand() -> tuple[re.Pattern[str], dict[str, str]]:
    rows = dict(line.split("\t") for line in (FOLDER / "shorthand.tsv").read_text().splitlines())
    longest = sorted(map(re.escape, rows), key=len, reverse=True)
    return re.compile(rf"(?<![\w/'])(?:{'|'.join(longest)})(?![\w/'])\.?(?=\s*)", re.IGNORECASE), rows


def expand_shorthand(text: str) -> str:
    """Return the sentence with shorthand expanded; unchanged where it has none."""
    if _HAS_SHORTHAND.search(text) is None:
        return text
    for pattern, words in _SIGNS:
        text = pattern.sub(words, text)
    text = _expand_dc(text)
    pattern, rows = _read_shorthand()
    found = pattern.sub(lambda match: _expansion(match, text, rows), text)
    return re.sub(r"(?<=\S)  +", " ", found)


def _expansion(match: re.Match[str], text: str, rows: dict[str, str]) -> str:
    """Return the words for an abbreviation, keeping the sentence's final full stop and initial capital."""
    written = match.group().rstrip(".")
    words = rows[written.lower()]
    last = match.group().endswith(".") and match.end() >= len(text.rstrip())
    return (
        (words[:1].upper() + words[1:] if match.start() == 0 else words)
        + ("." if last else "")
        + (" " if written.endswith("/") and not text[match.end() : match.end() + 1].isspace() else "")
    )


def _expand_dc(text: str) -> str:
    """Expand `d/c` and `d/c'd`: discharge of a person, discontinuation of a medicine."""
    if "/c" not in text.lower() and "dc" not in text.lower():
        return text

    def expand_past(match: re.Match[str]) -> str:
        closed = not re.match(r"\s*[a-z\d]", text[match.end() :], re.IGNORECASE)
        person = _PERSON.search(text[: match.start()]) is not None
        return "discontinued" if closed and not person else "discharged"

    text = _DISCHARGED.sub(expand_past, text)
    text = _ENDED.sub("discontinued", text)
    return _LEAVING_ABBREVIATION.sub(lambda match: _dc_noun(match, text), text)


def _dc_noun(match: re.Match[str], text: str) -> str:
    rest = text[match.end() :].lstrip()
    drug = next(iter(find_drugs(rest)), None)
    if drug is not None and drug.start == 0 and match.start() == 0:
        return "Discontinue"
    verb = match.start() == 0 and re.match(r"(?:home|to)\b|\d|w/", rest, re.IGNORECASE)
    return ("Discharged" if verb else "Discharge") if match.start() == 0 else "discharge"

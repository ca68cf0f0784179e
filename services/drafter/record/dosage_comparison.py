"""Normalize orders for comparison, and check that text and structure of a dosage agree. Pure."""

import re

from services.drafter.record.dosage_amounts import first_dose, first_rate, list_doses, upper_limits
from services.drafter.record.dosage_match import FREQUENCIES_BY_COUNT, FREQUENCY_PATTERNS, ROUTES, text_states
from services.drafter.record.dosage_parts import as_needed, format_route, format_site, list_instructions
from services.drafter.record.dosage_words import NUMBER, UNIT
from services.drafter.record.dose_units import canonical_units, unit_pattern
from services.drafter.record.timing import format_frequency, format_limits
from shared.clinical import elements
from shared.clinical.elements import Resource

# An instruction that repeats the structure's "as needed" says nothing else than an order without it.
_ONLY_NEEDED = re.compile(r"(?:take |use )?(?:(?:as|if|when) (?:needed|required|necessary)|prn)\.?", re.IGNORECASE)
_GROUPED = re.compile(rf"(?<![\d.,/-])([1-9]\d{{0,2}}[.,]\d{{3}})(?![.,]?\d)(?= ?{UNIT}(?![^\W_]))", re.IGNORECASE)


def text_differs(line: Resource) -> bool:
    """Return whether the text gives another amount in the same unit, or another frequency, than the structure."""
    free_text = (elements.string(line, "text") or "").lower()
    often = format_frequency(line.get("timing")).partition(", ")[0]
    stated = {name for name in FREQUENCIES_BY_COUNT if re.search(FREQUENCY_PATTERNS[name], free_text)}
    stated = stated - {"once daily"} or stated  # "twice daily" has the word of "daily", too
    if often in FREQUENCIES_BY_COUNT and stated and often not in stated:
        return True
    amount_matches = [
        match for text in list_doses(line) if (match := re.fullmatch(rf"({NUMBER}) ?([^\W\d_ ]+(?: [^\W\d_]+)?)", text))
    ]
    if any(text_states(match[0], free_text) for match in amount_matches):
        return False
    units = [unit_pattern(match[2]) for match in amount_matches]
    return any(re.search(rf"{NUMBER} ?{unit}(?![^\W\d_]|/)", free_text) is not None for unit in units)


def ambiguous_dose(line: Resource) -> str:
    """Return a dose in the text that may be read as 1250 or 1.25; empty where there is none.

    `3.125 mg` with that structure is not ambiguous; `1.250 mg` is, as decimals do not end with a zero.
    """
    text = elements.string(line, "text") or ""
    stated = {found.partition(" ")[0] for found in list_doses(line)}
    for match in _GROUPED.finditer(text):
        written = match[1]
        thousands, decimal = re.sub(r"[.,]", "", written), written.replace(",", ".").rstrip("0").rstrip(".")
        if "," in written and not stated & {thousands, decimal}:
            continue  # `5,000 units` is English
        if thousands in stated or (written.endswith("0") and (not stated or decimal in stated)):
            return written
    return ""


def normalized_line(line: Resource) -> str:
    """Return amount, route, frequency and as-needed, from the structure, else from the text.

    Site, rate, limits and instructions count as they are. Additional text is compared too where the structure is
    incomplete; where it is complete, its numbers are.
    """
    text = canonical_units(normalized_text(elements.string(line, "text") or ""))
    often = format_frequency(line.get("timing"))
    coded = bool(first_dose(line) and (often or as_needed(line)))
    much, text = _take_or_match(
        r"^\d+(\.\d+)?[a-zµ%]+(/\d+(\.\d+)?[a-zµ%]+)?\b",
        canonical_units(first_dose(line).lower()).replace(" ", ""),
        text,
    )
    way = next(
        (name for name, words in ROUTES.items() if re.search(words, format_route(line).lower())),
        format_route(line).lower(),
    )
    for name, words in ROUTES.items():
        if re.search(words, text):
            way, text = _take_or_match(words, way or name, text)
    needed, text = _take_or_match(r"\bas needed\b|\bprn\b|if needed|when required", as_needed(line), text)
    for name, words in sorted(
        FREQUENCY_PATTERNS.items(), key=lambda item: item[0] == "once daily"
    ):  # "daily" is in others' words
        if (not often or often == name) and re.search(words, text):
            often, text = _take_or_match(words, often or name, text)
            break
    additional = [part for part in list_instructions(line) if not (needed and _ONLY_NEEDED.fullmatch(part.strip()))]
    more = [*format_limits(line.get("timing")), format_site(line), first_rate(line), *upper_limits(line), *additional]
    more += [as_needed(line).removeprefix("as needed")]
    rest = " ".join(part for part in more if part).lower()
    words = " ".join(sorted(_numbers_beyond(text, f"{rest} {often}")) if coded else text.split())
    return "|".join([much, way, often, needed and "as needed", rest, words])


def _numbers_beyond(text: str, structure: str) -> set[str]:
    """Return numbers of the text that the structure lacks: `except 2.5 mg on Mondays`."""
    return set(re.findall(NUMBER, text)) - set(re.findall(NUMBER, structure)) - {"1"}  # `1 tablet` is an amount, too


def _take_or_match(pattern: str, value: str, text: str) -> tuple[str, str]:
    """Return the structure's value, else what `pattern` finds in the text; and the text without it."""
    match = re.search(pattern, text)
    return value or (match.group() if match else ""), re.sub(pattern, " ", text) if match else text


def normalized_text(text: str) -> str:
    """Return free text for comparison: lower case, single spaces, decimal points, no final punctuation."""
    text = re.sub(r"(?<=\d),(?=\d)", ".", text.lower())
    text = re.sub(r"(?<=\d)\s+(?=[a-zµ%])", "", text)
    return " ".join(re.sub(r"[^\w.%/+-]+", " ", text).split()).rstrip(".")

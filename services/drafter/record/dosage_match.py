"""Match the text of a dosage with elements of its structure. Pure."""

import re
from fractions import Fraction

from services.drafter.record.dosage_words import NUMBER
from services.drafter.record.dose_units import canonical_units, unit_pattern

# Words of a dosage's text that say the same as an element of its structure.
ROUTES = {
    "oral": r"oral|by mouth|\bp\.?o\.?\b|per os|mouth|swallow|tablet|einnehm",
    "intravenous": r"intraven|\bi\.?v\.?\b|vein|infus",
    "subcutaneous": r"subcut|\bs\.?c\.?\b|\bs\.?q\.?\b|under the skin",
    "intramuscular": r"intramusc|\bi\.?m\.?\b",
    "inhal": r"inhal|\bneb|puff",
    "topical": r"topical|skin|apply",
}
_PER_DAY = r" ?(x|×)(?! ?\d)"  # `2 x daily`, not `2 x 500 mg`
FREQUENCY_PATTERNS = {
    "once daily": r"\bdaily\b|once (a|per) day|every day|each day|\bq?od?\b|q24|\b1 maal\b|\b1" + _PER_DAY,
    "twice daily": r"twice|\bbid\b|b\.i\.d|\bbd\b|two times|2 \(two\)|2 times|every 12|q12|2 maal|\b2" + _PER_DAY,
    "three times daily": r"three times|\btid\b|t\.i\.d|\btds\b|3 times|every 8 ?h|q8|3 maal|thrice|\b3" + _PER_DAY,
    "four times daily": r"four times|\bqid\b|q\.i\.d|\bqds\b|4 times|every 6 ?h|q6|4 maal|\b4" + _PER_DAY,
    "once a week": r"weekly|\b(a|per|each|every|pro) (week|woche)|wöchentl|wekelijks|\bqwk|wkly",
    "every other day": r"other day|second day|alternate|om de dag|\bqod\b|jeden zweiten",
    "at bedtime": r"bed|\bq?hs\b|nocte|nacht",
    "in the morning": r"morning|\bmane\b|ochtend|morgen",
}


FREQUENCIES_BY_COUNT = (
    "once daily",
    "twice daily",
    "three times daily",
    "four times daily",
    "once a week",
    "every other day",
)


_MICROGRAMS = {"µg": 1, "mg": 1000, "g": 1_000_000}
_MASS = re.compile(r"(?<![\d.,/–-])(?<![^\W\d_])(\d{1,9}(?:\.\d{1,9})?)(µg|mg|g)(?![^\W_]|/)")
# Lengths of time in words; months differ in length and are only compared as they are written.
_HOURS = {"hour": 1, "stund": 1, "uur": 1, "uren": 1, "heure": 1, "day": 24, "tag": 24, "dag": 24, "jour": 24}
_HOURS |= {"week": 168, "woche": 168, "weken": 168, "semaine": 168}
_NUMBER_WORDS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_COUNTS = {word: Fraction(count) for count, word in enumerate(_NUMBER_WORDS, 1)}
_LENGTH = re.compile(
    rf"(?:\b(?:every|each|alle|elke|toutes les|in|within|after|at least|mind\w*\.?) )?"
    rf"\b(\d+(?:\.\d+)?|{'|'.join(_NUMBER_WORDS)})(?:[ -]| more | further | weitere | nog )?({'|'.join(_HOURS)})\w*"
)
_EVERY = re.compile(r"every|each|alle|elke|toutes|^in |within|after|least|mind")


def has_route(route: str, text: str) -> bool:
    route, text = route.lower(), text.lower()
    return any(
        re.search(words, text) is not None
        for name, words in ROUTES.items()
        if name in route or re.fullmatch(words, route)
    )


def text_states(part: str, text: str) -> bool:
    """Return whether the text states `part` of the structure: whole numbers, whole words."""
    part, text = part.lower(), re.sub(r"(?<=\d),(?=\d)", ".", text.lower())
    if re.search(rf"(?<![\d.,/–-])(?<![^\W\d_]){_pattern_of_part(part)}(?![^\W_]|[.,/–-]\d|/)", text):
        return True
    if (mass := _in_micrograms(part)) is not None:
        return mass in {_in_micrograms(mass_match[0]) for mass_match in _MASS.finditer(canonical_units(text))}
    if part.startswith("as needed"):
        return len(part) <= len("as needed") and re.search(r"needed|\bprn\b|required|bedarf|zo nodig", text) is not None
    if length := re.fullmatch(rf"for ({NUMBER}) (\w+)", part):
        return _states_duration(length[1], length[2], text)
    if days := re.fullmatch(r"(.*?),? on ((?:\w+day(?:, | and |$))+)", part):
        return _on_days(days[1], days[2], text)
    if part in FREQUENCY_PATTERNS:
        others = (FREQUENCY_PATTERNS[name] for name in FREQUENCIES_BY_COUNT if name not in (part, "once daily"))
        return re.search(FREQUENCY_PATTERNS[part], text) is not None and not any(
            re.search(words, text) for words in others
        )
    if (times := re.fullmatch(r"(\d+) times daily", part)) and 24 % int(times[1]) == 0:
        hours = 24 // int(times[1])
        return re.search(rf"\bq ?{hours} ?h|every {hours} h", text) is not None
    return False


def _in_micrograms(dose: str) -> Fraction | None:
    """Return a dose in micrograms: `62.5 mcg` and `0.0625 mg` are one amount."""
    match = _MASS.fullmatch(canonical_units(dose).replace(" ", ""))
    return Fraction(match[1]) * _MICROGRAMS[match[2]] if match else None


def _pattern_of_part(part: str) -> str:
    """Return a pattern of the tokens of a part with any space between; a unit in any spelling."""
    spaced = r"\s*".join(re.escape(token) for token in re.findall(rf"{NUMBER}|[^\W\d_]+|[^\w\s]", part))
    dose = re.fullmatch(rf"({NUMBER}) ([^\W\d_]+(?: [^\W\d_]+)?)", part)
    return rf"(?:{spaced}|{re.escape(dose[1])}\s*{unit_pattern(dose[2])})" if dose else spaced


def _states_duration(value: str, unit: str, text: str) -> bool:
    """Return whether the text has the same length in another unit or language: `for 8 weeks` is 56 days."""
    hours = _in_hours(value, unit)
    return hours is not None and any(
        _in_hours(length[1], length[2]) == hours for length in _LENGTH.finditer(text) if not _EVERY.search(length[0])
    )


def _in_hours(value: str, unit: str) -> Fraction | None:
    amount = _COUNTS.get(value) or (Fraction(value) if re.fullmatch(r"\d+(\.\d+)?", value) else None)
    size = next((size for start, size in _HOURS.items() if unit.startswith(start)), None)
    return amount * size if amount is not None and size is not None else None


def _on_days(often: str, days: str, text: str) -> bool:
    """Return whether the text names the same weekdays, every week."""
    named = [re.search(rf"\b{day[:3]}", text) is not None for day in re.findall(r"\w+day", days)]
    weekly = re.search(FREQUENCY_PATTERNS["once a week"], text) or re.search(r"every|each|jede|elke|\w+days\b", text)
    return all(named) and (weekly is not None if often in ("once a week", "every week") else text_states(often, text))

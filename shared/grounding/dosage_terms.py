"""Routes and frequencies of a medicine in their usual wordings, each with its place in the text."""

import re
from dataclasses import dataclass
from functools import lru_cache

from shared.grounding.numerals import ORDINALS, find_numerals

_ROUTES: dict[str, str] = {
    "by mouth": r"p\.?/?o\.?|by mouth|oral(?:ly)?(?! (?:cavity|thrush|intake|ulcer))|per os|zum einnehmen|oraal|"
    r"swallow",
    "intravenous": r"i\.?/?v\.?p?b?(?! (?:line|access|catheter))|intravenous(?:ly)?|(?:through|via|by|as) "
    r"(?:the |an? |his |her )?(?:iv|vein|drip|infusion)|into (?:the |a )?vein|intraveneus|i\.v\.",
    "intramuscular": r"i\.?/?m\.?|intramuscular(?:ly)?|into (?:the |a )?muscle",
    "subcutaneous": r"s\.?/?c\.?|s\.?q\.?|sub-?q|sub-?cu|sub-?cut(?:aneous(?:ly)?)?|(?:as an injection )?under "
    r"the skin|subkutan|subcutaan",
    "inhaled": r"(?:by|via|as an|through|with) (?:an |a |the |his |her )?(?:inhaler|nebuli[sz]er)|inh(?:aled)?|"
    r"inhal(?:ation|e|er|ing|atie)s?|by inhalation|neb(?:s|uliz(?:ed|er|ation)s?|ulis(?:ation|ed|"
    r"er)s?)?|(?:via|by) nebuli[sz]\w+|puffs?",
    "sublingual": r"s\.?l\.?|sublingual(?:ly)?|under the tongue",
    "topical": r"topical(?:ly)?|to (?:the )?skin|cream|ointment",
    "transdermal": r"transdermal(?:ly)?|patch(?:es)?|td",
    "rectal": r"p\.?r\.?|rectal(?:ly)?|per rectum|suppositor(?:y|ies)",
    "nasal": r"(?:intra)?nasal(?:ly)?(?! cannula)|in (?:each|both) nostrils?",
    "ophthalmic": r"ophthalmic|eye drops?|in(?:to)? (?:the )?(?:left|right|both|each) eyes?",
    "vaginal": r"vaginal(?:ly)?|per vaginam",
    "intrathecal": r"intrathecal(?:ly)?",
    "by tube": r"(?:via|per|by|through) (?:the )?(?:ng|peg|og|nasogastric|gastrostomy|feeding) ?tube|enteral(?:ly)?",
    "epidural": r"epidural(?:ly)?",
}
_ROUTE = re.compile(
    "|".join(rf"(?P<r{index}>(?<![\w.])(?:{words})(?![\w]))" for index, words in enumerate(_ROUTES.values())),
    re.IGNORECASE,
)
_NAMES = tuple(_ROUTES)
_COUNT = (
    r"\d+|one|two|three|four|five|six|seven|eight|ten|twelve|twenty-four|twenty four|forty-eight|"
    r"seventy-two|second|third|fourth"
)
_LATIN = {
    "qd": 1.0,
    "nocte": 1.0,
    "mane": 1.0,
    "q.d": 1.0,
    "od": 1.0,
    "bid": 2.0,
    "b.i.d": 2.0,
    "bd": 2.0,
    "tid": 3.0,
    "t.i.d": 3.0,
    "tds": 3.0,
    "qid": 4.0,
    "q.i.d": 4.0,
    "qds": 4.0,
    "qhs": 1.0,
    "qam": 1.0,
    "qpm": 1.0,
    "hs": 1.0,
    "qod": 0.5,
    "nightly": 1.0,
    "daily": 1.0,
    "twice": 2.0,
    "weekly": 1 / 7,
    "biweekly": 1 / 14,
    "fortnightly": 1 / 14,
    "monthly": 1 / 30,
    "hourly": 24.0,
    "bedtime": 1.0,
    "morning": 1.0,
    "evening": 1.0,
    "night": 1.0,
    "day": 1.0,
    "thrice": 3.0,
}
_PERIODS = {"hour": 24.0, "h": 24.0, "hr": 24.0, "day": 1.0, "d": 1.0, "week": 1 / 7, "wk": 1 / 7, "month": 1 / 30,
            "min": 1440.0, "minute": 1440.0}  # fmt: skip
_FREQUENCY = re.compile(
    rf"(?<![\w.])(?:(?P<every>(?:every|each|q\.?|alle) ?-?(?P<n>{_COUNT})?(?:[-–](?P<most>\d+))?[ "
    rf"-]?(?P<unit>hours?|hrs?|h|days?|d|weeks?|wk|months?|minutes?|mins?)\b)"
    rf"|(?P<other>every other day|every second day|on alternate days|alternate days|qod|q\.o\.d\.)"
    rf"|(?P<times>(?:(?P<k>{_COUNT})(?: ?\((?:{_COUNT})\))? ?(?:times|x|maal|mal)|(?P<adverb>once|twice|one "
    rf"time|two times|"
    rf"thrice|1 maal)) ?(?:an?|per|each|every|/)? ?-?(?P<per>daily|dag|days?|weekly|weeks?|monthly|months?|"
    rf"nightly|tag|täglich|an hour|hour)\b)"
    rf"|(?P<latin>q\.?day|q\.?d\.?|o\.?d\.?|nocte|mane|q\.?week|q\.?wk|b\.?i\.?d\.?|t\.?i\.?d\.?|q\.?i\.?d\.?|"
    rf"bd|tds|qds|qhs|qam|qpm|nightly|hs\b|once "
    rf"nightly)(?![\w])"
    rf"|(?P<scheme>[0-9½](?:-[0-9½]){{2,3}}(?!-?\d))"
    rf"|(?P<part>(?:at|before|every|each|in the|on) (?:bedtime|night|morning|evening|bed))"
    rf"|(?P<adjective>(?:once )?(?:weekly|monthly|daily|hourly|fortnightly)|per day|a day|per week|a week)"
    rf"|(?P<hourly>(?P<hours>{_COUNT})[- ]hourly))",
    re.IGNORECASE,
)
PRN = re.compile(
    r"\b(?:as[- ]needed|prn|p\.r\.n\.?|when (?:needed|required)|if needed|as required|zo nodig|bei bedarf|on demand)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class DosageTerm:
    """A route or a frequency in a text. `rate` is in doses per day."""

    start: int
    end: int
    text: str
    route: str = ""
    rate: float = 0.0


@lru_cache(maxsize=4096)
def find_routes(text: str) -> tuple[DosageTerm, ...]:
    """Return the routes in `text`."""
    found = []
    for match in _ROUTE.finditer(text):
        name = _NAMES[int((match.lastgroup or "r0")[1:])]
        found.append(DosageTerm(match.start(), match.end(), match.group(), route=name))
    return tuple(found)


@lru_cache(maxsize=4096)
def find_frequencies(text: str) -> tuple[DosageTerm, ...]:
    """Return the frequencies in `text` as doses per day."""
    found = []
    for match in _FREQUENCY.finditer(text):
        rate = _doses_per_day(match)
        if rate > 0:
            found.append(DosageTerm(match.start(), match.end(), match.group(), rate=rate))
    return tuple(found)


def _doses_per_day(match: re.Match[str]) -> float:
    part = match.groupdict()
    if part["every"]:
        unit = (part["unit"] or "").lower().rstrip("s") or "h"
        return _PERIODS.get(unit, 1.0) / _count_of(part["n"] or "1")
    if part["other"]:
        return 0.5
    if part["times"]:
        per = (part["per"] or "").lower()
        period = (
            1 / 7 if per.startswith("week") else 1 / 30 if per.startswith("month") else 24.0 if "hour" in per else 1.0
        )
        adverb = (part["adverb"] or "").lower()
        return period * (
            2 if adverb in ("twice", "two times") else 3 if adverb == "thrice" else _count_of(part["k"] or "1")
        )
    if part["scheme"]:  # morning, noon, evening, night
        return float(sum(digit not in "0-" for digit in part["scheme"]))
    if part["hourly"]:
        return 24.0 / _count_of(part["hours"] or "1")
    if (part["latin"] or "").lower() in ("qweek", "qwk", "q.week", "q.wk"):
        return 1 / 7
    words = (part["latin"] or part["part"] or part["adjective"] or "").lower().replace(".", "")
    if words in ("per week", "a week"):
        return 1 / 7
    return next((rate for word, rate in _LATIN.items() if words.endswith(word)), 1.0)


def _count_of(text: str) -> float:
    if text.isdigit():
        return float(text) or 1.0
    worded = find_numerals(text)
    return worded[0].value if worded else float(ORDINALS.get(text.lower(), 1))

"""Find dates in text, in the forms that records and notes have, and write another date in the same form. Pure."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date


def _split(text: str) -> list[str]:
    return text.split()


_LONG = {
    "en": _split("january february march april may june july august september october november december"),
    "de": _split("januar februar märz april mai juni juli august september oktober november dezember"),
    "nl": _split("januari februari maart april mei juni juli augustus september oktober november december"),
}
_ABBREVIATED = {
    "en": _split("jan feb mar apr may jun jul aug sep oct nov dec"),
    "de": _split("jan feb mär apr mai jun jul aug sep okt nov dez"),
    "nl": _split("jan feb mrt apr mei jun jul aug sep okt nov dec"),
}
_STYLES = tuple(names for table in (_LONG, _ABBREVIATED) for names in table.values())
_NUMBER_OF = {name: index + 1 for names in _STYLES for index, name in enumerate(names)} | {"sept": 9}
_NAMES = "|".join(sorted({*_NUMBER_OF}, key=len, reverse=True))
# With a capital, so that `may` and `mar` of other words are none.
_MONTH = rf"(?P<name>(?=[A-ZÄ])(?i:{_NAMES}))(?P<point>\.?)"
_YEAR = r"(?P<y>(?:18|19|20)\d\d)"
_DAY = r"(?P<d>[12]\d|3[01]|0?[1-9])(?P<th>(?i:st|nd|rd|th)?)"
_BEGIN, _END = r"(?<![\w./-])", r"(?![\w/]|[.-]\d)"
# Where a range of two dates may follow or precede: `3/2/2026-3/5/2026`, `2026-03-02/2026-03-05`.
_BEGIN_OF_RANGE, _END_OF_RANGE = r"(?<![\w./])", r"(?![\w/]|\.\d)"
_UNIT = r"(?! ?(?:mg|mcg|µg|ug|g|kg|ml|l|mmol|meq|units?|%|/|tab|x)\b)(?! ?%)"
_CUE = (
    r"(?:(?<=\bon )|(?<=\bOn )|(?<=\bsince )|(?<=\bSince )|(?<=\bfrom )|(?<=\buntil )|(?<=\btill )|(?<=\bby )"
    r"|(?<=\bto )"
    r"|(?<=\bdated )|(?<=\bdate )|(?<=\bDate: )|(?<=\bbefore )|(?<=\bafter )|(?<=\bthrough )|(?<=\badmitted )"
    r"|(?<=\(on ))"
)
_SHORT = rf"(?P<a>\d\d?)/(?P<b>\d\d?)(?P<short>){_END_OF_RANGE}{_UNIT}"
_FORMS = tuple(
    re.compile(form)
    for form in (
        rf"(?<![\w.-]){_YEAR}-(?P<m>\d\d?)-(?P<d>\d\d?)(?!\d|[-.]\d)",
        rf"{_BEGIN}{_YEAR}(?P<s>[/.])(?P<m>\d\d?)(?P=s)(?P<d>\d\d?)(?!\d|[-/.]\d)",
        rf"{_BEGIN_OF_RANGE}(?P<a>\d\d?)/(?P<b>\d\d?)/{_YEAR}{_END_OF_RANGE}",
        rf"{_BEGIN}(?P<a>\d\d?)(?P<s>[.-])(?P<b>\d\d?)(?P=s){_YEAR}{_END}",
        rf"{_BEGIN_OF_RANGE}(?P<a>\d\d?)/(?P<b>\d\d?)/(?P<y>\d\d){_END_OF_RANGE}",
        rf"{_BEGIN}(?P<a>\d\d)(?P<s>[.-])(?P<b>\d\d)(?P=s)(?P<y>\d\d){_END}",
        rf"{_BEGIN}(?P<y>(?:19|20)\d\d)(?P<m>0[1-9]|1[0-2])(?P<d>0[1-9]|[12]\d|3[01]){_END}",
        rf"{_BEGIN_OF_RANGE}{_MONTH}[ -]{_DAY}(?:,? | of |-){_YEAR}{_END}",
        rf"{_BEGIN_OF_RANGE}{_DAY}\.?[ -](?:of )?(?P<name>(?i:{_NAMES}))(?P<point>\.?),?[ -]{_YEAR}{_END}",
        rf"{_BEGIN}{_DAY}[ -]?{_MONTH}[ -]?(?P<y>\d\d){_END}",
        rf"{_BEGIN_OF_RANGE}{_MONTH} {_DAY}{_END}{_UNIT}",
        rf"{_BEGIN}{_DAY}\.? (?:of )?{_MONTH}(?!\w){_UNIT}",
        rf"{_BEGIN_OF_RANGE}{_MONTH},?[ -](?:of )?{_YEAR}{_END}",
        rf"{_BEGIN}{_YEAR}-(?P<m>0[1-9]|1[0-2]){_END}",
        rf"{_BEGIN}(?P<m>0?[1-9]|1[0-2])/{_YEAR}{_END}",
        rf"{_BEGIN}{_CUE}{_SHORT}",
        r"(?m:^)(?P<a>\d\d?)/(?P<b>\d\d?)(?P<short>)(?=:| [-–] )",
    )
)
_NUMERIC_WITH_YEAR = _FORMS[2:5]
_NEXT_SHORT = re.compile(rf"[ \t]*(?:,|and|&|to|-|–|through|until|or)[ \t]*(?={_SHORT})")
_SHORT_DATE = re.compile(_SHORT)
_TO = r"[ ]?(?:-|–|to|through|and|&|/|bis|t/m)[ ]?"
_RANGES = (
    re.compile(rf"\b{_MONTH} {_DAY}{_TO}(?P<e>[12]\d|3[01]|0?[1-9])(?i:st|nd|rd|th)?(?:,? {_YEAR})?{_END}{_UNIT}"),
    re.compile(rf"(?<![\w./-]){_DAY}\.?{_TO}(?P<e>[12]\d|3[01]|0?[1-9])\.? (?:of )?{_MONTH}(?:,? {_YEAR})?{_END}"),
)
# Fractions that are no dates: `motor strength 4/5`, `pain 8/10`.
_SCORE = re.compile(r"\b(strength|pain|power|motor|score|scale|muscle|reflex|apgar|murmur|grade)", re.IGNORECASE)
SCORE_WINDOW = 45  # characters before
CENTURY = 2000
BARE_MONTH = re.compile(
    rf"\b(?:[Ii]n|[Ss]ince|[Ee]arly|[Ll]ate|[Mm]id|[Oo]f|[Dd]uring|[Uu]ntil)[ -](?P<name>(?=[A-ZÄ])(?i:{_NAMES}))\b"
)
BARE_YEAR = re.compile(
    r"(?i:\b(?:in|since|from|of|until|before|after|during|born|early|late|year)[ :(]+)(?P<y>(?:18|19|20)\d\d)\b"
    r"(?! ?(?:mg|mcg|ml|l|units?|cal|kcal|g|steps|hours)\b)(?![-/.,:]?\d)"
    r"|\((?P<z>(?:19|20)\d\d)\)"
)


@dataclass(frozen=True, slots=True)
class FoundDate:
    """A date in a text. `year` and `day` are None where it has none; `parts`: where each of its numbers stands."""

    start: int
    end: int
    text: str
    year: int | None
    month: int
    day: int | None
    parts: tuple[tuple[str, int, int], ...]  # year, month, name or day, and its place in `text`

    @property
    def date(self) -> date | None:
        return date(self.year, self.month, self.day) if self.year is not None and self.day is not None else None

    def write(self, year: int, month: int, day: int | None) -> str:
        """Return another date in the same form."""
        text = self.text
        for name, start, end in sorted(self.parts, key=lambda item: -item[1]):
            text = text[:start] + _written(name, text[start:end], year, month, day or 1) + text[end:]
        return text


def find_dates(text: str, *, day_first: bool) -> Iterator[FoundDate]:
    """Yield dates, each form in turn: a later one may overlap an earlier one. `day_first`: of two numbers that could
    both be the month.
    """
    for form in _FORMS:
        for first in form.finditer(text):
            found: re.Match[str] | None = first
            while found is not None:
                date_ = _read(found, day_first=day_first)
                if date_ is not None:
                    yield date_
                following = _NEXT_SHORT.match(text, found.end()) if "short" in found.groupdict() else None
                found = _SHORT_DATE.match(text, following.end()) if following else None


def find_ranges(text: str) -> Iterator[tuple[int, int, int | None, int, int, int]]:
    """Yield start and end of ranges within a month, their year, month and two days: `March 2-5, 2026`."""
    for form in _RANGES:
        for found in form.finditer(text):
            year = int(found["y"]) if found["y"] else None
            yield *found.span(), year, _NUMBER_OF[found["name"].lower()], int(found["d"]), int(found["e"])


def is_day_first(text: str) -> bool:
    """Return whether a date of the text can only have its day before its month: `25/3/2026`."""
    numeric = (found for form in _NUMERIC_WITH_YEAR for found in form.finditer(text))
    return any(int(item["a"]) > 12 >= int(item["b"]) for item in numeric)


def _read(found: re.Match[str], *, day_first: bool) -> FoundDate | None:
    groups = {name: value for name, value in found.groupdict().items() if value}
    spans = {name: found.span(name) for name in groups}
    if "short" in found.groupdict() and _SCORE.search(found.string[max(0, found.start() - SCORE_WINDOW) : found.end()]):
        return None
    if "a" in groups:
        swapped = int(groups["a"]) > 12 or (int(groups["b"]) <= 12 and (day_first or groups.get("s") == "."))
        first, second = ("d", "m") if swapped else ("m", "d")
        for name, key in ((first, "a"), (second, "b")):
            groups[name], spans[name] = groups[key], spans[key]
    month = _NUMBER_OF[groups["name"].lower()] if "name" in groups else int(groups["m"])
    day = int(groups["d"]) if "d" in groups else None
    year = _full_year(groups["y"]) if "y" in groups else None
    try:
        date(year or CENTURY, month, day or 1)
    except ValueError:
        return None
    parts = tuple(
        (name, spans[name][0] - found.start(), spans[name][1] - found.start())
        for name in ("y", "m", "name", "d", "th")
        if name in groups
    )
    return FoundDate(found.start(), found.end(), found[0], year, month, day, parts)


def _full_year(text: str) -> int:
    return int(text) if len(text) == 4 else CENTURY + int(text) if int(text) < 70 else CENTURY - 100 + int(text)


def _written(name: str, before: str, year: int, month: int, day: int) -> str:
    match name:
        case "y":
            return f"{year:04d}"[-len(before) :]
        case "name":
            return _month_name(before, month)
        case "th":
            teen = 10 < day % 100 < 20
            return "th" if teen else {1: "st", 2: "nd", 3: "rd"}.get(day % 10, "th")
    number = month if name == "m" else day
    return f"{number:02d}" if len(before) == 2 else str(number)


def _month_name(before: str, month: int) -> str:
    word = "sep" if before.lower() == "sept" else before.lower()
    style = next(names for names in _STYLES if word in names)
    found = style[month - 1]
    return found.upper() if before.isupper() else found if before.islower() else found.capitalize()

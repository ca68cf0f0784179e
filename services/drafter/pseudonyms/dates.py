"""Move dates by the offset of a case, and move them back. Ages over 89, and dates that reveal one, are replaced."""

import re
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from functools import partial

from services.drafter.pseudonyms.date_forms import (
    BARE_MONTH,
    BARE_YEAR,
    FoundDate,
    find_dates,
    find_ranges,
    is_day_first,
)
from services.drafter.pseudonyms.errors import NotReplaceableError, NotRestorableError
from services.drafter.pseudonyms.spans import Spans

OLDEST_AGE = 89  # years: 45 CFR 164.514(b)(2)(i)(C) counts higher ages among the identifiers
DAYS_OF_YEAR, MONTHS_OF_YEAR = 365.2425, 12
_UNITS = ("", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
_AGE = re.compile(
    r"(?<![\d.,/])(?P<n>9\d|1[01]\d)(?=[- ]?(?i:years?|yrs?|y\.? ?o\b|y/o|yo[fm]?\b|-?jähr|jaar|j\.))"
    r"|\b(?i:aged?|at the age of|turned):? (?P<m>9\d|1[01]\d)\b(?! ?(?:mg|days|hours|weeks|months|min))"
    r"|\b(?P<w>(?i:ninety)(?:[- ](?i:one|two|three|four|five|six|seven|eight|nine))?)(?=[- ](?i:years?\b))"
)
_NUMBER = re.compile(r"(?<![\d.,/-])\d+(?![\d%/]|[.,]\d)")


class DateMap:
    """The dates and ages of one text, and what is sent for them."""

    def __init__(self, shift_days: int, end: date) -> None:
        """`end` is the end of the stay, by which ages are computed and dates without a year are completed."""
        self._shift = timedelta(days=shift_days)
        self._months = round(shift_days / DAYS_OF_YEAR * MONTHS_OF_YEAR)
        self._end = end
        self._day_first = False
        self._originals: dict[str, str] = {}  # by what is sent
        self._surrogates: dict[str, str] = {}
        self._days: dict[date, date] = {}  # original days by the ones that are sent
        self._old: dict[date | int, int] = {}  # dates and years of birth that tell an age over 89
        self._ranges: set[str] = set()
        self._years: set[str] = set()  # as they are sent, without a day or month
        self._bare_months: set[str] = set()
        self._numbers: set[str] = set()
        self._month_of: dict[tuple[int, int], tuple[int, int]] = {}  # of dates without a day

    def add_replacements(self, text: str, spans: Spans) -> None:
        """Add a span for each date and age. Raises NotReplaceableError."""
        self._day_first = is_day_first(text)
        for start, end, year, month, *days in find_ranges(text):
            if spans.free(start, end):
                self._add_range(text, (start, end), (year, month, days), spans)
        for found in find_dates(text, day_first=self._day_first):
            if spans.free(found.start, found.end):
                spans.add(found.start, found.end, self._replace(found))
        for start, end in _ages(text):
            if spans.free(start, end):
                age = text[start:end]
                spans.add(start, end, self._surrogate(age, partial(_as_age, age), OLDEST_AGE + 1))
        for found_year in BARE_YEAR.finditer(text):
            name = "y" if found_year["y"] else "z"
            start, end = found_year.span(name)
            if spans.free(start, end):
                self._add_year(start, end, text[start:end], spans)
        self._bare_months = {found["name"].lower() for found in BARE_MONTH.finditer(text)}

    def _add_range(
        self, text: str, place: tuple[int, int], when: tuple[int | None, int, list[int]], spans: Spans
    ) -> None:
        """Add a range within a month as two days, which may be of two months when they are moved."""
        year, month, days = when
        try:
            originals = [date(year, month, day) if year else self._nearest(month, day) for day in days]
        except ValueError:
            return
        moved = [self._moved(day) for day in originals]
        self._days |= dict(zip(moved, originals, strict=True))
        start, end = place
        sent = self._surrogate(text[start:end], lambda _: f"{moved[0]} to {moved[1]}", 0)
        self._ranges.add(sent)
        spans.add(start, end, sent)

    def _add_year(self, start: int, end: int, text: str, spans: Spans) -> None:
        """Replace a year only if it reveals an age over 89; other years are no identifiers."""
        if self._end.year - int(text) <= OLDEST_AGE:
            self._years.add(text)
            return
        year = self._end.year - OLDEST_AGE - 1
        sent = self._surrogate(text, lambda n: str(year - n), 0)
        self._years.add(sent)
        spans.add(start, end, sent)

    def _replace(self, found: FoundDate) -> str:
        if found.text in self._surrogates:
            return self._surrogates[found.text]
        if found.day is None:
            before = (found.year or self._end.year, found.month)
            index = before[0] * MONTHS_OF_YEAR + before[1] - 1 + self._months
            year, month = index // MONTHS_OF_YEAR, index % MONTHS_OF_YEAR + 1
            self._month_of[year, month] = before
            return self._surrogate(found.text, lambda _: found.write(year, month, None), 0)
        original = found.date or self._nearest(found.month, found.day)
        moved = self._moved(original)
        self._days[moved] = original
        sent = found.write(moved.year, moved.month, moved.day)
        if self._originals.get(sent, found.text) != found.text:
            sent = f"{moved:%Y-%m-%d}"  # two forms, or two dates, that would be written the same
        return self._surrogate(found.text, lambda _: sent, 0)

    def _moved(self, day: date) -> date:
        age = (self._end - day).days / DAYS_OF_YEAR
        if age < OLDEST_AGE + 1:
            return self._checked(day)
        order = self._old.setdefault(day, len(self._old))
        return self._checked(self._end - timedelta(days=int((OLDEST_AGE + 1.1) * DAYS_OF_YEAR) + 40 * order))

    def _checked(self, day: date) -> date:
        try:
            return day + self._shift
        except OverflowError:
            raise NotReplaceableError("a date cannot be moved") from None

    def _nearest(self, month: int, day_of_month: int) -> date:
        """Return the date of the year in which it is nearest to the end of the stay."""
        days = []
        for year in (self._end.year - 1, self._end.year, self._end.year + 1):
            try:
                days.append(date(year, month, day_of_month))
            except ValueError:  # the 29th of February
                continue
        if not days:
            raise NotReplaceableError("a date has no year in which it is one")
        return min(days, key=lambda day: abs(day - self._end))

    def _surrogate(self, text: str, write: Callable[[int], str], number: int) -> str:
        """Return what is sent for `text`: the first of `write`'s texts that stands for nothing else."""
        if text in self._surrogates:
            return self._surrogates[text]
        for step in range(20):
            sent = write(number + step)
            if sent not in self._originals:
                self._originals[sent], self._surrogates[text] = text, sent
                return sent
        raise NotReplaceableError("two dates cannot be told apart")

    @property
    def sent(self) -> Iterator[str]:
        """Yield what stands for dates, not for ages and years: those are numbers, which may stand for anything."""
        yield from (text for text in self._originals if not text.isdecimal() or len(text) > 4)

    def add_restorations(self, text: str, spans: Spans) -> None:
        """Add a span for each date and age of an answer. Raises NotRestorableError where one is not ours."""
        for sent in self._ranges:
            for place in re.finditer(re.escape(sent), text):
                spans.add(*place.span(), self._originals[sent])
        for found in find_dates(text, day_first=self._day_first):
            if spans.free(found.start, found.end):
                spans.add(found.start, found.end, self._restored(found))
        for start, end in _ages(text):
            if spans.free(start, end):
                original = self._originals.get(text[start:end])
                if original is None:
                    raise NotRestorableError("an age of the answer is not of the record")
                spans.add(start, end, original)
        self._add_restored_years(text, spans)
        for month in BARE_MONTH.finditer(text):
            if spans.free(*month.span("name")) and month["name"].lower() not in self._bare_months:
                raise NotRestorableError("a month of the answer is not of the record")

    def _add_restored_years(self, text: str, spans: Spans) -> None:
        for found in BARE_YEAR.finditer(text):
            start, end = found.span("y" if found["y"] else "z")
            if spans.free(start, end):
                if text[start:end] not in self._years:
                    raise NotRestorableError("a year of the answer is not of the record")
                spans.add(start, end, self._originals.get(text[start:end], text[start:end]))

    def _restored(self, found: FoundDate) -> str:
        if found.text in self._originals:
            return self._originals[found.text]
        originals = set(self._candidates(found))
        if len(originals) != 1:
            raise NotRestorableError("a date of the answer is not of the record")
        year, month, day = originals.pop()
        return found.write(year, month, day)

    def _candidates(self, found: FoundDate) -> Iterator[tuple[int, int, int | None]]:
        """Yield the originals of which `found` is the surrogate, in another form."""
        for sent, day in self._days.items():
            same = found.month == sent.month and found.year in (None, sent.year)
            if same and found.day is None:
                yield day.year, day.month, None
            elif same and found.day == sent.day:
                yield day.year, day.month, day.day
        if found.day is None and (month := self._month_of.get((found.year or 0, found.month))):
            yield *month, None

    def note_numbers(self, rest: str) -> None:
        """Note the numbers of the prompt that are sent as they are."""
        self._numbers = set(_NUMBER.findall(rest))

    def has_age_left(self, rest: str) -> bool:
        """Return whether a surrogate of an age may stand in what is not restored of an answer: `a woman of 90`."""
        numbers = {item for item in self._originals if item.isdecimal() and len(item) < 4}
        return bool((numbers - self._numbers) & set(_NUMBER.findall(rest)))


def _ages(text: str) -> Iterator[tuple[int, int]]:
    """Yield the place of each age over 89."""
    for found in _AGE.finditer(text):
        name = next(name for name in ("n", "m", "w") if found[name])
        yield found.span(name)


def _as_age(before: str, years: int) -> str:
    """Return an age of `years`, 90 and more, in numbers or words as it was written before."""
    if before.isdecimal():
        return str(years)
    unit = _UNITS[years % 10]
    return f"ninety-{unit}" if unit else "ninety"

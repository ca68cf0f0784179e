"""Find numbers of identity, contact details and addresses in text, by their form or by what stands before. Pure."""

import re
from collections.abc import Iterator

import phonenumbers

from services.drafter.pseudonyms.word_lists import fold

MIN_KNOWN = 5  # characters of an identifier of the record that is looked for without a word before it
_STATES = (
    "AL|AK|AZ|AR|CA|CO|CT|DE|DC|FL|GA|HI|ID|IL|IN|IA|KS|KY|LA|ME|MD|MA|MI|MN|MS|MO|MT|NE|NV|NH|NJ|NM|NY|NC|ND|OH|OK|OR|PA"
    "|PR|RI|SC|SD|TN|TX|UT|VT|VA|WA|WV|WI|WY"
)
_EMAIL = re.compile(r"(?<![\w.+-])[\w.+-]+@[\w-]+(?:\.[\w-]+)+")
_URL = re.compile(r"\b(?:https?://|www\.)[^\s<>\"”)\]]*[^\s<>\"”)\].,;:]", re.IGNORECASE)
_IP = re.compile(r"(?<![\d.])(?:\d{1,3}\.){3}\d{1,3}(?![\d.])")
_SSN = re.compile(r"(?<![\d-])(?:\d{3}|[xX*]{3})-(?:\d{2}|[xX*]{2})-\d{4}(?![\d-])")
_US_PHONE = re.compile(r"(?<![\w.-])(?:\+?1[ .-])?(?:\(\d{3}\) ?|\d{3}[ .-])\d{3}[ .-]\d{4}(?![\w-])")
_PHONE_CUE = re.compile(
    r"(?i:\b(?:phone|tel|telefon|telefoon|mobile|cell|fax|pager|call|callback|beeper|ext|extension|x)\b)"
    r"(?:[ \t]+(?i:no\.?|number|at|is))?[.:#]?[ \t]*(?P<value>\+?\(?\d[\d ()/.-]{2,16}\d)"
)
_CUE = re.compile(
    r"(?i:\b(?:mrn|m\.r\.n\.|csn|fin|har|ssn|npi|dea|bsn|nhs|kvnr|ihi|med(?:ical)? rec(?:ord)?|hospital|patient"
    r"|account|acct|policy|member|subscriber|insurance|medicare|medicaid|licen[cs]e|passport|accession|encounter|claim"
    r"|chart|specimen|serial|device|certificate|vin|plate|case|versichertennummer|patientennummer|fallnummer|patientnummer|id)(?![a-z]))"
    r"(?:[ \t]*(?i:id|no\.?|nr\.?|number|num|#|ending(?: in)?|s/n))*[ \t]*[:#]?[ \t]*"
    r"(?P<value>[A-Za-z]{0,4}[-/]?\d[\dA-Za-z/-]{2,24})\b"
)
_LONG = re.compile(r"(?<![\w.,/-])(?:[A-Z]{1,3}-?)?\d{7,}(?![\w,]|[.-]\d)")
_ZIP = re.compile(rf"(?<=, )(?:{_STATES})[ ]+(?P<value>\d{{5}}(?:-\d{{4}})?)(?!\d)")
_STREET = re.compile(
    r"(?<![\w/.])\d{1,5}[A-Za-z]?[ ]+(?:[NSEW]\.?[ ]+)?(?:(?:[A-Z][\w'’.-]*|\d{1,3}(?:st|nd|rd|th))[ ]+){1,3}"
    r"(?:Street|St|Avenue|Ave|Road|Rd|Boulevard|Blvd|Lane|Ln|Drive|Dr|Court|Place|Pl|Way|Terrace|Ter|Parkway|Pkwy|Circle"
    r"|Cir|Highway|Hwy|Square|Trail)\b\.?(?![ ]+[A-Z][a-z]+,? (?:M\.?D|R\.?N))"
    r"(?:,?[ ]*(?:Apt|Apartment|Unit|Suite|Ste|#)\.?[ ]*[\w-]+)?"
    r"|\b[A-ZÄÖÜ][\wäöüß.-]*(?:straße|strasse|str\.|gasse|allee|platz|laan|straat|plein|kade)[ ]+\d{1,4}[a-z]?\b"
    r"|\b[Pp]\.?[ ]?[Oo]\.?[ ]Box[ ]+\d+"
)
_CITY = re.compile(rf"\b[A-Z][a-z]+(?: [A-Z][a-z]+)?(?=,? (?:{_STATES}) +\d{{5}}\b)")
_UNIT_AFTER = re.compile(
    r"[ ]?(?:mg|mcg|µg|g|kg|ml|mL|[lL]|mmol|mEq|units?|I?U|cells?|copies|[kK]|%|/|cm|mm|min"
    r"|h(?:ours?)?|days?|weeks?|years?)\b"
)


def find_contacts(text: str) -> Iterator[tuple[int, int]]:
    """Yield the places of e-mail and web addresses, and of IP addresses."""
    for form in (_EMAIL, _URL, _IP):
        yield from (found.span() for found in form.finditer(text))


def find_addresses(text: str) -> Iterator[tuple[int, int]]:
    """Yield the places of streets with a number, and of cities before a state and postal code."""
    for form in (_STREET, _CITY):
        yield from (found.span() for found in form.finditer(text))


def find_numbers(text: str) -> Iterator[tuple[int, int]]:
    """Yield the places of telephone numbers, numbers of identity, postal codes, and other numbers of seven digits."""
    for form in (_SSN, _US_PHONE):
        yield from (found.span() for found in form.finditer(text))
    for form in (_CUE, _PHONE_CUE):
        for found in form.finditer(text):
            if sum(char.isdigit() for char in found["value"]) >= 3 and not _UNIT_AFTER.match(text, found.end("value")):
                yield found.span("value")
    yield from (found.span("value") for found in _ZIP.finditer(text))
    for match in phonenumbers.PhoneNumberMatcher(text, "US", leniency=phonenumbers.Leniency.VALID):
        yield match.start, match.end
    for found in _LONG.finditer(text):
        if not found[0].endswith("000") and not _UNIT_AFTER.match(text, found.end()):
            yield found.span()


def plain(text: str) -> str:
    """Return a number without what separates its parts."""
    return "".join(char for char in fold(text) if char.isalnum())


def number_pattern(numbers: list[str]) -> re.Pattern[str] | None:
    """Return a pattern of any of the numbers, however their parts are separated, with or without leading zeros."""
    wanted = sorted({plain(item) for item in numbers}, key=len, reverse=True)
    forms = ["[-. /]?".join(item.lstrip("0") if len(item.lstrip("0")) >= MIN_KNOWN else item) for item in wanted]
    return re.compile(rf"(?<!\d)0*(?:{'|'.join(forms)})(?!\d)", re.IGNORECASE) if forms else None


def phrase_pattern(phrases: list[str]) -> re.Pattern[str] | None:
    """Return a pattern of any of the phrases, however their words are separated, in any case."""
    forms = {r"[\s,.'’-]+".join(map(re.escape, re.findall(r"[^\W_]+", item))) for item in phrases}
    joined = "|".join(sorted(filter(None, forms), key=len, reverse=True))
    return re.compile(rf"(?<![^\W_])(?:{joined})(?![^\W_])", re.IGNORECASE) if joined else None

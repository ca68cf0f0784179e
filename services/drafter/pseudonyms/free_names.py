"""Find names of people in free text that the record does not have, by what stands beside them. Pure.

No statistical model: what is found, and what is missed, is measured in `tests/unit/test_pseudonym_recall.py`.
"""

import re
from collections.abc import Iterator

from services.drafter.pseudonyms.word_lists import CREDENTIALS, TITLES, fold, words_of

_CAP = (
    r"(?:[A-ZÀ-ÖØ-Þ]['’][A-ZÀ-ÖØ-Þ]|[A-ZÀ-ÖØ-Þ])[a-zß-ÿāăąćčďđęěğłńňőřśşšťůűźżž]+"
    r"(?:(?<=Mc)[A-Z][a-z]+|(?<=Mac)[A-Z][a-z]+)?"
)
_NAME = rf"{_CAP}(?:-{_CAP})?"
_PARTICLE = r"(?:(?:van|der|den|de|la|von|zu|del|di|da|dos|al|el|bin|ter|ten|St\.)[ \t-])"
_INITIAL = r"(?:[A-Z]\.[ \t]?|[A-Z][ \t])"
_PERSON = rf"{_INITIAL}{{0,2}}{_PARTICLE}{{0,3}}{_NAME}(?:[ \t](?:{_INITIAL}{{1,2}})?{_PARTICLE}{{0,3}}{_NAME}){{0,2}}"
_UPPER = r"[A-Z][A-Z'’-]+(?:[ \t][A-Z][A-Z'’-]+)?"
_TITLE = (
    r"(?:Drs?|DR|Doctor|Prof(?:essor)?|Mrs?|MRS?|Ms|MS|Miss|Mx|Herrn?|Frau|Mevrouw|Mevr|Dhr|Sir|Chaplain|Rev|Pastor"
    r"|[Nn]urse|Attorney)"
)
_RELATIVE = (
    r"(?:wife|husband|spouse|partner|fianc[eé]e?|girlfriend|boyfriend|son|daughter|(?:step|grand|god)?(?:mother|father"
    r"|son|daughter|child)|mom|mum|dad|brother|sister|(?:step)?sibling|uncle|aunt|niece|nephew|cousin|(?:son|daughter|mother"
    r"|father|brother|sister)-in-law|friend|roommate|neighbou?r|caregiver|caretaker|guardian|landlord|grand(?:ma|pa)"
    r"|proxy|HCP|POA|HCPOA|next of kin|NOK|emergency contact|contact|aide|Tochter|Sohn|Ehefrau|Ehemann|Schwester|Bruder"
    r"|Mutter|Vater|Enkelin|Enkel|Nachbarin|echtgeno(?:te|ot)|dochter|zoon|zus|broer|partner)"
)
_ROLE = (
    r"(?i:attending|surgeon|pcp|provider|resident|hospitalist|intensivist|cardiologist|nephrologist|neurologist"
    r"|oncologist|pulmonologist|psychiatrist|anesthesiologist|radiologist|pathologist|interpreter|social worker"
    r"|case manager"
    r"|pharmacist|physician|author|dictated by|signed by|electronically signed by|cosigned by|seen by|evaluated by"
    r"|performed by|reviewed by|witnessed by|discussed with|d/w|spoke (?:with|to)|spoken to|called|paged|notified"
    r"|per|contacted"
    r"|patient name|patient|name|hausarzt|hausärztin|huisarts|operateur|behandelnder arzt)"
)
_CREDENTIAL = (
    r"(?:M\.?D\.?|D\.?O\.?|R\.?N\.?|NP|ARNP|APRN|DNP|PA-C|PharmD|LCSW|MSW"
    r"|LPN|CRNA|MBBS|Ph\.?D\.?|FACS|FACC|CNP|BSN|DPT|OTR(?:/L)?|SLP)"
)
_BLANK = r"[ \t]*(?:\n[ \t]*)?"
_SURE = (
    re.compile(rf"\b{_TITLE}\b\.?{_BLANK}(?P<name>{_PERSON})"),
    re.compile(rf"\b(?:Drs?|DR|MR|MRS|MS|Mr|Mrs|Ms)\b\.?[ \t]+(?P<name>{_UPPER})\b"),
    re.compile(rf"\bDrs\.?[ \t]+{_PERSON}(?:,[ \t]+{_PERSON})*,?[ \t]+(?:and|&)[ \t]+(?P<name>{_PERSON})"),
    re.compile(rf"(?P<name>{_NAME},[ \t]{_NAME}(?:[ \t][A-Z]\.?)?),[ \t]*{_CREDENTIAL}(?!\w)"),
    re.compile(rf"(?<![\w.])(?P<name>[A-Z]\.[ \t]?(?:[A-Z]\.[ \t]?)?{_NAME})"),
    re.compile(rf"\b{_ROLE}:[ \t]+(?P<name>{_NAME})(?=[.,;]|[ \t]*$)", re.MULTILINE),
    re.compile(rf"(?P<name>{_PERSON})(?:,[ \t]*|[ \t]+)(?P<degree>{_CREDENTIAL})(?![\w])"),
    re.compile(rf"\b{_RELATIVE}(?:[ \t]+(?:is|named|called|heißt|heet))?[ \t]*[,(]?[ \t]*(?P<name>{_PERSON})"),
    re.compile(rf"\b(?i:named|name is|goes by|known as|nickname|née|geb\.)[ \t]+[\"“']?(?P<name>{_PERSON})"),
)
# Only with a name of the lists: `called Cardiology`, `Mother: Hypertension`.
_LIKELY = (
    re.compile(rf"\b(?i:{_RELATIVE})[ \t]*[:–-]?[ \t]*(?P<name>{_PERSON})"),
    re.compile(rf"\b{_ROLE}\b[ \t]*[:,]?[ \t]+(?P<name>{_PERSON})"),
    re.compile(rf"\b(?i:to|with|by|from|and|patient|pt|met)[ \t]+(?P<name>{_PERSON})"),
    re.compile(rf"(?<![\w-])(?P<name>{_NAME}[ \t](?:{_INITIAL})?(?:{_PARTICLE})*{_NAME})(?![\w-])"),
    re.compile(rf"(?<![\w-])(?P<name>{_NAME},[ \t]{_NAME}(?:[ \t][A-Z]\b\.?)?)(?![\w-])"),
    re.compile(r"(?<![\w-])(?P<name>[A-Z][A-Z'’-]+,[ \t]?[A-Z]{2,})(?![\w-])"),
)


def find_free_names(text: str) -> Iterator[tuple[int, int]]:
    """Yield the place of each word that is part of a name."""
    for sure, patterns in ((True, _SURE), (False, _LIKELY)):
        for pattern in patterns:
            for found in pattern.finditer(text):
                yield from _words(found, sure=sure)


def _words(found: re.Match[str], *, sure: bool) -> Iterator[tuple[int, int]]:
    """Yield the words of a name, up to the first that can be none."""
    places: list[tuple[int, int]] = []
    for item in re.finditer(r"[^\W\d_]+(?:['’](?!s\b)[^\W\d_]+)*", found["name"]):
        if len(item[0]) == 1 or item[0][0].islower():
            continue  # initials and particles
        key = fold(item[0])
        if key in TITLES or (places and key in CREDENTIALS):
            continue
        if _is_no_name(key):
            break
        start = found.start("name")
        places.append((start + item.start(), start + item.end()))
    words = [fold(found.string[start:end]) for start, end in places]
    if words and (sure or _are_listed(words, found["name"])):
        yield from places


def _is_no_name(key: str) -> bool:
    if key in words_of("not_names") and key not in words_of("given"):
        return True
    return key in words_of("generic_places")


def _are_listed(words: list[str], text: str) -> bool:
    """Return whether the lists have the words as a name: a given name before another word, or a family name alone."""
    given, family = words_of("given"), words_of("family")
    common = words_of("common") | words_of("eponyms")
    if len(words) == 1:
        return words[0] in given | family and words[0] not in common and "," not in text
    if "," in text:
        return words[0] in family | given and words[1] in given
    return words[0] in given and words[1] not in words_of("eponym_terms")

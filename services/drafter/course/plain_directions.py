"""Rewrite directions of an order in plain language; figures stay unchanged. Pure."""

import re

# A route is put in words only where it stands as one: `oral solution` and `inhalation powder` are names.
_STANDS_ALONE = (
    r"(?: use)?(?=$|[,;.]| (?:once|twice|three|four|\d|every|each|daily|weekly|monthly|nightly|at|in|as|with|before"
    r"|after|for|from|until|on)\b)"
)
_SYMPTOMS = (
    r"(?:pain|nausea|vomiting|fever|cough|wheez\w*|anxiety|sleep|insomnia|constipation|dyspn\w*|breathless\w*|itch\w*)"
)
_PLAIN = (
    (r"\bp\.?o\.?(?= |,|$)", "by mouth"),
    (rf"\boral(?:ly)?\b{_STANDS_ALONE}", "by mouth"),
    (r"\binh\b", "inhaled"),
    (rf"\binhalation\b{_STANDS_ALONE}", "inhaled"),
    (rf"\bsubcutaneous(?:ly)?\b{_STANDS_ALONE}|\b(?:sc|sq|subcut)\b", "under the skin"),
    (rf"\bintravenous(?:ly)?\b{_STANDS_ALONE}|\biv\b(?! (?:line|fluid|drip|push|access))", "into a vein"),
    (rf"\bintramuscular(?:ly)?\b{_STANDS_ALONE}|\bim\b", "into a muscle"),
    (rf"\bsublingual(?:ly)?\b{_STANDS_ALONE}", "under the tongue"),
    (rf"\btransdermal(?:ly)?\b{_STANDS_ALONE}", "on the skin"),
    (rf"\b(?:intra)?nasal(?:ly)?\b{_STANDS_ALONE}", "into the nose"),
    (rf"\bprn (?={_SYMPTOMS}\b)", "as needed for "),
    (r"\bprn\b", "as needed"),
    (r"\b(bid|b\.i\.d\.?)(?= |,|$)", "twice a day"),
    (r"\b(tid|t\.i\.d\.?)(?= |,|$)", "three times a day"),
    (r"\b(qid|q\.i\.d\.?)(?= |,|$)", "four times a day"),
    (r"\bonce daily\b", "once a day"),
    (r"\bqod\b", "every other day"),
    (r"\bqam\b", "every morning"),
    (r"\bqpm\b", "every evening"),
    (r"\bq ?(\d+(?:-\d+)?) ?h(?:r|ours?)?\b", r"every \1 hours"),
    (r"\bqhs\b", "at bedtime"),
    (r"(?<=[,;] )bedtime\b", "at bedtime"),
    # ISMP: µg is read as mg. https://www.ismp.org/recommendations/error-prone-abbreviations-list
    (r"(?<=\d)\s?(?:µg|μg|mcg|ug)\b(?!/)", " micrograms"),
    (r"(?<=\d) ?tab(?:\(s\)|s)?(?=$|[\s,;)])", " tablet(s)"),
    (r"(?<=\d) ?cap(?:\(s\)|s)?(?=$|[\s,;)])", " capsule(s)"),
    (r"(?:^|(?<=\s))# ?(?=\d)", "supply of "),
)
_COMPILED = tuple((re.compile(pattern, re.IGNORECASE), words) for pattern, words in _PLAIN)
_VERB = re.compile(
    r"(?:take|use|inhale|inject|apply|place|put|instil+|chew|swallow|dissolve|spray|insert|suck|give|drink|resume|reapply)\b",
    re.IGNORECASE,
)
_BY_MOUTH = re.compile(r"\b(?:oral(?:ly)?|by mouth|p\.?o\.?|swallow|chew)\b", re.IGNORECASE)
_GIVEN_BY_STAFF = re.compile(
    r"\b(?:i\.?v\.?|intravenous\w*|intravenös|intraveneus|infus\w+|infuus|into (?:a|the) vein)\b"
    r"|\b(?:i\.?m\.?|intramuscular\w*|into a muscle)\b.*\b(?:weeks?|months?|\d+ days)\b",
    re.IGNORECASE,
)
_NOT_TAKEN = re.compile(
    r"\b(?:patch(?:es)?|pflaster|pleisters?|transdermal\w*|inh|inhal\w*|puffs?|nebul\w*|spray|eye|ear|(?:intra)?nasal\w*"
    r"|drops?|topical\w*|cream|ointment|gel|lotion|suppositor\w*|rectal\w*|vaginal\w*|inject\w*|injectie\w*|pens?"
    r"|syringes?|fertigspritzen?|subcut\w*|sc|sq|intramuscular\w*|im|sublingual\w*|under the (?:skin|tongue)"
    r"|auto-?injector|insulin\w*)\b",
    re.IGNORECASE,
)


def plain_directions(directions: str) -> str:
    """Replace abbreviations by words: `5 mg PO BID` → `5 mg by mouth twice a day`."""
    for pattern, words in _COMPILED:
        directions = pattern.sub(words, directions)
    return directions


def begins_with_verb(directions: str) -> bool:
    """Return whether directions are a sentence of their own: `Inhale 1 capsule daily`."""
    return _VERB.match(directions) is not None


def administration_verb(route: str, directions: str, name: str) -> str:
    """Return the verb for a patient: a patch or injection is not taken, an infusion is given by staff."""
    text = f"{route} {directions}"
    if _GIVEN_BY_STAFF.search(text) or (not text.strip() and _GIVEN_BY_STAFF.search(name)):
        return "You are to be given"
    if _BY_MOUTH.search(route or text):
        return "Take"
    return "Use" if _NOT_TAKEN.search(f"{text} {name}") else "Take"

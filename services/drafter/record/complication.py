"""Recognise sentences of notes that state a complication, in English, German, Dutch and French. Pure.

That there was none, or that possible ones were explained, is no complication.
"""

import re

_WORD = r"\b(complications?|komplikation(en)?|complicaties?)\b"
_COMPLICATION = re.compile(_WORD, re.IGNORECASE)
_NO = (
    r"no|not|non|none|nil|nihil|never|without|free of|absence of|den(y|ies|ied)|kein\w*|ohne|nicht|geen|zonder|niet"
    r"|aucune?|sans|pas (eu )?d[e'’]"
)
_NONE_BEFORE = re.compile(rf"\b({_NO})\b[^.;:]{{0,60}}{_WORD}", re.IGNORECASE)
# `Complications: none`, `Complications (early): none`, `complications did not occur`; not `Complication: haematoma, no
# revision`, which names one.
_NONE_AFTER = re.compile(
    rf"{_WORD}(\s*\([^)]*\))?[^.;:,]{{0,30}}[:=]\s*(\W*$|({_NO}|n/?a|0|-+|entfällt)\b|-)"
    rf"|{_WORD}\s*[-–—]?\s*((\w+\s+){{0,2}}({_NO})\b)",
    re.IGNORECASE,
)
_POSSIBLE = re.compile(
    r"\b(possible|potential|risks?|explain\w*|discuss\w*|inform(ed|ation)|consent\w*|counsel\w*|aware|educat\w*|understands?"
    r"|may|might|could|would|should|if|in case|watch|monitor(ed|ing)? for|prevent\w*|avoid\w*|reduce|expected|signs of"
    r"|including|reviewed|outlined|disclosed|benefits|alternatives|uitleg|verteld|gewezen|exposée?s?|m[öo]glich\w*|eventuell\w*|potentiell\w*|potenziell\w*|risik\w*|risico\w*|aufgekl[äa]rt|aufkl[äa]rung\w*"
    r"|aufgeklaert|besprochen|erl[äa]utert|erkl[äa]rt|einwillig\w*|hingewiesen|falls|vermeid\w*|vorbeug\w*|prophyla\w*"
    r"|mogelijke?|eventuele?|besproken|uitgelegd|toegelicht|voorgelicht|voorlichting|toestemming|ge[ïi]nformeerd|indien"
    r"|voorkom\w*|kans op|éventuel\w*|potentiel\w*|risques?|expliqu\w*|discut\w*|inform\w*|en cas"
    r"|prévenir|prévention|éviter)\b"
    r"|\b(bei (auftreten|komplikationen)|bij complicaties)",
    re.IGNORECASE,
)
_HAPPENED = re.compile(
    r"\b(developed|occurred|suffered|sustained|experienced|aufgetreten|entwickelte|erlitt|kam es zu"
    r"|trat(en)? (ein|eine|einen) |opgetreden|ontwikkelde|trad(en)? op|survenue?s?|a (présenté|développé))",
    re.IGNORECASE,
)
_CONSENT = re.compile(
    r"consent|aufkl[äa]rung|einwilligung|toestemming|consentement|risks?\b|risiken|risico", re.IGNORECASE
)


def states_complication(sentence: str) -> bool:
    """Return whether a complication is stated to have happened."""
    if _COMPLICATION.search(sentence) is None:
        return False
    if _NONE_BEFORE.search(sentence) or _NONE_AFTER.search(sentence):
        return False
    return _POSSIBLE.search(sentence) is None or _HAPPENED.search(sentence) is not None


def is_about_consent(title: str) -> bool:
    """Return whether a section is about informed consent: nothing of it has happened."""
    return _CONSENT.search(title) is not None

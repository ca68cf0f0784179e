"""Recognise amounts, frequencies and "as directed" in the text of a dosage. Pure.

Words of English, German, Dutch, French and Spanish prescriptions. Unknown words state nothing: then the physician is
asked.
"""

import re

NUMBER = r"\d+(?:[.,]\d+)?(?: ?[-–/] ?\d+(?:[.,]\d+)?)*"  # a range or a strength of two is one number
_SPELLED = (
    r"an?|one|two|three|four|half|ein(?:e[nr]?)?|zwei|drei|halbe?n?|één|een|twee|drie|halve"
    r"|une?|deux|demi|una?|dos|media|i{1,3}"
)
_COUNT = rf"(?:{NUMBER}|[½¼¾]|\b(?:{_SPELLED})\b)"
_FORMS = (
    r"tab(?:let(?:te)?[ns]?|s|l)?|tbl|tabl|cap(?:sule)?s?|kaps(?:el)?n?|kps|capsules?|puffs?|sprays?"
    r"|drops?|gtts?|tropfen|druppels?"
    r"|gouttes?|gotas?|hübe?|hub|patch(?:es)?|pflaster|pleisters?|sachets?|beutel|zakjes?|packets?"
    r"|supp(?:ositor(?:y|ies))?"
    r"|zäpfchen|zetpil(?:len)?|stuks?|stück|st|doses?|dosis|vials?|amp(?:oules?|ullen?|ules?)?"
    r"|inhalations?|inhalaties?"
    r"|teaspoons?|tsp|tablespoons?|tbsp|scoops?|lozenges?|applicatorfuls?|applications?|actuations?"
    r"|pens?|syringes?|spritzen?"
    r"|comprim(?:é|ido)s?|compress[ae]|gélules?|cápsulas?|caplets?|drg|dragees?|nebul(?:e|es|s)"
    r"|ampullen|spritze|pastilles?"
)
_MEASURES = (
    r"mg|g|mcg|ug|µg|μg|microgram\w*|mikrogramm|milligram\w*|gram\w*|ml|l|iu|ie|i\.e\.|ui"
    r"|units?|einheiten|eenheden|u|e|mmol|meq|%"
)
UNIT = rf"(?:{_MEASURES}|{_FORMS})"
# Three or four numbers: in the morning, at noon, in the evening, at night (https://simplifier.net/packages/kbv.basis).
_PART = r"(?:\d{1,3}(?:[.,]\d{1,2}|/\d)?½?|½|¼|¾)"
SCHEME = re.compile(rf"(?<![\w.,/–-]){_PART}(?: ?[-–] ?{_PART}){{2,3}}(?![\w/–]|[.,-]\d)")
_BEFORE_A_DATE = re.compile(r"\b(from|on|until|since|ab|am|seit|bis|vanaf|tot|op) $", re.IGNORECASE)
_DUTCH = r"\b\d{1,2} ?dd|\b\d{1,2}d\d{1,2}\w?"  # `2dd1`, and the codes of prescriptions: `2D1T`

# `3x1`: three times a day one; `2 x 500 mg` is an amount alone.
_COUNT_TIMES_UNIT = rf"\b[1-6] ?[x×] ?(?:[1-4]|½)(?![\d.,/]| ?(?:{_MEASURES})\b)"
_WEEKDAYS = r"\b(?:mo|di|mi|do|fr|sa|so)[.,/+ ]+(?:und )?(?:di|mi|do|fr|sa|so)\b"
_FREQUENCY_WORDS = re.compile(
    r"daily|nightly|hourly|weekly|monthly|\bevery\b|\beach (day|week|morning|evening|night)|\b(per"
    r"|a) (day|week|month|hour)\b"
    r"|/ ?(d|day|tag|dag|24 ?h|wk|week)\b|\bonce\b|\btwice\b|\bthrice\b|\btimes\b|single dose|\bq ?\d"
    r"|\bq(d|od|am|pm|hs|wk|w|h)\b"
    r"|\b[bt]\.?i\.?d\b|\bq\.?i\.?d\b|\b[btq]ds\b|\bbd\b|\bod\b|\bom\b|\bon alternate|\btiw\b|\bbiw\b"
    r"|\bhs\b|\bstat\b|\bnocte\b|\bmane\b"
    r"|morning|evening|\bnight\b|bedtime|noon|breakfast|lunch|dinner|supper|with meals|(before|after"
    r"|with) (each )?meal"
    r"|\d ?(ml|l|liters?|litres?) ?(/|per) ?(h|hr|hour|min|minute|std|uur)\b"
    r"|mondays?|tuesdays?|wednesdays?|thursdays?|fridays?|saturdays?|sundays?|\b(mon|tue|wed|thu|fri"
    r"|sat|sun)\b|continuous"
    r"|täglich|\btgl\b|\btägl|wöchentl|monatl|stündl|stdl|\bstd\b|morgens|mittags|abends|nachts"
    r"|zur nacht|einmal|\dmal\b|\bmal\b|alle \d"
    r"|\bpro (tag|woche|monat)|\b(jeden|jeder|jede) |montags?|dienstags?|mittwochs?|donnerstags?"
    r"|freitags?|samstags?|sonntags?|dauerinf"
    r"|frühstück|mittagessen|abendessen|mahlzeit|\bessen\b|ontbijt|avondeten|per \d+ ?(h|uur|hours"
    r"|std|stunden)|continu"
    r"|(nach|after) \d+ ?(stunden|std|h\b|hours)"
    r"|dagelijks|\d ?dag?gs?\b|daags|per dag|maal|keer|wekelijks|maandelijks|ochtend|avond|'s nachts"
    r"|voor de nacht|maaltijd|\bom de\b"
    r"|par jour|\bfois\b|matin|soir|midi|\bcada\b|al día|\bdiario|\bnoche\b|mañana|al giorno"
    rf"|\b\d+ ?[x×](?! ?\d)|\b\d{{1,2}}:\d\d\b|\b\d{{1,2}} uhr\b|{_DUTCH}|{_COUNT_TIMES_UNIT}|{_WEEKDAYS}",
    re.IGNORECASE,
)
_UPPER_LIMIT = re.compile(
    rf"\b(max(imum|imaal|imal|\.)?|at most|no more than|not (to )?exceed|up to|höchstens|bis zu"
    rf"|hooguit|niet meer dan) .{{0,20}}{_COUNT}",
    re.IGNORECASE,
)
_AMOUNT = re.compile(
    rf"(?<![\w.,/]){_COUNT} ?(?:[x×] ?{NUMBER} ?)?\(?{UNIT}(?![^\W_]|/ ?(kg|m2|m²|kgkg))", re.IGNORECASE
)
# A bare number is an amount where it is what is taken: `Take 1 daily`, `2 tds`, `one at night`.
_TIMES = (
    r"[x×]|times|mal\b|maal|keer|dd|fois|veces|hours?|hrs?|h\b|days?|d\b|weeks?|months?|min|std"
    r"|stunden|tage?n?|wochen?|dag|uur|uhr|st\b"
)
_BARE_AMOUNT = re.compile(
    rf"^\W*(?:(?:take|give|use|inject|inhale|instil+|insert|chew|swallow|neem|nehmen|nimm|prendre"
    rf"|tomar)\s+)?{_COUNT}(?![\d.,:/-])(?!\s*(?:{_TIMES}))"
    rf"|\b(?:take|give|inject|inhale|instil+|insert|chew|swallow|neem"
    rf"|nehmen)\s+{_COUNT}(?![\d.,:/-])(?!\s*(?:{_TIMES}))"
    rf"|{_DUTCH}\w|{_COUNT_TIMES_UNIT}",
    re.IGNORECASE,
)
_TOPICAL = re.compile(
    r"\bapply|applied|applications?\b|thin(ly)? (layer|film)|topical|rub |spread|auftragen|einreiben"
    r"|cremen|salben|smeren|aanbrengen"
    r"|insmeren|appliquer|aplicar|gargle|rinse|spülen|spoelen|shampoo|wash\b",
    re.IGNORECASE,
)
_AS_DIRECTED = re.compile(
    r"as (directed|instructed|prescribed|advised|discussed|indicated|ordered)|\bper (protocol|plan"
    r"|schedule|sliding scale|scale|inr|instructions?|mar)"
    r"|see (instructions?|plan|attached|note|schedule|package|leaflet)|according to|sliding scale"
    r"|\but ?dict|\bud\b|\bmdu\b|take as needed|use as needed"
    r"|(nach|laut|gemäß|lt\.?|siehe|s\.) ?(an(weisung|ordnung)|plan|medikationsplan|schema|verordnung"
    r"|inr|wert|bedarf|bz|rücksprache|anlage)"
    r"|(volgens|zie|conform) (schema|voorschrift|afspraak|plan|inr|trombosedienst|bijlage|instructie)"
    r"|bekend gebruik|op geleide|weet gebruik"
    r"|selon (prescription|protocole|schéma|besoin)|según (indicación|pauta|prescripción)",
    re.IGNORECASE,
)
_ENDS = re.compile(
    r"\b(then|and)? ?(stop|discontinue|off|pause|absetzen|beenden|stoppen|arrêter|suspender)\b|\b0 ?(mg|g|ml|tabl?)",
    re.I,
)


def states_amount(text: str) -> bool:
    """Return whether the text states an amount; what is applied to the skin has none."""
    return (
        any(pattern.search(text) for pattern in (_AMOUNT, _BARE_AMOUNT, _TOPICAL, _ENDS)) or dosing_schemes(text) != []
    )


def states_frequency(text: str) -> bool:
    """Return whether the text states how often, or when."""
    return any(pattern.search(text) for pattern in (_FREQUENCY_WORDS, _ENDS)) or dosing_schemes(text) != []


def states_upper_limit(text: str) -> bool:
    """Return whether the text states an upper limit: `max 4 g`."""
    return _UPPER_LIMIT.search(text) is not None


def as_needed(text: str) -> bool:
    """Return whether a medicine is only taken when needed."""
    return re.search(r"needed|\bprn\b|when required|bei bedarf|zo nodig|si besoin", text, re.IGNORECASE) is not None


def states_indication(text: str) -> bool:
    """Return whether the text states an indication: `for wheezing`, `bei Fieber`."""
    return (
        re.search(r"\b(for|if|when|gegen|bij|bei(?! bedarf)|wenn|pour|para) (?!\d|needed|required)\w", text, re.I)
        is not None
    )


def is_as_directed(text: str) -> bool:
    """Return whether the text only refers elsewhere: `as directed`, `nach Plan`."""
    return _AS_DIRECTED.search(text) is not None


def dosing_schemes(text: str) -> list[str]:
    """Return every `1-0-1` in a text as it is written; dates are none."""
    return [match.group() for match in SCHEME.finditer(text) if _taken_by_day(match, text)]


def _taken_by_day(scheme: re.Match[str], text: str) -> bool:
    """Return whether numbers are a scheme and no date: one is 0, there are four, or a unit follows."""
    numbers = [part.strip() for part in re.split(r"[-–]", scheme.group())]
    dated = _BEFORE_A_DATE.search(text[: scheme.start()]) is not None
    united = re.match(rf" ?{UNIT}\b", text[scheme.end() :], re.IGNORECASE) is not None
    return not dated and (len(numbers) == 4 or "0" in numbers or united or all(len(part) == 1 for part in numbers))

"""Format doses as clinicians write units: `2 puffs`, `10 units`, never `{puff}` or a bare `U`. Pure.

Units: UCUM's annotations and arbitrary units (https://ucum.org/ucum), codes of v3-orderableDrugForm, common
abbreviations. `U` and `IU` are on the "do not use" lists of the Joint Commission and ISMP: misread as 0, 4 and IV.
"""

import re
from typing import Any

from services.drafter.record import quantities
from shared.clinical import elements
from shared.clinical.elements import format_number

# What is counted → how else it is written, as a code or in the words of a dosage.
SPELLINGS = {
    "tablet": r"tab|tabs|tbl|tabl|tablets?|tabletten?|tablette",
    "capsule": r"cap|caps|capsules?|kaps|kapseln?",
    "caplet": r"caplets?",
    "puff": r"puffs?|pufs?|hub|hübe",
    "inhalation": r"inhalations?|inhalationen|inhalaties?|inh",
    "actuation": r"actuations?|actuat",
    "spray": r"sprays?|spry|sprühsto(?:ß|ss|öße)",
    "drop": r"drops?|drp|\[drp\]|gtts?|tropfen|druppels?",
    "patch": r"patch(?:es)?|ptch|pflaster|pleisters?",
    "suppository": r"supp|supps|suppositor(?:y|ies)|zäpfchen|zetpil(?:len)?",
    "sachet": r"sachets?|beutel|zakjes?",
    "packet": r"packets?|pkt|pckt",
    "lozenge": r"lozenges?|loz",
    "vial": r"vials?",
    "ampoule": r"amp|amps|ampoules?|ampules?|ampullen?",
    "syringe": r"syringes?|syr",
    "scoop": r"scoops?",
    "applicatorful": r"applicatorfuls?|appful|applful",
    "application": r"applications?|appl",
    "film": r"films?",
    "gum": r"gums?",
    "bar": r"bars?",
    "dose": r"doses?|dosis|dosen",
    "nebule": r"nebules?|nebs?",
    "teaspoon": r"tsp|teaspoons?|\[tsp_us\]|\[tsp_m\]",
    "tablespoon": r"tbsp|tablespoons?|\[tbs_us\]|\[tbs_m\]",
    "unit": r"u|units?|unt|\[u\]|\[iu\]|einheiten|eenheden|ie|i\.e\.|iu|i\.u\.|e|international units?",
    "milliunit": r"mu|milliunits?",
    "arbitrary unit": r"\[arb'u\]|arbitrary units?",
    "USP unit": r"\[usp'u\]|usp units?",
    "tuberculin unit": r"\[tb'u\]|tu|tuberculin units?",
    "thousand units": r"k\[iu\]|10\*3\.?\[iu\]",
    "million units": r"m\[iu\]|10\*6\.?\[iu\]",
    "µg": r"µg|μg|ug|mcg|mikrogramm|micrograms?|microgrammes?",
    "mg": r"mg|milligrams?|milligramm",
    "g": r"g|grams?|gramm",
    "mL": r"ml|millilit(?:er|re)s?|milliliter",
}
_LOCAL_UNIT_WORDS = (
    "ie",
    "i.e.",
    "e",
    "einheiten",
    "eenheden",
    "hub",
    "hübe",
    "dosis",
    "dosen",
)  # words of the record's language
_MEASURES = ("µg", "mg", "g", "mL")
# SNOMED CT's units of presentation, where only the code stands. https://confluence.ihtsdotools.org/display/DOCEBMPM
_SNOMED = {"732936001": "tablet", "732937005": "capsule", "415215001": "puff"}


def format_dose(element: Any) -> str | None:
    """Format a Quantity: `{"value": 2, "code": "{puff}"}` → `2 puffs`; None without a number."""
    shown = quantities.format_quantity({**element, "unit": None, "code": None} if isinstance(element, dict) else None)
    amount = elements.number(element)
    if amount is None or shown is None:
        return None
    text = format_number(amount, trailing_zeros=False)
    sign = shown.removesuffix(format_number(amount))
    return f"{sign}{text} {_unit_in_words(element, amount > 1)}".strip()


def format_dose_range(element: Any) -> str | None:
    """Format a Range: `1-2 tablets`, `10 mg to 1 g`."""
    low, high = elements.child(element, "low"), elements.child(element, "high")
    first, last = format_dose(low), format_dose(high)
    if not first or not last:
        return f"≥ {first}" if first else f"≤ {last}" if last else None
    same = _unit_in_words(low, True) in (_unit_in_words(high, True), "")
    start = format_number(low["value"], trailing_zeros=False) if same else first
    return f"{start} to {last}" if "-" in start or not same else f"{start}-{last}"


def format_dose_ratio(element: Any) -> str | None:
    """Format a Ratio: `4 g/d`, `10 mg/5 mL`."""
    top, below = format_dose(elements.child(element, "numerator")), elements.child(element, "denominator")
    bottom = format_dose(below)
    if top is None or bottom is None:
        return top
    number, _, name = bottom.partition(" ")
    return f"{top}/{name}" if name and number == "1" else f"{top}/{bottom}" if name else f"{top}:{bottom}"


def unit_pattern(word: str) -> str:
    """Return a pattern of every spelling of a unit, singular or plural."""
    word = word.lower()
    for name, spellings in SPELLINGS.items():
        if name.lower() == _singular(word):
            return rf"(?:{spellings}|{re.escape(word)})"
    return rf"{re.escape(word.removesuffix('s'))}s?"


def canonical_units(text: str) -> str:
    """Return dosage text with one spelling of units, for comparison: `10u` and `10 units` are equal."""
    for name, spellings in SPELLINGS.items():
        text = re.sub(rf"(?<=\d) ?(?:{spellings})(?![^\W_])", name.lower().replace(" ", ""), text)
    return text


def _unit_in_words(element: Any, many: bool) -> str:
    """Return the unit in words: of the text, else of the code."""
    stated, code = elements.string(element, "unit") or "", elements.string(element, "code") or ""
    for text in (stated, code):
        annotated = text.startswith("{") and text is code and stated != ""  # the author's own word says it better
        if text and not (annotated and not _is_countable(text)) and (word := _unit_noun(text, many)) is not None:
            return word
    if not stated and re.fullmatch(r"\d+", code):
        return "" if code == "1" else f"(unit code {code})"  # never beside the number: `5 1` is read as 51
    return "" if stated == "1" else _format_compound_unit(stated or code)


def _is_countable(text: str) -> bool:
    """Return whether a unit is one of the known nouns."""
    return any(re.fullmatch(spellings, text.strip("{}").lower()) for spellings in SPELLINGS.values())


def _unit_noun(text: str, many: bool) -> str | None:
    """Return the noun of a counted unit; None where it is none."""
    bare = re.fullmatch(r"(?:1 ?)?\{([^{}]+)\}", text)
    plain_text = (bare[1] if bare else text).replace("_", " ").replace("(s)", "").strip().lower()
    if plain_text in _LOCAL_UNIT_WORDS and not bare:
        return text
    if text in _SNOMED:
        return _plural(_SNOMED[text]) if many else _SNOMED[text]
    for name, spellings in SPELLINGS.items():
        if name not in _MEASURES and re.fullmatch(spellings, plain_text):
            local = plain_text not in (name, _plural(name)) and re.search(
                r"(en|er|jes?|el|ster|chen|öße|ette)$", plain_text
            )
            return text if local and not bare else _plural(name) if many else name
    return plain_text if bare else None


def _format_compound_unit(text: str) -> str:
    """Return `U/kg/h` → `units/kg/h`; other units unchanged."""
    parts = [_unit_noun(part, position == 0) or part for position, part in enumerate(text.split("/"))]
    return quantities.format_unit("/".join(parts))


def _plural(name: str) -> str:
    if name.endswith("s"):
        return name
    return f"{name[:-1]}ies" if name.endswith("ry") else f"{name}es" if name.endswith("ch") else f"{name}s"


def _singular(word: str) -> str:
    return next((name.lower() for name in SPELLINGS if word in (name.lower(), _plural(name).lower())), word)

"""Compare orders of one ingredient by product: salt, release, site of application. Pure.

Lopressor is metoprolol tartrate, but its name does not say so: what one side leaves unsaid stays open.
"""

import re
from functools import lru_cache
from typing import Literal

from shared.contracts.context import Medicine

ProductMatch = Literal["same", "different", "open"]
ApplicationSite = Literal["eye", "ear", "nose", "airways", "vagina", "rectum", "patch", "mouth", "skin", "body"]

TOKENS = re.compile(r"\d+(?:[.,]\d+)?|[^\W\d_]+")
# Where a medicine acts, in words of routes, forms and directions; the first that matches counts. Swallowed and injected
# ones act in the whole body: from one to the other is a change of one medicine.
_PLACES: tuple[tuple[ApplicationSite, str], ...] = (
    ("body", r"subcut|under the skin|intraderm|nasogastr|intraven|intramusc"),
    ("eye", r"ophthalm|ocular|conjunctiv|intravitr|\beyes?\b|eye ?drops?|augen|\boog|\bogen\b|collyre"),
    ("ear", r"\botic|auricular|\bears?\b|eardrops?|ohren|\boor(druppel|gel|zalf|\b)|\boren\b"),
    ("nose", r"nasal|\bnose|nostril|nasen|\bneus"),
    ("airways", r"inhal|nebuli|vernevel|respirat|\bpuffs?\b|diskus|turbuhaler|respimat|\bhfa\b|evohaler|pulmon"),
    ("vagina", r"vagin|pessar"),
    ("rectum", r"rectal|rektal|rectaal|suppositor|enema|klysma|zäpfchen|zetpil"),
    ("patch", r"transderm|patch|pflaster|pleister"),
    ("mouth", r"sublingual|buccal|lozenge|mouthwash|oromucos"),
    (
        "skin",
        r"topical|\bcutan|\bkutan|cream|ointment|lotion|(?<!soft)gel\b(?! ?cap)|salbe|creme|crème|zalf|pommade"
        r"|dermal|shampoo|\bapply\b|auf die haut|op de huid",
    ),
    (
        "body",
        r"\boral|by mouth|\bp\.?o\b|per os|tablet|capsul|kapsel|syrup|\bcaps?\b|\btabs?\b|\bstuk\b|swallow|inject|infus"
        r"|parenteral|\bi\.?v\b|\bs\.?c\b|\bi\.?m\b|comprim",
    ),
)
# SNOMED CT: routes that a record may give by their code only.
_ROUTES: dict[str, ApplicationSite] = {
    "26643006": "body",
    "47625008": "body",
    "34206005": "body",
    "78421000": "body",
    "6064005": "skin",
    "54485002": "eye",
    "10547007": "ear",
    "46713006": "nose",
    "447694001": "airways",
    "16857009": "vagina",
    "37161004": "rectum",
    "45890007": "patch",
    "37839007": "mouth",
}
_EXTENDED = frozenset(
    [
        "er",
        "xr",
        "xl",
        "sr",
        "cr",
        "la",
        "mr",
        "pr",
        "cd",
        "xt",
        "zok",
        "mga",
        "lp",
        "retard",
        "depot",
        "extended",
        "prolonged",
        "modified",
        "sustained",
        "controlled",
    ]
)
_PLAIN = frozenset(
    {"er", "pr", "extended", "prolonged"}
)  # the same in other words; `XL` and `SR` are products of a name
_DELAYED = frozenset(
    [
        "ec",
        "dr",
        "msr",
        "delayed",
        "enteric",
        "gastro",
        "magensaftresistent",
        "magensaftresistente",
        "maagsapresistent",
        "maagsapresistente",
    ]
)
_OTHERS = frozenset({"ir", "immediate", "mix"})
_SALT = re.compile(
    r"(?:(tartr|succin|male|besyl|besil|fumar|mesyl|mesil|sulf|sulph|phosph|fosf|acet|citr|glucon|carbon|pamo|embon"
    r"|decano|enanth|undecano|palmit|lact|valer|propion|furo|hycl|stear)(?:ate?|aat|ato)s?"
    r"|(hydrochlorid|chlorid|hydrobromid|bromid|monohydrat|oxid|erbumin|arginin|benzathin|procain)(?:e|a?at)?"
    r"|(hcl)|(sodium|natrium)|(potassium|kalium)|(calcium)|(magnesium))\b",
    re.IGNORECASE,
)
_SPELLED = {"besil": "besyl", "mesil": "mesyl", "sulph": "sulf", "fosf": "phosph", "hcl": "hydrochlorid"}
_SPELLED |= {"natrium": "sodium", "kalium": "potassium", "embon": "pamo"}
# Ingredients whose salts have one strength and stand for each other: a name without the salt leaves nothing open.
_ONE_SALT = frozenset(
    re.findall(
        r"\w+",
        """
        albuterol alendronate amitriptyline amlodipine atorvastatin bisoprolol carvedilol ceftriaxone cetirizine
        ciprofloxacin citalopram clindamycin clonidine clopidogrel cyclobenzaprine dabigatran diltiazem diphenhydramine
        donepezil doxazosin duloxetine enalapril enoxaparin escitalopram esomeprazole fluoxetine glycopyrrolate heparin
        hydralazine labetalol levofloxacin levothyroxine lisinopril loperamide losartan memantine metformin montelukast
        ondansetron oxybutynin oxycodone pantoprazole paroxetine pravastatin prazosin propranolol quetiapine quinapril
        rabeprazole raloxifene ranitidine ropinirole rosuvastatin salbutamol sertraline sildenafil sitagliptin
        solifenacin sotalol tamsulosin terazosin timolol tizanidine tramadol trazodone valacyclovir venlafaxine
        verapamil warfarin
        """,
    )
)
# Strengths (mg) that only the extended release product of an ingredient has: they say which it is.
_BY_STRENGTH = {"acetaminophen": {"665"}, "metoprolol": {"23.75", "47.5", "95", "190"}}


def application_site(medicine: Medicine) -> ApplicationSite | None:
    """Return where a medicine acts, by its route, else its name, else its directions; None where unknown."""
    if medicine.route in _ROUTES:
        return _ROUTES[medicine.route]
    texts = (medicine.route, medicine.name, medicine.dose)
    return next((found for text in texts if text and (found := _site_named_in(text)) is not None), None)


@lru_cache(maxsize=4096)  # each order is compared with each other one
def _site_named_in(text: str) -> ApplicationSite | None:
    return next((site for site, words in _PLACES if re.search(words, text, re.IGNORECASE)), None)


def have_different_sites(one: Medicine, other: Medicine) -> bool:
    """Return whether two orders are for different sites: a cream is no change of a tablet."""
    places = application_site(one), application_site(other)
    return all(places) and places[0] != places[1]


def is_site_unknown(one: Medicine, other: Medicine) -> bool:
    """Return whether one of two orders is for a body part and the other does not state its site."""
    places = {application_site(one), application_site(other)}
    return None in places and bool(places - {None, "body"})


def compare_products(one: Medicine, other: Medicine) -> ProductMatch:
    """Return whether two orders of one ingredient and strength are of one product, by codes and names."""
    if set(one.products) & set(other.products) or _is_identified_by_strength(one, other):
        return "same"
    found = {_compare_salts(one, other), _compare_release(one, other)}
    return "different" if "different" in found else "open" if "open" in found else "same"


def _is_identified_by_strength(one: Medicine, other: Medicine) -> bool:
    numbers = [set(re.findall(r"\d+(?:\.\d+)?", item.name.replace(",", "."))) for item in (one, other)]
    shared = set(one.ingredients) & set(other.ingredients)
    return any(numbers[0] & numbers[1] & _BY_STRENGTH.get(name, set()) for name in shared)


def _compare_salts(one: Medicine, other: Medicine) -> ProductMatch:
    salts = [_salts_of(item) for item in (one, other)]
    if all(salts):
        return "same" if salts[0] & salts[1] else "different"
    alike = set(one.ingredients) & set(other.ingredients)
    return "open" if any(salts) and not (alike and alike <= _ONE_SALT) else "same"


def _salts_of(item: Medicine) -> frozenset[str]:
    found = (next(filter(None, match.groups())).lower() for match in _SALT.finditer(item.name))
    return frozenset(_SPELLED.get(stem, stem) for stem in found)


def _compare_release(one: Medicine, other: Medicine) -> ProductMatch:
    """Compare releases: without one, a generic name is the plain product; a brand name leaves it open."""
    words = [frozenset(TOKENS.findall(item.name.lower())) for item in (one, other)]
    forms = [found & (_EXTENDED | _DELAYED | _OTHERS) for found in words]
    if forms[0] == forms[1] or all(form and form <= _PLAIN | {"release"} for form in forms):
        return "same"
    if not all(forms):
        return "open" if any(is_brand(item) for item in (one, other)) else "different"
    kinds = [[bool(form & kind) for kind in (_EXTENDED, _DELAYED, _OTHERS)] for form in forms]
    return "open" if kinds[0] == kinds[1] else "different"


def is_brand(medicine: Medicine) -> bool:
    return bool(medicine.ingredients) and not any(name in medicine.name.lower() for name in medicine.ingredients)

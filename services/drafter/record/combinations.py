"""Substances of combination medicines, by brand or joined name. Pure.

`oxycodone-acetaminophen`, `Percocet` and `acetaminophen` share a substance that must not be taken twice.
"""

import re

# Brands and British names that say none of their substances, or not all. Those of one name have one composition.
_BRANDS = {
    "acetaminophen oxycodone": "percocet endocet roxicet",
    "acetaminophen hydrocodone": "norco vicodin lortab lorcet",
    "acetaminophen codeine": "co-codamol panadeine kapake solpadol zapain talvosilen gelonida",
    "acetaminophen tramadol": "ultracet zaldiar tramacet",
    "acetaminophen dihydrocodeine": "co-dydramol",
    "amoxicillin clavulanate": "augmentin augmentan amoclan amoxiclav co-amoxiclav amoclav",
    "ampicillin sulbactam": "unasyn unacid",
    "piperacillin tazobactam": "zosyn tazocin tazobac",
    "sulfamethoxazole trimethoprim": "bactrim septra septrin cotrim cotrimoxazole cotrimoxazol co-trimoxazole eusaprim",
    "sacubitril valsartan": "entresto",
    "amlodipine valsartan": "exforge",
    "amlodipine benazepril": "lotrel",
    "amlodipine atorvastatin": "caduet",
    "hydrochlorothiazide lisinopril": "zestoretic prinzide",
    "hydrochlorothiazide losartan": "hyzaar",
    "hydrochlorothiazide triamterene": "maxzide dyazide dytide",
    "atenolol chlorthalidone": "tenoretic",
    "ezetimibe simvastatin": "vytorin inegy",
    "metformin sitagliptin": "janumet velmetia",
    "metformin vildagliptin": "eucreas",
    "linagliptin metformin": "jentadueto",
    "dapagliflozin metformin": "xigduo",
    "empagliflozin metformin": "synjardy",
    "carbidopa levodopa": "sinemet co-careldopa nacom",
    "benserazide levodopa": "madopar restex co-beneldopa",
    "budesonide formoterol": "symbicort",
    "fluticasone salmeterol": "advair seretide viani",
    "albuterol ipratropium": "duoneb combivent",
    "naloxone oxycodone": "targin targiniq",
    "buprenorphine naloxone": "suboxone",
    "aspirin dipyridamole": "aggrenox asasantin",
    "diclofenac misoprostol": "arthrotec",
    "esomeprazole naproxen": "vimovo",
}
_SUBSTANCES = {brand: tuple(parts.split()) for parts, brands in _BRANDS.items() for brand in brands.split()}
# Substances that are only ever part of a combination, in words that the list of names does not have.
_PARTNERS = {
    "clavulan": "clavulanate",
    "sulbactam": "sulbactam",
    "tazobactam": "tazobactam",
    "piperacillin": "piperacillin",
    "sulfamethoxazol": "sulfamethoxazole",
    "sacubitril": "sacubitril",
    "carbidopa": "carbidopa",
    "benserazid": "benserazide",
    "dipyridamol": "dipyridamole",
    "vilanterol": "vilanterol",
}
_NAME = re.compile(r"[^\W\d_]+(?:-[^\W\d_]+)*")
_JOINED = re.compile(r"[^\W\d_]{5,}(?:-[^\W\d_]{5,})+")


def combination_substances(text: str) -> frozenset[str]:
    """Return the substances that a lower-case name implies by a brand or a partner substance."""
    substances = {part for name in _NAME.findall(text) for part in _SUBSTANCES.get(name, ())}
    return frozenset(substances | {partner for start, partner in _PARTNERS.items() if start in text})


def joined_substances(text: str) -> list[list[str]]:
    """Split `oxycodone-acetaminophen 5-325` → `[["oxycodone", "acetaminophen"]]`; `co-amoxiclav` is one name."""
    return [name.split("-") for name in _JOINED.findall(text)]


def split_substances(name: str) -> list[str]:
    """Return the substances of `acetaminophen, butalbital, and caffeine`; vaccines and brackets are kept whole."""
    if "(" in name or "vaccine" in name:
        return [name]
    return [part for part in re.split(r",? and |, ", name) if part]

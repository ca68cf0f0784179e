"""Wordings of medicine lists: in categories of orders, and in titles of lists and sections. Pure.

https://terminology.hl7.org/CodeSystem-medicationrequest-category.html; Oracle Health has `patientspecified` besides.
"""

import re
from typing import Literal

from shared.clinical import elements
from shared.clinical.elements import Resource

Category = Literal["discharge", "inpatient", "community", "outpatient", "reported"]

_CODES: dict[str, Category] = {
    "discharge": "discharge",
    "inpatient": "inpatient",
    "community": "community",
    "outpatient": "outpatient",
    "patientspecified": "reported",
}
DISCHARGE = re.compile(
    r"discharge|take[- ]?home|to take (out|away|home)|\btt[oah]s?\b|entlass|ontslag|sortie|dimissi|\balta\b|utskriv",
    re.IGNORECASE,
)
BEFORE_ADMISSION = re.compile(
    r"prior to admission|\bpta\b|pre-?admission|(on|at|before|upon) admission|admission med|home med|medic\w+ at home"
    r"|(usual|reg(ular)?|own) (home )?med|patient[ -]?(reported|specified)|historical"
    r"|haus(arzt)?-?medik|vormedik|häuslich|medikation zu ?hause|dauermedik|eigenmedik"
    r"|(aufnahme|einweisungs)-?medik|(bei|vor) aufnahme|à domicile|à l.admission|entrée"
    r"|thuis-?medic|medicatie thuis|thuisgebruik|opname-?medic|(bij|voor) opname|eigen medic",
    re.IGNORECASE,
)
_COMMUNITY = re.compile(r"communit|at home|\bhome\b|thuis|zu hause|häuslich", re.IGNORECASE)
_OUTPATIENT = re.compile(r"out-?patient|ambulan|ambulatory|poli-?klini", re.IGNORECASE)
_INPATIENT = re.compile(r"\bin-?patient|in hospital|\bward\b|station(ä|ae)r|(?<!poli)(?<!poli-)klinisch", re.IGNORECASE)


def categories(order: Resource) -> frozenset[Category]:
    """Return the categories of an order, by code or in words; empty where it has none of these."""
    stated = order.get("category")
    coded = {kind for code in elements.codes(stated) if (kind := _CODES.get(code.lower()))}
    texts = [*elements.displays(stated), *(re.sub(r"[_.-]", " ", code) for code in elements.codes(stated))]
    return frozenset(coded | {kind for text in texts if (kind := _category(text))})


def _category(text: str) -> Category | None:
    if DISCHARGE.search(text):
        return "discharge"
    if BEFORE_ADMISSION.search(text):
        return "reported"
    if _OUTPATIENT.search(text):
        return "outpatient"
    if _INPATIENT.search(text):
        return "inpatient"
    return "community" if _COMMUNITY.search(text) else None

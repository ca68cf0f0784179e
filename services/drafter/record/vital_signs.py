"""Recognise vital signs by any code, else by name, as charts use codes of their own. Pure."""

import re

from shared.clinical import elements
from shared.clinical.elements import Resource

# LOINC of the vital signs a summary shows; the rest of a chart's measurements is noise at discharge.
VITALS = {
    "8867-4": "Heart rate",
    "85354-9": "Blood pressure",
    "55284-4": "Blood pressure",
    "8480-6": "Systolic blood pressure",
    "8462-4": "Diastolic blood pressure",
    "9279-1": "Respiratory rate",
    "8310-5": "Body temperature",
    "2708-6": "Oxygen saturation",
    "59408-5": "Oxygen saturation",
    "3151-8": "Inhaled oxygen flow rate",
    "3150-6": "Inhaled oxygen concentration",
    "29463-7": "Body weight",
    "3141-9": "Body weight",
    "8302-2": "Body height",
    "8339-4": "Birth weight",
}
ORDER = {name: index for index, name in enumerate(dict.fromkeys(VITALS.values()))}
# By words, for charts without LOINC; the first that fits.
_WORDS = (
    (r"systol", "Systolic blood pressure"),
    (r"diastol", "Diastolic blood pressure"),
    (r"blood pressure|blutdruck|bloeddruk|tension artérielle|^bp$", "Blood pressure"),
    (r"heart rate|pulse rate|^pulse$|herzfrequenz|hartfrequentie|^puls|^hr$", "Heart rate"),
    (r"respiratory rate|respiration rate|atemfrequenz|ademfrequentie|^rr$", "Respiratory rate"),
    (r"temperature|temperatur|^temp", "Body temperature"),
    (r"oxygen saturation|spo2|sauerstoffsättigung|zuurstofsaturatie|^o2 ?sat", "Oxygen saturation"),
    (r"^(body )?weight|körpergewicht|lichaamsgewicht|^poids", "Body weight"),
    (r"^(body )?height|körpergröße|lichaamslengte", "Body height"),
)


def vital_sign(item: Resource) -> str | None:
    """Return a vital sign's name in the document; None for what a summary does not show."""
    for code in sorted(elements.loinc_codes(item.get("code"))):
        if code in VITALS:
            return VITALS[code]
    if "vital-signs" not in elements.codes(item.get("category")):
        return None
    for text in elements.displays(item.get("code")):
        for pattern, name in _WORDS:
            if re.search(pattern, text, re.IGNORECASE):
                return name
    return None

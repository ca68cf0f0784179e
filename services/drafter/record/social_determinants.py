"""Recognise conditions that are no illness: work, education, housing, finances, administration. Pure.

Synthea and many EHRs keep them as problems; as diagnoses they mislead.
"""

import re

from shared.contracts.context import Diagnosis

_ICD = re.compile(r"Z(5[5-9]|6[0-5])(\.|$)")  # ICD-10: persons with potential health hazards related to socioeconomic
# and psychosocial circumstances
_SOCIAL_WORDS = re.compile(
    r"\b(un)?employ(ed|ment)\b|\bnot in (the )?labou?r force|\blabou?r force|\beducation(al)?\b(?! \(procedure)"
    r"|\b(high|primary|secondary) school\b|\bcollege\b|\bhomeless(ness)?\b|\bhousing\b|\btransport(ation)?\b"
    r"|\bsocial (isolation|contact|circumstances)|\bcriminal record|\brefugee\b|\barmed forces\b|\bveteran\b"
    r"|\bintimate partner|\breports of violence|\blives alone\b|\bliving alone\b|\bfood insecurity|\bpoverty\b"
    r"|\bfinancial\b|\blow income\b|\b(medication|care plan) review due\b|\bretired\b|^stress$"
    r"|\barbeitslos|\bobdachlos|\bwohnungslos|\balleinleb|\blebt allein|\brentner(in)?\b|\bberentet\b"
    r"|\bdakloos|\bthuisloos|\bwerkloos|\balleenwonend|\bwoont alleen|\bgepensioneerd|\bsans (domicile|emploi)\b",
    re.IGNORECASE,
)
_ILLNESS = re.compile(
    r"\bdisease|disorder|syndrome|fracture|injury|pneumoni|asthma|dermatitis|hearing loss", re.IGNORECASE
)


def is_social_determinant(item: Diagnosis) -> bool:
    """Return whether a problem is a social circumstance; never so for principal and admission diagnoses."""
    if item.role not in ("problem", "comorbidity") or item.acquired:
        return False
    if _ICD.match(item.code or ""):
        return True
    name = re.sub(r"\s*\([^()]*\)", "", item.text).strip()
    return _SOCIAL_WORDS.search(name) is not None and _ILLNESS.search(name) is None

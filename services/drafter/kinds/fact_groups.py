"""The groups of facts of a document by name, and the part of each by default.

`services/drafter/facts.py` renders them. A kind moves, renames or omits groups by these names; others stay where they
are, so that no group is lost by being forgotten.
"""

import re

GROUPS: dict[str, tuple[str, ...]] = {
    "reason-for-hospitalization": (
        "reason-for-admission",
        "principal-diagnosis",
        "other-diagnoses-and-problems",
        "diagnoses-that-began-during-the-stay",
        "suspected-diagnoses",
        "diagnoses-ruled-out",
        "family-history",
    ),
    "significant-findings": (
        "allergies-and-intolerances",
        "abnormal-laboratory-results",
        "laboratory-results-within-range",
        "laboratory-results",
        "microbiology",
        "imaging-and-other-reports",
        "results-that-contradict-each-other",
        "results-pending-at-discharge",
    ),
    "procedures-and-treatment": (
        "procedures",
        "devices-and-lines",
        "immunizations",
        "medications-given-in-hospital",
        "medications-ordered-in-hospital",
        "home-medications-before-admission",
        "medication-reconciliation",
    ),
    "condition-at-discharge": (
        "outcome",
        "discharged-to",
        "last-vital-signs",
        "functional-and-cognitive-status",
        "code-status-and-advance-directives",
        "other-observations",
    ),
    "patient-and-family-instructions": (
        "instructions",
        "medications-to-take-at-home",
        "medications-not-to-take",
        "follow-up",
        "referrals-and-services",
        "care-plan",
        "diet-and-activity",
        "goals",
        "care-team",
    ),
    "attending-signature": ("signature",),
}
# What the parts are called that a kind gives no title, by what the record says.
TITLES: dict[str, tuple[str, ...]] = {
    "reason-for-hospitalization": ("Reason for hospitalization",),
    "significant-findings": ("Significant findings",),
    "procedures-and-treatment": ("Procedures and treatment",),
    "condition-at-discharge": ("Condition at discharge", "Outcome of the stay"),
    "patient-and-family-instructions": ("Instructions for patient and family", "Information for the family"),
    "attending-signature": ("Attending physician",),
}
NARRATIVES = ("Hospital course", "In plain words")
REQUIRED_ELEMENTS_GROUP = "required-elements"  # the group of a kind's required elements
NAMES = frozenset(name for names in GROUPS.values() for name in names)
# Facts whose absence may harm: no kind leaves these out.
MANDATORY_GROUPS = frozenset(
    {
        "principal-diagnosis",
        "allergies-and-intolerances",
        "abnormal-laboratory-results",
        "results-that-contradict-each-other",
        "results-pending-at-discharge",
        "procedures",
        "medication-reconciliation",
        "outcome",
        "discharged-to",
        "code-status-and-advance-directives",
        "instructions",
        "medications-to-take-at-home",
        "medications-not-to-take",
        "follow-up",
        "signature",
    }
)


def group_name(title: str) -> str:
    """Return the name of a group by its title, without a bracketed suffix: `… (hospital-acquired)`."""
    return re.sub(r"[^a-z0-9]+", "-", re.split(r"[(,]", title.lower())[0]).strip("-")

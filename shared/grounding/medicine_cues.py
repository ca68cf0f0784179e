"""Wordings around the name of a medicine: allergy, denial, duration, time of intake, previous dose."""

import re

ALLERGY = re.compile(
    r"\b(?:allerg\w*|intoleran\w*|hypersensitiv\w*|anaphyla\w*|nkda|not tolerate\w*|unable to tolerate)\b",
    re.IGNORECASE,
)
# A denial that says what became of the medicine: see `status`.
NOT_TAKEN = re.compile(
    r"\b(?:do(?:es)? not take|not taking|no longer (?:takes?|taking|on)|not to be taken)\b", re.IGNORECASE
)
DURATION_BEFORE = re.compile(
    r"(?:\bfor|\blasting|\blast|\bto last|\bduration of|\bfor altogether|\bfor around|\bfor about|\bplanned|"
    r"\bfull|\bover|\bx|×|\ba|\bfurther|\banother|\badditional|\btotal of|\bcomplete|\bcompleted|\bfor "
    r"the next|\bduration:?|\bthrough|\bfor a total of)\s*$"
)
DURATION_AFTER = re.compile(
    r"^[\s'’-]*(?:course|supply|of (?:therapy|treatment|antibiotics?)|regimen|in total|in all|altogether|total|"
    r"only|supplied|worth|more|taper|infusion|of (?=[a-z]))"
)
AT_DISCHARGE = re.compile(
    r"\b(?:discharged? (?:home )?(?:on|with|taking)|(?:at|on|upon) discharge|discharge medic\w+|sent home "
    r"(?:on|with))\b",
    re.IGNORECASE,
)
AT_HOME = re.compile(
    r"\bat home\b|\bhome (?:medic\w+|dose|regimen)\b|\b(?:before|prior to) (?:the )?admission\b|"
    r"\bpre-?admission\b",
    re.IGNORECASE,
)
GIVEN_BEFORE = re.compile(
    r"\b(?:received|given|administered|infused|started on|treated with|transfused|prescribed|discharged on)\s+"
    r"(?:iv |intravenous |oral |sodium |an? )*$"
)
GIVEN_AFTER = re.compile(
    r"\s+(?:was|were|is|are)\s+(?:\w+ly\s+)?(?:given|administered|infused|started|stopped|discontinued|"
    r"replet\w+|supplemented|replaced"
    r"|prescribed|held|transfused|continued|a new)\b"
)
ADMINISTRATION_PARTS = ("medicines", "procedures", "devices", "services")
PREVIOUS_DOSE = re.compile(
    r"\b(?:from(?: an?)?(?: prior| previous| old)?(?: dose)?(?: of)?|previously|formerly|instead of|prior dose "
    r"of|had been|old dose:?)\s*$",
    re.IGNORECASE,
)
# Parts of the record in which a medicine may stand without an order.
OTHER_PARTS = (
    "microbiology",
    "reports",
    "procedures",
    "notes",
    "reasons",
    "services",
    "care_plans",
    "immunizations",
    "observed",
    "outcome",
    "contradictions",
    "devices",
    "diagnoses",
    "follow_up",
    "pending",
)

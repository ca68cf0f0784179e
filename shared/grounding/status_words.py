"""Verbs of a medicine's status, and the words around them that change their meaning."""

import re

VERBS: dict[str, str] = {
    "started": 
        r"(?:newly )?(?:started|initiated|begun|began|commenced|introduced|added|prescribed as new|put on|"
        r"placed on)|initiate|commence|newly (?:initiated|added|prescribed)|"
        r"newly prescribed|(?:is|as) new\b|new(?:ly)?(?: medications?| medicines?| prescriptions?)?|starting|"
        r"begin|start",
    "stopped": (
        r"(?:should|must|will|is|was|were|are) not (?:to )?be(?:ing)? continued|not continued|should not continue|"
        r"stopped|discontinued|ceased|withdrawn|taken off|no longer (?:taking|takes|to be taken)|discontinue|"
        r"not (?:resumed|restarted|renewed|refilled|reintroduced|continued|to be continued)|stop(?:ping)?(?: "
        r"taking)?|no longer (?:takes?|on)|omit(?:ted)?|(?:do(?:es)? not take|not taking)(?![^.;]*(?:for now|"
        r"moment|present|until|hold))|terminated|ended|ceased|removed from|"
        r"withdrew|omitted|came off|not to be continued|permanently stopped"
    ),
    "continued": 
        r"(?:no|without(?: any)?) (?:further )?(?:changes?|alterations?|adjustments?)(?: (?:was |were )?(?:made "
        r")?(?:to|in))?|not changed|"
        r"(?:left|kept|remains?|stays?) (?:unchanged|the same|as (?:is|before))|stays? the same|keeps? taking|"
        r"keep taking|(?:as )?(?:per )?(?<=per )usual|ongoing|as before|"
        r"continued|continues|continue|continuing|unchanged|resumed|maintained|kept|remained|remains|carried on|"
        r"restarted|resume|same dose",
    "increased": r"increased|hiked|stepped up|upped|gone up|went up|higher dose|up-?titrated|raised|escalated|"
        r"doubled|titrated up|increase",
    "decreased": r"decreased|cut (?:down|back)|stepped down|gone down|went down|lower dose|reduced|lowered|"
        r"down-?titrated|tapered|halved|"
        r"titrated down|decrease|reduce",
    "held": r"(?:do(?:es)? not take|not taking|not to be taken)(?=[^.;]*(?:for now|moment|present|until|hold))|"
        r"put on hold|holding|"
        r"pausing|suspend|withhold|hold off|held|on hold|paused|withheld|suspended|interrupted|temporarily "
        r"stopped|hold|pause",
    "changed": r"changed|adjusted|switched|substituted|replaced|converted|modified",
    "given": r"received|given(?! a? ?(?:supply|prescription|\d+ days'? supply|\d+-day supply))(?! \d+ days)|"
        r"treated with|administered|managed with|receiving|got",
    "prescribed": r"prescribed",
    "discharged": 
        r"discharged (?:home )?(?:on|with|taking)|discharge (?:medications?|medicines?|"
        r"prescriptions?)(?: are| include[sd]?)?|sent home (?:on|with)|went home (?:on|with)|to take|take|"
        r"takes(?! at home)",
    "home": 
        r"home (?:medications?|medicines?|meds)(?: are| include[sd]?)?|(?:was |had been )?taking|takes at "
        r"home|took|pre-?admission medications?|at home|before admission|prior to admission|outpatient",
}  # fmt: skip
VERB = re.compile("|".join(rf"(?P<{name}>\b(?:{words})\b)" for name, words in VERBS.items()), re.IGNORECASE)
PASSIVE = re.compile(
    r"\b(?:was|were|been|be|being|is|are|remains?|to be)\s+(?:\w+ly\s+|also\s+|both\s+|all\s+|then\s+|not\s+|re-?)*$",
    re.IGNORECASE,
)
ONWARD = re.compile(r"^\s*(?:on|with|taking|him on|her on|the patient on|to take|:)(?=[\s:])", re.IGNORECASE)
TO_COME = re.compile(r"\b(?:to be|will be|to)\s+$", re.IGNORECASE)
PLURAL = re.compile(r"\b(?:were|are|both|all)\b", re.IGNORECASE)
DISCHARGE = re.compile(
    r"\b(?:at|on|upon|by|for) discharge\b|\bdischarged?\b|\bhome with\b|\bfor home\b|\bto take home\b|"
    r"\bat home after\b",
    re.IGNORECASE,
)


HOME = re.compile(
    r"\b(?:as an outpatient|at home|(?:before|prior to) (?:this |the |his |her )?(?:admission|presentation|"
    r"hospitali[sz]ation|coming)"
    r"|had (?:previously )?been|pre-?admission|chronically|at baseline|usually|normally|regularly)\b",
    re.IGNORECASE,
)
STAYED = re.compile(r" (?:in (?:the )?hospital|under|as an? inpatient|for observation)")
AS_BEFORE = re.compile(r"\b(?:as (?:before|usual|previously)|unchanged|same|home)\b", re.IGNORECASE)
SUPPLIED = re.compile(
    r"\b(?:supply|supplied|prescriptions?|script|dispensed|issued|to last|(?:given|gave)(?: (?:the patient|him|"
    r"her))? (?:an? )?\d+[ -]days?)\b",
    re.IGNORECASE,
)

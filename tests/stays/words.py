"""Alternatives of fact sheets: headings and wordings in which a right document may say the same.

says("critical", "dose", "warfarin 5 mg in the evening", item("warfarin", r"5 ?mg", EVENING, under=HOME))
"""

import re
from datetime import date

from tests.stays.model import Pattern

# Headings.
REASON = (r"reason for (admission|hospitali)",)
PRINCIPAL = (r"principal|main|primary",)
OTHER = (r"other diagnos|secondary|comorbid|problem",)
DIAGNOSES = (r"(?<!family )\bdiagnos|problem|conditions acquired",)
ACQUIRED = (r"acquired|complication",)
SUSPECTED = (r"suspect|not confirmed|unconfirmed|provisional|differential|possible|working",)
RULED_OUT = (r"ruled out|excluded|refuted",)
FAMILY = (r"family history",)
ALLERGIES = (r"allerg|intoleran",)
ABNORMAL = (r"abnormal|out(side)? of range",)
NORMAL = (r"within (the )?(reference |normal )?(range|limits)|normal results|unremarkable",)
NO_RANGE = (r"no (reference )?range",)
LABS = (r"laborator|result",)
MICRO = (r"microbiolog|culture",)
REPORTS = (r"imaging|report",)
PENDING = (r"pending|outstanding|awaited",)
PROCEDURES = (r"/ procedures|operations?",)
DEVICES = (r"device|lines",)
IMMUNIZATIONS = (r"immuni[sz]ation|vaccin",)
GIVEN = (r"(given|used|administered|ordered) in hospital|inpatient medic",)
HOME = (r"take at home|take-home|discharge medic|medic\w* (at|on) discharge|prescri",)
RECONCILIATION = (r"reconciliation|medications? (started|changed|continued)",)
TAKEN = (*HOME, *RECONCILIATION)
NOT_TAKEN = (r"not to take|do not take|stopped|on hold",)
DISPOSITION = (r"discharged to|disposition|destination|outcome|condition at discharge",)
VITALS = (r"vital",)
FUNCTION = (r"function|cognitive|condition at discharge",)
CODE_STATUS = (r"code status|advance|directive|resuscitation",)
FOLLOW_UP = (r"follow.?up|appointment",)
REFERRALS = (r"referral|service|order",)
AFTERCARE = (*FOLLOW_UP, *REFERRALS, r"care plan|instructions")
CARE_PLAN = (r"care plan",)
DIET = (r"diet|activit",)
GOALS = (r"goal",)
CARE_TEAM = (r"care team|signature|attending",)

# How often, in the words of prescribers.
_TIMES = r"( ?(x|times|doses))?( (a|per|each|every) day|[ /]?daily|/ ?d(ay)?\b| per d\b)"
DAILY = (
    rf"(\bdaily|\bonce (a|per|each) day|(every|each) day|\b1{_TIMES}|\bq24h|every (24 hours|morning|evening|night)"
    r"|\bqd\b|nightly|at bedtime|in the (morning|evening))"
)
TWICE = (
    rf"(\btwice|\b(2|two)( \(two\))?{_TIMES}|\bbid\b|b\.i\.d|q12h|every 12 ?h|12-hourly"
    r"|morning.{0,20}(evening|night|bed))"
)
THREE_TIMES = rf"(\b(3|three)( \(three\))?{_TIMES}|\btid\b|t\.i\.d|q8h|every 8 ?h|8-hourly)"
FOUR_TIMES = rf"(\b(4|four)( \(four\))?{_TIMES}|\bqid\b|q6h|every 6 ?h|6-hourly)"
WEEKLY = r"(weekly|once (a|per|each) week|every week|every 7 days|\b1( time| x)?( per|/| a) ?w(ee)?k)"
AS_NEEDED = r"(as needed|when needed|if needed|if required|when required|\bprn\b)"
ORAL = r"(\boral|by mouth|\bp\.?o\b)"
EVENING = r"(evening|night|bedtime|18:00|6 ?pm|20:00|8 ?pm|21:00|9 ?pm|22:00)"
MORNING = r"(morning|08:00|8 ?am|breakfast)"
NONE_KNOWN = r"(\bno\b|none|nil|\bnk).{0,20}(known|allerg)|none known|\bnkd?a\b"
UNSURE = (
    r"(suspect|differential|unconfirmed|provisional|possible|presum|to be (confirmed|ruled out)"
    r"|not (yet )?confirmed|working)"
)


def item(*parts: str, under: tuple[str, ...] = (), not_under: tuple[str, ...] = ()) -> Pattern:
    """All regular expressions in one item, in any order."""
    return Pattern(_all(parts), under, not_under)


def together(*parts: str, under: tuple[str, ...]) -> Pattern:
    """All regular expressions in the items below these headings, in any order and in any of the items."""
    return Pattern(_all(parts), under, whole=True)


def first_before(one: str, other: str, under: tuple[str, ...] = ()) -> Pattern:
    """`one` and later `other` in one item."""
    return Pattern(f"{one}.*{other}", under)


def taken(*parts: str) -> Pattern:
    """A medicine that the reader is told to take: an item for home, or a row that is not stopped or held."""
    stopped = r"(?!.*(\bstopp|on hold|\bheld\b|not to (be )?take|do not|don.t|avoid|paused|unclear))"
    return Pattern("^" + stopped + _all(parts)[1:], TAKEN)


def _all(parts: tuple[str, ...]) -> str:
    return "^" + "".join(f"(?=.*(?:{part}))" for part in parts)


def mg(amount: str, unit: str = "mg") -> str:
    """An amount with its unit, not as the end of another number: mg("2.5") does not match 12.5 mg."""
    return rf"(?<![\d.,]){number(amount)} ?{unit}"


def number(amount: str) -> str:
    """A number as it is written or with thousands set apart; trailing zeros may be there or not."""
    whole, _, decimals = amount.partition(".")
    grouped = re.sub(r"(?<=\d)(?=(\d{3})+$)", "[, ]?", whole)
    kept = decimals.rstrip("0")
    return rf"(?<![\d.,]){grouped}" + (rf"\.{kept}0*" if kept else r"(\.0+)?") + r"(?![.,]?\d)"


def day(text: str) -> str:
    """A date in the usual ways: 2026-03-05, 5 March 2026, March 5, 03/05/2026 is not one of them."""
    when = date.fromisoformat(text)
    month = when.strftime("%b").lower()
    return rf"({text}|\b0?{when.day}\.? {month}\w*|\b{month}\w* 0?{when.day}\b)"

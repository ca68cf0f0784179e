"""Whether what is named is affirmed, denied, suspected, past, or somebody else's: cues and how far each reaches.

The method is that of ConText (Harkema et al. 2009): a cue, a direction, words that end its scope. The cues are our own.
"""

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

Property = Literal["denied", "uncertain", "family", "past"]
Span = tuple[int, int]

_BEFORE: dict[Property, str] = {  # the cue stands before what it speaks of
    "denied": r"no (?:evidence|signs?|indication|history|known|documented|further|recurrent|acute|new|radiographic "
    r"(?:signs?|evidence)|longer any|more) (?:of|for|history of)?|no|not|nor|neither|non(?=-)|without(?: "
    r"(?:evidence|signs?|any) of)?|den(?:y|ies|ied|ying)|negative for"
    r"|free (?:of|from)|ruled out(?= [a-z])(?! by| on| and| with| after| in)|rules out|rule out(?= )|"
    r"excluded(?= the)|absence of|absent|lack(?:s|ed|ing)?(?: of)?|never(?: had| developed)?"
    r"|fail(?:s|ed) to (?:show|reveal|demonstrate)|cannot|did not|was not|were not|has not|had not|is not|"
    r"didn't|wasn't|resolution of|(?:does|do|did|has|have|had|is|was) (?:not|never) (?:have|had|"
    r"undergo(?:ne)?|require[sd]?|need(?:ed)?|show|receive[d]?)|(?:doesn't|don't|hasn't|isn't|weren't) "
    r"(?:have|had|require)?|never|no need for|went without|declined|refused|instead of|rather than|not "
    r"consistent with|unremarkable for",
    "uncertain": r"possibl[ey]|probabl[ey]|likely|suspected|suspicion (?:of|for)|suspicious for|presumed|presumptive|"
    r"questionable"
    r"|concern(?:s|ing)?(?: was raised)? (?:for|of)|consider(?:ed|ation of)|may (?:have|be|represent)|"
    r"might (?:have|be)|could (?:have|be|represent)|cannot be excluded"
    r"|differential(?: diagnosis)?(?: includes| of)?|rule[- ]out|r/o|versus|working diagnosis of|thought "
    r"to (?:have|be|represent)|appears to have|seems to have|provisional",
    "family": r"(?:family (?:history|hx) (?:is |was )?(?:significant |positive |notable |remarkable )?(?:of|for|"
    r"includes?|included)?)|familial"
    r"|fhx?|(?:his|her|their|the patient's|the)? ?(?:mother|father|brother|sister|sibling|siblings|"
    r"natural sibling|grandmother|grandfather|aunt|uncle|parents?|mutter|vater"
    r"|moeder|vader|maternal|paternal|relatives?|first-degree relatives?)(?:'s)?",
    "past": r"(?:past medical )?history (?:of|includes?|is significant for)|h/o|hx of|pmh(?: of)?|previous(?:ly)?|"
    r"prior(?! to)|former|status post|s/p|remote|known",
}
_AFTER: dict[Property, str] = {  # it stands behind
    "denied": r"(?:was|were|is|are|has been|have been|had been|being)? ?(?:ruled out|excluded)|(?:was|were|is|are) "
    r"(?:absent|negative|not (?:seen|found|present|identified|detected|observed|noted|documented|"
    r"demonstrated|performed|done"
    r"|required|needed|given|administered|ordered|obtained|carried out|used|necessary|undertaken|started|"
    r"indicated))|not (?:seen|found|identified|detected|present|performed|required|needed|done)|did not "
    r"(?:occur|develop|take place)|unlikely|(?:was|were|has been|have been|had been) (?:never|not) "
    r"(?:performed|done|given|placed|diagnosed|found|made|undertaken|attempted|confirmed|carried out|part "
    r"of)|(?:was|were) (?:deferred|cancelled|canceled|declined|refused|omitted|avoided|withheld|disproved|"
    r"discounted|dismissed|refuted)|not (?:done|undertaken|attempted|carried out|diagnosed)|never (?:took "
    r"place|happened|occurred)|: (?:none|"
    r"no|negative|absent)\b",
    "uncertain": r"(?:was|were|is|are|remains?|remained|has been) (?:only |still )?(?:suspected|possible|probable|"
    r"likely|presumed"
    r"|considered|questionable|uncertain|unconfirmed|not confirmed|in question|a possibility|unproven|"
    r"unclear|tentative|only a suspicion|a working diagnosis|on the differential|being considered|under "
    r"consideration|yet to be confirmed|awaiting confirmation|to be confirmed|thought (?:likely|possible|"
    r"probable)|never confirmed)"
    r"|(?:could|can) ?not be (?:excluded|ruled out|confirmed)|has not been confirmed|had not been confirmed"
    r"|[(,-] ?(?:suspected|possible|probable|unconfirmed|presumed)\b|(?:suspected|possible|probable|\?)[.)]?$",
    "family": r"in (?:his|her|the|their) (?:family|mother|father|brother|sister|siblings?|parents?)|runs in the family",
    "past": r"in the past|(?:\d+|several|many|some) years ago|in remission",
}
# Words that look like a cue and are none.
_NOT_CUES = (
    r"not only|no (?:change|increase|significant change)|gram[- ]negative|not certain (?:whether|if)|"
    r"without (?:difficulty|incident|complications?|delay)|no later than|no more than|do not resuscitate|"
    r"(?:is |was )?not for resuscitation|if not|why not|no home med\w+|more likely|likely to|no discharge"
)
_ENDS = re.compile(
    r"\b(?:but|however|although|though|except|apart from|aside from|yet|whereas|who|which|that|because|"
    r"due to|secondary to|since|"
    r"and (?:was|were|is|are|has|had|he|she|the patient|received|underwent|then|discharged|admitted)|"
    r"while|he|she|, (?:with|was|were|his|her|the)|presented|showed|revealed|demonstrated|then|"
    r"on|during|at (?:discharge|admission|arrival)|in the|in his|in her|at the)\b|[;:.]\s|\)|\(",
    re.IGNORECASE,
)
_FIRST = re.compile(_NOT_CUES, re.IGNORECASE)
_HEADED = r"|(?<=\w): (?:none|no|negative|absent)(?=\s*(?:[.;/,)]|$))"  # "Specimens sent to pathology: none"
_CUES: tuple[tuple[Property, bool, re.Pattern[str]], ...] = tuple(
    (
        name,
        before,
        re.compile(rf"(?<!\w)(?:{words})(?!\w){_HEADED if name == 'denied' and not before else ''}", re.IGNORECASE),
    )
    for before, table in ((True, _BEFORE), (False, _AFTER))
    for name, words in table.items()
)
_ANY = re.compile("|".join((*_BEFORE.values(), *_AFTER.values())), re.IGNORECASE)
_REACH = 90  # characters


@dataclass(frozen=True, slots=True)
class Scope:
    """A cue and the part of the text that it speaks of."""

    name: Property
    cue: Span
    start: int
    end: int


@lru_cache(maxsize=4096)
def scopes(text: str) -> tuple[Scope, ...]:
    """All cues of `text` with their scopes."""
    if _ANY.search(text) is None:
        return ()
    blocked = [match.span() for match in _FIRST.finditer(text)]
    ends = [match.start() for match in _ENDS.finditer(text)]
    found = []
    for name, before, pattern in _CUES:
        for match in pattern.finditer(text):
            if match.group().strip() and not any(a <= match.start() < b for a, b in blocked):
                found.append(_scope(name, before, match.span(), ends, len(text)))
    return tuple(found)


def _scope(name: Property, before: bool, cue: Span, ends: list[int], length: int) -> Scope:
    if before and name == "family":
        return Scope(name, cue, cue[1], min(length, cue[1] + 2 * _REACH))  # "mother (deceased): diabetes, stroke"
    if before:
        end = min((end for end in ends if end >= cue[1]), default=length)
        return Scope(name, cue, cue[1], min(end, cue[1] + _REACH))
    start = max((end for end in ends if end < cue[0]), default=0)
    return Scope(name, cue, max(start, cue[0] - _REACH), cue[0])


def properties(text: str, span: Span) -> frozenset[Property]:
    """What the cues of `text` say of the words at `span`."""
    return frozenset(scope.name for scope in scopes(text) if _reaches(scope, span))


def _reaches(scope: Scope, span: Span) -> bool:
    """What a cue before it speaks of begins in its scope; what a cue behind it speaks of ends there."""
    if span[0] < scope.cue[1] and scope.cue[0] < span[1]:
        return False
    edge = span[0] if scope.cue[1] <= scope.start else span[1] - 1
    return scope.start <= edge < scope.end


def cue_spans(text: str) -> list[Span]:
    """Where the cues stand."""
    return [scope.cue for scope in scopes(text)]

"""Assertion status of what a text names: affirmed, denied, uncertain, past, or of a family member.

The method is ConText's (Harkema et al. 2009): a cue, a direction, and words that end its scope. The cues are our own.
"""

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

AssertionProperty = Literal["denied", "uncertain", "family", "past"]
Span = tuple[int, int]

_BE = r"(?:is|was|are|were|be|been|being|has been|have been|had been|remains?|remained|seems?|appears?)"
_NOT = r"(?:not|never|no longer|hardly)"
_DO_NOT = (
    rf"(?:is|was|are|were|has|have|had|do|does|did|could|can|would|will|may|should|be|been) {_NOT}"
    r"|(?:is|was|are|were|has|have|had|do|does|did|could|ca|wo|would|should)n't|cannot"
)
# What an entry, a test or a person shows or does not show; what is done or not done.
_SHOWN = (
    r"seen|found|present|identified|detected|observed|noted|documented|demonstrated|performed|done|required|"
    r"needed|given"
    r"|administered|ordered|obtained|carried out|used|necessary|undertaken|started|indicated|diagnosed|made|attempted"
    r"|part of|placed|supported|borne out|shown|felt|evident|apparent|visible|pursued|undergone|suspected"
    r"|recorded|reported|encountered|the case|on board|among|included|listed"
)
_SIGNS_OF = (
    r"(?:(?:clinical|laboratory|radiographic|radiological|imaging|objective|convincing|clear|definite|further|recurrent"
    r"|acute|new|known|documented|personal|real|or|and) )*"
    r"(?:evidence|signs?|indications?|history|suggestions?|suspicion|concerns?|features?|findings?|symptoms?|trace|hint"
    r"|proof|episodes?|record|diagnosis|need|question)"
)
KIN = (
    r"(?:grand)?(?:mother|father|parents?)|brothers?|sisters?|siblings?|natural siblings?|aunts?|uncles?|cousins?"
    r"|mum|mom|dad|mutter|vater|moeder|vader|sons?|daughters?|relatives?|nephews?|nieces?|twins?"
)
_OWNER = (
    r"(?:(?:his|her|their|the|a|an|one|both|two|patient's|maternal|paternal|natural|biological|first-degree|own) )*"
)
_BEFORE: dict[AssertionProperty, str] = {  # the cue precedes its scope
    "denied": rf"(?:at|on|in) no (?:time|point|stage|moment|occasion|way)|(?:no|without|nor|any|lack of|absence "
    rf"of|free of) {_SIGNS_OF} (?:of|for|history of|to suggest)?"
    rf"|(?:no|nothing) (?:\w+ )?(?:to suggest|suggesting|suggestive of|to indicate|indicating|pointing to(?:wards)?)"
    r"|no (?:longer any|more)|no|not|nor|neither|non(?=-)|without(?: any)?|den(?:y|ies|ied|ying)|negative for"
    r"|free (?:of|from)|ruled out(?= [a-z])(?! by| on| and| with| after| in)(?: for)?|rules out|"
    r"(?:exclusion|absence|resolution) of|(?:we|team|able to|could|investigations?|tests?|testing|work-?up|imaging"
    r"|evaluation|he|she|it|which) (?:then |ultimately |subsequently )?(?:excluded?|excludes|rule[ds]? out)"
    r"|excluded(?= the)|absent|lack(?:s|ed|ing)?(?: of)?|never(?: had| developed| having)?"
    r"|fail(?:s|ed) to (?:show|reveal|demonstrate)|instead of|rather than|not consistent with|unremarkable for"
    r"|(?:argue[sd]?|spoke|speaks|decided|decision(?: was)?(?: made)?|elected|opted) against|no need for|went "
    r"without|declined|refused"
    r"|refrain(?:s|ed)? from|for(?:go|went|gone)|dispensed with|did without|cleared of|spared"
    rf"|{_DO_NOT}",
    "uncertain": r"possibl[ey]|probabl[ey]|likely|suspect(?:s|ed|ing)?|suspicion (?:of|for|is of)|suspicious (?:for|of)"
    r"|presum(?:ed|ptive|ably|ptively)|questionable|question of|quer(?:y|ied)|putative|tentative(?:ly)?"
    r"|concern(?:s|ing)?(?: was raised| about| is)? (?:for|of|about)|consider(?:ed|ing|ation of)?"
    r"|(?:may|might|could)(?: well)? (?:have|be|represent|reflect|indicate|suggest|not be excluded)"
    r"|(?:can|could)(?:not| not) (?:exclude|rule out)|wonder(?:ed|ing)?(?: about| if| whether)"
    r"|differential(?: diagnosis| diagnoses)?(?: includes?| included| of| was| is|:)?|rule[- ]out|r/o|versus"
    r"|working diagnosis(?: of| is| was|:)?|(?:thought|felt|believed|assumed|said) (?:likely )?to (?:have|be|"
    r"represent|reflect)"
    r"|(?:appears|seems) to (?:have|be)|provisional(?:ly)?|treated empirically for|(?:checked|tested|screened|"
    r"evaluated|assessed|investigated|worked up) for|empiric(?:al)?(?:ly)? (?:for|treated for)"
    r"|(?:not|un)[ -]?(?:sure|certain|clear|confirmed)(?: whether| if| about)?|possibility of|raised the "
    r"possibility of|(?<!able )to (?:exclude|evaluate for|assess for)|entertained|apparent|perhaps|maybe"
    r"|unconfirmed|if (?:he|she|it) (?:has|is)|screen(?:ing)? for",
    "family": rf"family (?:history|anamnesis|hx)(?:(?: is| was)?(?: significant| positive| notable| remarkable)?"
    rf"(?: of| for| includes?| included))?|familial|fhx?|in (?:the|his|her) family|{_OWNER}(?:{KIN})(?:'s)?"
    r"|maternal|paternal|hereditary",
    "past": r"(?:past medical )?history (?:of|includes?|is significant for)|h/o|hx of|pmh(?: of)?|previous(?:ly)?|"
    r"prior(?! to)|former|status post|s/p|remote|known",
}
_AFTER: dict[AssertionProperty, str] = {  # the cue follows its scope
    "denied": rf"(?:{_BE} )?(?:\w+ly )*(?:been )?(?:ruled out|(?<!not be )excluded|exonerated)"
    rf"|(?:{_DO_NOT})(?: \w+ly| yet| actually)* (?:be |been )?(?:{_SHOWN})|{_BE} (?:\w+ly )*(?:absent|negative)"
    rf"|(?:not|never|but not) (?:{_SHOWN})|(?:could|can)(?:not| not) be (?:{_SHOWN})"
    r"|(?:did|does|has|have|had|do)(?: not|n't| never) (?:occur|develop|take place|happen|recur|appear|materiali[sz]e"
    r"|occurred|developed|taken place|happened|recurred)"
    r"|(?<!seems )(?<!most )unlikely|never (?:took place|happened|occurred|developed|materiali[sz]ed)|turned "
    r"out (?:not|negative)"
    rf"|{_BE} (?:then |ultimately |finally |subsequently )?(?:deferred|cancell?ed|declined|refused|omitted|"
    rf"avoided|withheld"
    r"|disproved|discounted|dismissed|refuted|abandoned|aborted|waived|foregone|forgone|dispensed with|postponed)"
    r"|deferred|aborted before|(?:and|but) (?:\w+ )?(?:do|does|did) not have (?:it|this|one|that)",
    "uncertain": rf"{_BE}(?: only| still| to be| felt| thought| considered| assumed)*(?: to be)? (?:suspected|"
    rf"possible|probable|"
    r"likely|presumed|considered|questionable|uncertain|unconfirmed|not confirmed|in question|a possibility|unproven|"
    r"unclear|tentative|only a suspicion|a working diagnosis|on the differential|under consideration|"
    r"entertained|queried"
    r"|yet to be confirmed|awaiting confirmation|to be confirmed|(?:thought|assumed|considered) (?:to be )"
    r"?(?:likely|possible"
    r"|probable)|never confirmed|raised|suggested|wondered about)(?! (?:and|but) (?:ultimately |then |later )"
    r"*(?:excluded|ruled))"
    r"|(?:could|can) ?not(?: yet)? be (?:excluded|ruled out|confirmed)|ha[sd] not been confirmed"
    r"|as (?:a|an|one) (?:\w+ )?(?:differential|possibility|consideration)|seems? (?:likely|possible|probable)|"
    r"[(,-] ?(?:suspected|possible|probable|unconfirmed|presumed|likely)\b"
    r"|(?:suspected|possible|probable|likely|queried|presumed|unproven|unconfirmed|\?)[.)]?$|(?:not|never|yet "
    r"to be) (?:been )?(?:proven|established|confirmed|verified)|(?:but|and) (?:is|remains) unproven",
    "family": rf"(?:(?:in|of|by|affecting|from|for|among|on the part of) {_OWNER}|[(,–-] ?{_OWNER}|: {_OWNER})"
    rf"(?:{KIN}|family)\b"
    r"(?!'s)|runs? in the family",
    "past": r"in the past|(?:\d+|several|many|some) years ago|in remission",
}
# Words that look like a cue and are none.
_NOT_CUES = (
    r"not only|no (?:change|increase|significant change)|gram[- ]negative|not (?:certain|sure|clear)|"
    r"without (?:difficulty|incident|complications?|delay)|no later than|no more than|do not resuscitate|"
    r"with(?:out)? (?:and without )?(?:(?:iv|intravenous|oral) )?contrast|(?:is |was )?not for resuscitation|if "
    r"not|why not|no home med\w+|more likely|likely to|no discharge|no doubt|"
    r"no(?:thing)? (?:further )?changes?|not (?:changed|altered)|not (?:be )?(?:excluded|ruled out)|without "
    r"(?:interruption|change)|"
    rf"(?:according to|per|reported by|brought (?:in )?by|accompanied by|lives? with|living with|care of) "
    rf"{_OWNER}(?:{KIN})|"
    rf"{_OWNER}(?:{KIN}) (?:who )?(?:reports?|reported|not(?:ed|iced)|states?|stated|says?|said|called|brought|"
    rf"witnessed|"
    rf"describes?|described|denie[sd]|confirm\w*|found|helps?|visits?)"
)
_SCOPE_ENDS = re.compile(
    r"\b(?:but|however|although|though|except|apart from|aside from|yet|whereas|who|which|that|because|"
    r"due to|secondary to|since|"
    r"and (?:was|were|is|are|has|had|he|she|the patient|received|underwent|then|discharged|admitted)|"
    r"while|he|she|, (?:with|was|were|his|her|the)|presented|showed|revealed|demonstrated|then|"
    r"on|during|at (?:discharge|admission|arrival)|in the|in his|in her|at the)\b|[;:.]\s|\)|\(",
    re.IGNORECASE,
)
# Where a sentence that spoke of a relative comes back to the patient.
_PATIENT = re.compile(
    r"(?:[;,.]|\band|\bbut|\bwhile|\bwhereas)\s+(?:he|she|the patient|patient|mr\.?|ms\.?|mrs\.?)\b|"
    r"\b(?:himself|herself)\b",
    re.IGNORECASE,
)
# "possible that he has", "not sure whether the patient has": the clause is what the cue speaks of.
_THAT = re.compile(r"(?:\s+(?:that|whether|if)\b(?:\s+(?:he|she|the patient|it|this|there)\b)?)?", re.IGNORECASE)
_FIRST = re.compile(_NOT_CUES, re.IGNORECASE)
_HEADED = (
    r"|(?<=[\w)]): (?:none|no|negative|absent|ruled out|excluded|denied|never|not (?:done|performed|found|"
    r"present|seen|required|needed))"
    r"(?=\s*(?:[.;/,)]|$))"
)  # "Specimens sent to pathology: none"
_CUES: tuple[tuple[AssertionProperty, bool, re.Pattern[str]], ...] = tuple(
    (
        name,
        before,
        re.compile(rf"(?<!\w)(?:{words})(?!\w){_HEADED if name == 'denied' and not before else ''}", re.IGNORECASE),
    )
    for before, table in ((True, _BEFORE), (False, _AFTER))
    for name, words in table.items()
)
_ANY_CUE = re.compile("|".join((*_BEFORE.values(), *_AFTER.values())), re.IGNORECASE)
_MAX_SCOPE_CHARACTERS = 90


@dataclass(frozen=True, slots=True)
class CueScope:
    """A cue and the range of text that it applies to."""

    name: AssertionProperty
    cue: Span
    start: int
    end: int


@lru_cache(maxsize=4096)
def find_scopes(text: str) -> tuple[CueScope, ...]:
    """Return all cues of `text` with their scopes."""
    if _ANY_CUE.search(text) is None:
        return ()
    blocked = [match.span() for match in _FIRST.finditer(text)]
    ends = [match.start() for match in _SCOPE_ENDS.finditer(text)]
    kin = [match.start() for match in _PATIENT.finditer(text)]
    found = []
    for name, before, pattern in _CUES:
        for match in pattern.finditer(text):
            doubt = name == "uncertain" and match.group().lower().startswith("not ")
            if match.group().strip() and (doubt or not any(a <= match.start() < b for a, b in blocked)):
                found.append(_scope_of_cue(name, before, match.span(), ends, kin, text))
    return tuple(found)


def _scope_of_cue(
    name: AssertionProperty, before: bool, cue: Span, ends: list[int], kin: list[int], text: str
) -> CueScope:
    length = len(text)
    if before and name == "family":  # "mother (deceased): diabetes, stroke"
        return CueScope(
            name, cue, cue[1], min([length, cue[1] + 2 * _MAX_SCOPE_CHARACTERS, *(end for end in kin if end >= cue[1])])
        )
    if _denies_everything(name, before, cue, text):
        return CueScope(name, cue, cue[1], length)  # "at no point during the stay did he …"
    if before:
        cue = (cue[0], _THAT.match(text, cue[1]).end()) if name in ("denied", "uncertain") else cue  # type: ignore[union-attr]
        end = min((end for end in ends if end >= cue[1]), default=length)
        return CueScope(name, cue, cue[1], min(end, cue[1] + _MAX_SCOPE_CHARACTERS))
    start = max((end for end in ends if end < cue[0]), default=0)
    return CueScope(name, cue, max(start, cue[0] - _MAX_SCOPE_CHARACTERS), cue[0])


def _denies_everything(name: AssertionProperty, before: bool, cue: Span, text: str) -> bool:
    """Return whether a cue denies all that follows."""
    return before and name == "denied" and text[cue[0] : cue[1]].lower().startswith(("at no ", "on no ", "in no "))


def assertion_properties(text: str, span: Span) -> frozenset[AssertionProperty]:
    """Return the assertion properties of the words at `span`."""
    return frozenset(scope.name for scope in find_scopes(text) if _covers(scope, span))


def _covers(scope: CueScope, span: Span) -> bool:
    """Return whether a scope covers `span`: by its start after a cue, by its end before one."""
    if span[0] < scope.cue[1] and scope.cue[0] < span[1]:
        return False
    edge = span[0] if scope.cue[1] <= scope.start else span[1] - 1
    return scope.start <= edge < scope.end


def cue_spans(text: str) -> list[Span]:
    """Return the spans of the cues."""
    return [scope.cue for scope in find_scopes(text)]

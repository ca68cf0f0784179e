"""Claims of teaching, advice and guidelines: never facts about this patient unless an entry states them."""

import re
from collections.abc import Iterator

from shared.grounding import follow_up
from shared.grounding.evidence_index import EvidenceIndex
from shared.grounding.parsed_sentence import ParsedSentence
from shared.grounding.verdict import CheckedClaim

_CUE = re.compile(
    r"\b(?:taught|educated|counsel+ed|counsel+ing|instructed|advised|informed|reminded|encouraged|warned|"
    r"coached|trained|teach(?:ing|-back)?|"
    r"education|leaflet|brochure|handout|pamphlet|written (?:information|instructions|plan)|action plan|"
    r"was shown how|verbali[sz]ed understanding|understands|understood|given (?:information|instructions|"
    r"advice)|"
    r"(?:return|fall|delirium|activity|safety|isolation|bleeding) (?:precautions|restrictions|advice)|safety[- "
    r"]net\w*|per protocol|guidelines?|recommended|recommends?|recommendation|according to|should|must be|ought to|"
    r"demonstrated (?:understanding|proper|correct)|lifestyle|discussed|explained|agreed|expressed)\b",
    re.IGNORECASE,
)
_REQUESTED_FOLLOW_UP = re.compile(r"\bshould (?:please )?be (?:followed(?: up)?|chased|checked|reviewed|tracked)\b")
_TEACHING_TO_ATTEND = re.compile(r" to (?:attend|follow|see|return|come|visit|be (?:seen|reviewed)|review)\b")
_MAX_GAP_CHARACTERS = 60  # of a claim that is shown
_PARTS = (
    "notes",
    "care_plans",
    "procedures",
    "services",
    "goals",
    "diet",
    "follow_up",
    "directives",
    "devices",
    "function",
    "reports",
    "microbiology",
    "other_medicines",
    "discharge_medicines",
)


def claims(parsed: ParsedSentence, record: EvidenceIndex) -> Iterator[CheckedClaim]:
    """Yield the first word of teaching or advice, compared with what the record says about its subject."""
    cue = _CUE.search(parsed.text)
    if cue is None:
        return
    if _TEACHING_TO_ATTEND.match(parsed.lower_text, cue.end()) and (parsed.dates or follow_up.is_about(parsed)):
        return  # an appointment
    drugs = parsed.named.drugs
    followed = _REQUESTED_FOLLOW_UP.search(parsed.lower_text)
    if followed and any(line.has_stem(key) for line in record.entries_of("pending") for key, _, _ in parsed.content):
        return  # what becomes of a pending result
    if (
        cue.group().lower() in ("should", "recommended")
        and drugs
        and all(item.canonical in record.by_drug for item in drugs)
    ):
        return  # an order in plain words: `she should take alendronate once a week`
    subject = [item[0] for item in parsed.content if not cue.start() <= item[1] < cue.end()]
    for line in record.lines:
        if (
            line.part in _PARTS
            and subject
            and sum(line.has_stem(key) for key in subject) >= max(2, 0.75 * len(subject))
            and _CUE.search(line.text)
        ):
            yield CheckedClaim(
                "advice", cue.group(), "supported", line.source, f"record: {line.text[:160]}", (cue.span(),)
            )
            return
    rest = parsed.text[cue.start() :].rstrip(". ")
    excerpt = rest if len(rest) <= _MAX_GAP_CHARACTERS else rest[:_MAX_GAP_CHARACTERS].rpartition(" ")[0]
    yield CheckedClaim("advice", excerpt, "not-in-record", spans=(cue.span(),))

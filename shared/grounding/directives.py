"""Claims of code status: resuscitation, do not resuscitate, comfort care."""

import re
from collections.abc import Iterator

from shared.grounding.evidence_index import EvidenceIndex
from shared.grounding.parsed_sentence import ParsedSentence
from shared.grounding.verdict import CheckedClaim, label_for

# Status → words for it; the first that matches counts, in a sentence and in an entry of the record.
_WORDS = {
    "not for resuscitation": (
        r"dn[ra]+r?(?:cpr)?(?:/dni)?|dnacpr|resuscitate\s*: no|resuscitation (?:is )?(?:not (?:desired|wanted|"
        r"wished|indicated)|declined)|code(?: status)?\s*: dnr|not for (?:attempted )?(?:cpr|resuscitation)|no "
        r"cpr|do[- ]not[- ](?:attempt )?(?:resuscitate|resuscitation)|not to be resuscitated"
        r"|not for (?:full )?resuscitation|no (?:resuscitation|code|cpr)|reanimatie: nee|keine reanimation"
    ),
    "comfort care": r"comfort (?:care|measures)(?: only)?|palliative care|cmo|palliativ",
    "for resuscitation": (
        r"full[- ]code|code(?: status)?\s*: full|status\s*: (?:full|to be resuscitated)|(?<!not )to be "
        r"resuscitated|(?<!not )for (?:attempted )?(?:cpr|full escalation)|resuscitate\s*: yes|resuscitation "
        r"(?:is )?(?:desired|wanted|wished)|cpr\s*: yes|full resuscitation|for (?:full )?resuscitation|attempt "
        r"resuscitation|full treatment|cpr wanted"
    ),
}
_STATUS = {name: re.compile(rf"\b(?:{words})\b", re.IGNORECASE) for name, words in _WORDS.items()}
_CUE = re.compile(
    r"\b(?:code status|resuscitat\w+|dn[ra]+r?|cpr|full[- ]code|code(?: status)?\s*: \w+|dnacpr|full escalation|"
    r"comfort (?:care|measures)|palliative care)\b",
    re.IGNORECASE,
)


def claims(parsed: ParsedSentence, record: EvidenceIndex) -> Iterator[CheckedClaim]:
    """Yield the code status that the sentence states."""
    cue = _CUE.search(parsed.text)
    given = stated_code_status(parsed.text)
    if cue is None or given is None:
        return
    name, span = given
    entries = [line for line in record.entries_of("directives", "notes") if stated_code_status(line.text) is not None]
    same = [line for line in entries if (found := stated_code_status(line.text)) is not None and found[0] == name]
    line = next(iter(same or entries), None)
    source, detail = (line.source, f"record: {line.text}") if line else ("", "")
    yield CheckedClaim(
        "statement", parsed.text[span[0] : span[1]], label_for(same, line), source, detail, (span, cue.span())
    )


def stated_code_status(text: str) -> tuple[str, tuple[int, int]] | None:
    """Return the code status that a text states, and where."""
    return next(
        ((name, match.span()) for name, pattern in _STATUS.items() if (match := pattern.search(text)) is not None), None
    )

"""Claims of code status: for resuscitation or not, comfort care."""

import re
from collections.abc import Iterator

from shared.grounding.parsed import Parsed
from shared.grounding.record import Record
from shared.grounding.verdict import Finding, judge

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


def claims(parsed: Parsed, record: Record) -> Iterator[Finding]:
    """The code status that the sentence gives."""
    cue = _CUE.search(parsed.text)
    given = said(parsed.text)
    if cue is None or given is None:
        return
    name, span = given
    entries = [line for line in record.parts("directives", "notes") if said(line.text) is not None]
    same = [line for line in entries if (found := said(line.text)) is not None and found[0] == name]
    line = next(iter(same or entries), None)
    source, detail = (line.source, f"record: {line.text}") if line else ("", "")
    yield Finding("statement", parsed.text[span[0] : span[1]], judge(same, line), source, detail, (span, cue.span()))


def said(text: str) -> tuple[str, tuple[int, int]] | None:
    """The status that a text gives, and where."""
    return next(
        ((name, match.span()) for name, pattern in _STATUS.items() if (match := pattern.search(text)) is not None), None
    )

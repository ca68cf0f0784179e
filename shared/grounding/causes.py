"""Claims of causes: an entry of the record must state both sides, with the cause in the same direction."""

import re
from collections.abc import Iterator

from shared.grounding import abnormal
from shared.grounding.evidence_index import EvidenceIndex
from shared.grounding.indexed_entries import IndexedEntry
from shared.grounding.medicine_cues import ALLERGY
from shared.grounding.parsed_sentence import ParsedSentence
from shared.grounding.verdict import CheckedClaim
from shared.grounding.words import stem, stems

_CAUSE = re.compile(
    r"\b(?:(?:in the (?:setting|context|wake)|on the back) of|(?:as )?(?:a |an |its )?(?:side|adverse) effects? "
    r"of|(?:was |were "
    r")?responsible for|"
    r"put down to|culprit (?:for|of|behind)|(?:we )?attribut(?:e|es|ing) to|reflect(?:ed|s|ing)?|toxicity|"
    r"provoked|gave (?:him|her|them)|"
    r"got (?=[\w ]{3,40} from)|result(?:s)? from|due to|because of|secondary to|caused by|attributed to|"
    r"attributable to|resulting from|resulted from"
    r"|as a result of|owing to|induced by|triggered by|precipitated by|provoked by|brought on by|explained by"
    r"|thought to be from|stemming from|on account of|as a consequence of|a consequence of|a complication of|related to"
    r"|in response to|linked to|led to|resulting in|resulted in|causing|caused|thanks to|because|since (?:he|she|the)"
    r"|brought about by|interpreted as|(?:is|was|were|are) the result of|blamed on|ascribed to|arose from|"
    r"produced by)\b|-(?:induced|related)\b",
    re.IGNORECASE,
)
# With these the cause stands first.
_FORWARD = re.compile(
    r"led to|result(?:ing|ed) in|causing|caused$|responsible for|culprit|provoked|gave|-(?:induced|related|associated)",
    re.IGNORECASE,
)
_JOINT = re.compile(r"\b(?:complications?|reaction|associated with|after|from|for|by)\b", re.IGNORECASE)
_ADMISSION = re.compile(
    r"\b(?:admitted|admission|hospitali[sz]ed|presented|presentation|came|brought|stay|care|died|death|expired|treated"
    r"|seen|evaluated|reason|underwent)\b[^,;]*$",
    re.IGNORECASE,
)
_PROMPTING = re.compile(r"led to|result(?:ing|ed) in|prompt", re.IGNORECASE)
# "Influenza due to other identified virus with pneumonia": what comes with it is no cause.
_WITH = re.compile(r"(?<=\w) (?:with|without)\b", re.IGNORECASE)
_MAX_LINK_CHARACTERS = 60  # characters between a medicine and a finding
# Words between a medicine and a finding that make the one the cause of the other.
_LINKS = frozenset(
    """
    from after following since explains explained explain accounts accounted accounting behind brought makes
    made making drove drives driven worsened worsens worsening contributed contributing contributes played role
    prompted prompting precipitated unmasked raised lowered dropped elevated increases decreases suppressed
    depressed dependent associated consequence result results source origin originating secondary thanks owing
    blame blamed reaction complication producing produces generated sparked yielded created
    """.split()  # noqa: SIM905 - a list of words
)
_CULPRIT = re.compile(
    r"\b(?:culprit|(?<!no )(?<!good )effects?|blame[sd]?|implicated|responsible|iatrogenic|(?:drug|medication|"
    r"treatment)[- ](?:induced|"
    r"related|associated)|adverse"
    r"|side[- ]effects?|toxicit\w+|offending|induced|attribut\w+|linked|cause[sd]?|causing|trigger\w*|provok\w+|"
    r"precipitat\w+)\b",
    re.IGNORECASE,
)
Side = list[frozenset[str]]  # each thing that is named, by all that it may be called; `=` before what a name stands for


def claims(parsed: ParsedSentence, record: EvidenceIndex) -> Iterator[CheckedClaim]:
    """Yield each causal connective with the two sides that it connects."""
    if ALLERGY.search(parsed.text):
        return  # a reaction is a claim of `allergies`
    found = [_cause_claim(match, parsed, record) for match in _CAUSE.finditer(parsed.text)]
    yield from (item for item in found if item is not None)
    if not found:
        yield from _connective_claims(parsed, record)


def _connective_claims(parsed: ParsedSentence, record: EvidenceIndex) -> Iterator[CheckedClaim]:
    """Yield a medicine and a finding that other words than those of treatment connect: `X explains his anemia`."""
    effects = [(match.start(), match.end()) for match in abnormal.PATTERN.finditer(parsed.text)]
    effects += [(item.start, item.end) for item in (*parsed.named.illnesses, *parsed.named.tests)]
    for drug in parsed.named.drugs:
        for start, end in effects:
            first, last = min(drug.end, end), max(drug.start, start)
            if not 0 <= last - first <= _MAX_LINK_CHARACTERS or any(
                a < last and first < b for a, b in effects if (a, b) != (start, end)
            ):
                continue
            between = [word for word, a, _ in parsed.words if first <= a < last]
            if any(word in _LINKS for word in between) or _CULPRIT.search(parsed.text):
                text = parsed.text[min(drug.start, start) : max(drug.end, end)]
                effect, cause = _mentioned_terms(parsed, start, end), _mentioned_terms(parsed, drug.start, drug.end)
                line = next((line for line in record.lines if _states_cause(line, effect, cause, record)), None)
                if line is not None:
                    yield CheckedClaim("cause", text, "supported", line.source, f"record: {line.text[:160]}")
                else:
                    yield CheckedClaim("cause", text, "not-in-record")
                return


def _cause_claim(match: re.Match[str], parsed: ParsedSentence, record: EvidenceIndex) -> CheckedClaim | None:
    left, right = (
        _mentioned_terms(parsed, 0, match.start())[-6:],
        _mentioned_terms(parsed, match.end(), len(parsed.text))[:5],
    )
    text = parsed.text[max(0, match.start() - 40) : match.end() + 40].strip()
    effect, cause = (right, left) if _FORWARD.search(match.group()) else (left, right)
    if not left and _PROMPTING.search(match.group()):
        return None  # "evaluation led to a diagnosis of …": nothing is named that could be the cause
    line = next((line for line in record.lines if _states_cause(line, effect, cause, record)), None)
    if line is None and not left and _ADMISSION.search(parsed.lower_text[: match.start()]):
        known = (line for line in record.entries_of("reasons", "diagnoses", "outcome") if line.certainty != "ruled-out")
        line = next((line for line in known if _mentions_side(line, right)), None)
    if line is not None:
        return CheckedClaim("cause", text, "supported", line.source, f"record: {line.text[:160]}", (match.span(),))
    return CheckedClaim("cause", text, "not-in-record", spans=(match.span(),))


def _mentioned_terms(parsed: ParsedSentence, start: int, end: int) -> Side:
    """Return what one side names, in order."""
    named = parsed.named
    mentions = [
        item for item in (*named.drugs, *named.illnesses, *named.tests, *named.procedures) if start <= item.start < end
    ]
    found = [
        (item.start, frozenset({f"={item.canonical}", *(stem(word) for word in item.text.split())}))
        for item in mentions
    ]
    for key, begin, _ in parsed.content:
        if start <= begin < end and not any(item.start <= begin < item.end for item in mentions):
            found.append((begin, frozenset({key})))
    return [keys for _, keys in sorted(found, key=lambda item: item[0])]


def _mentions_side(line: IndexedEntry, side: Side) -> bool:
    """Return whether an entry names anything of a side that is a name, or all of its words."""
    named = line.named
    canonical = {f"={item.canonical}" for item in (*named.drugs, *named.illnesses, *named.tests, *named.procedures)}
    names = [keys for keys in side if any(key.startswith("=") for key in keys)]
    if names:
        return any(
            keys & canonical or all(line.has_stem(key) for key in keys if not key.startswith("=")) for keys in names
        )
    return bool(side) and all(any(line.has_stem(key) for key in keys) for keys in side)


def _states_cause(line: IndexedEntry, effect: Side, cause: Side, record: EvidenceIndex) -> bool:
    """Return whether an entry states the cause: with a connective between, or as the reason of an order."""
    if (
        not _mentions_side(line, effect)
        or not _mentions_side(line, cause)
        or _named_terms(effect) & _named_terms(cause)
    ):
        return False
    if line.part.endswith("medicines"):
        drugs = {f"={item.canonical}" for item in line.named.drugs}
        return bool(drugs & _named_terms(effect)) and not drugs & _named_terms(cause)
    if line.part in ("allergies", "outcome"):
        return True
    joint = _CAUSE.search(line.text) or _JOINT.search(line.text)
    if joint is None:
        return False
    head, tail = line.text[: joint.start()], _WITH.split(line.text[joint.end() :], maxsplit=1)[0]
    return _mentions_any(effect, head, record) and _mentions_any(cause, tail, record)


def _named_terms(side: Side) -> set[str]:
    return {key for keys in side for key in keys if key.startswith("=")}


def _mentions_any(side: Side, text: str, record: EvidenceIndex) -> bool:
    """Return whether part of an entry names anything of a side."""
    named = record.finder.find(text)
    mentions = (*named.drugs, *named.illnesses, *named.tests, *named.procedures)
    found = stems(text) | {f"={item.canonical}" for item in mentions}
    return any(any(key in found for key in keys) for keys in side)

"""Claims by predicates: a drain that is "taken", a diagnosis as a symptom, "nothing else".

Every name in such a sentence may be in the record, and the sentence is wrong all the same: small models write these.
"""

import re
from collections.abc import Iterator
from itertools import pairwise

from shared.contracts.draft import Label
from shared.grounding import diagnoses
from shared.grounding.evidence_index import EvidenceIndex
from shared.grounding.indexed_entries import IndexedEntry
from shared.grounding.medicines import orders_of
from shared.grounding.parsed_sentence import ParsedSentence
from shared.grounding.status_words import VERB
from shared.grounding.verdict import CheckedClaim, Span
from shared.grounding.vocabulary import Mention
from shared.grounding.words import find_words, is_neutral, stem, stems

# The patient takes it: whoever takes blood, a history or an X-ray does not say "take" so.
_TAKE_VERB = re.compile(
    r"(?:^(?:please )?|\b(?:to|should|must|keep|continue|stop|start|is|was|patient|she|he|and) )"
    r"(?:take|takes|taking)\b(?! (?:part|place|care|time|rest|it easy|off|over|up))",
    re.IGNORECASE,
)
_AS_LISTED = re.compile(r"\bas (?:written|listed|shown|described|stated) (?:on|in) (?:[\w']+ ){0,2}list\b", re.I)
_STOPPED = re.compile(
    r"\b(?:stop|end|finish|complet|discontinu|remov|withdr|ceas|terminat|close|revers|last|until)", re.I
)
_OBJECT = re.compile(r"\s+(?:it|them|this|that)\b", re.IGNORECASE)
_SYMPTOMS = re.compile(
    r"\bsymptoms? (?:\w+ )?(?:include[sd]?|including|are|were|was|such as|consist(?:s|ed)? of|like)\b(?P<rest>[^.;]*)",
    re.IGNORECASE,
)
_SYMPTOM = re.compile(
    r"pain|ache|algia|nausea|vomit|emesis|fever|pyrexia|chill|rigor|cough|sputum|breath|dyspn|wheez|dizz|vertigo|syncop"
    r"|collapse|fall|weak|numb|paresthes|paraesthes|tingl|rash|itch|prurit|swell|edema|oedema|bleed|h(?:a)?em(?:a|o)t"
    r"|mel(?:a)?ena|confus|deliri|fatigue|tired|letharg|malaise|palpitation|seizure|convuls|diarrh|constipat|anorexia"
    r"|appetite|weight|jaundice|thirst|polyuria|polydips|dysuria|urgency|incontinen|retention|tremor|cramp|stiff|blur"
    r"|vision|diplopia|dysphagia|dysphasia|aphasia|speech|hoarse|congestion|rhinorr|sneez|sweat|insomnia|agitat|anxi"
    r"|mood|hallucinat|unable|difficult|loss of|distension|bloating|tender|cyanosis|shock|lethargy|droop|gait|ataxia",
    re.IGNORECASE,
)
_DANGLING = re.compile(
    r"\b(?:and|or|with) (?:unspecified|uncomplicated|other|not otherwise specified|mild|moderate|severe|acute|chronic"
    r"|bilateral)\s*[.,;]?$",
    re.IGNORECASE,
)
_KIND_OF = re.compile(
    r"\b(?:has|had|have|having|with) (?:an? )?(?:\w+ )?\w+ (?:type|form|phase|site|nature|origin|degree)"
    r"\s*(?:[.,;]|$)",
    re.IGNORECASE,
)
# "Her discharge is finished": what may follow is when, where to, and that it was arranged.
_DISCHARGE_IS = re.compile(
    r"\bdischarge(?: (?:from|to) (?:the |her |his )?(?:hospital|ward|unit|clinic|home))?"
    r" (?:is|was|has been|had been|will be)(?: not)?"
    r"(?! (?:\w+ly )?(?:to|on|at|home|into|with|against|by|for|planned|arranged|scheduled|expected|dated|\d|then"
    r"|delayed|postponed|in|back|from|held|brought|agreed|discussed|possible|authori[sz]ed|without))(?: \w+)",
    re.IGNORECASE,
)
_NOTHING_ELSE = re.compile(
    r"\bno (?:other|further|additional|more) (?:\w+ )?(?:problems?|issues?|medications?|medicines?|drugs?|diagnos[ie]s"
    r"|conditions?|illness(?:es)?|diseases?|procedures?|allergies|comorbidities|symptoms?|findings?|complaints?|treatments?"
    r"|tests?|results?|outcomes?|events?|injur(?:y|ies)|operations?)\b",
    re.IGNORECASE,
)
# One medicine for another: the record has to say so.
_INSTEAD = re.compile(
    r"\b(?:substitut\w+|in (?:place|lieu) of|instead of|alternatives? (?:to|for)|replacements? (?:of|for))\b",
    re.IGNORECASE,
)
# "He had a TIMI procedure done": the word before has to be of the procedure's name.
_DONE = re.compile(
    r"\b(?P<what>\w+) (?:procedure|operation|surgery)(?: (?:was|were))? (?:done|performed|completed)\b", re.I
)
# "He is treated at Bayview Hospital", where he went afterwards.
_CARED_FOR = re.compile(
    r"\b(?:treated|admitted|hospitali[sz]ed|cared for|seen|managed|operated(?: on)?|examined)(?: \w+ly)?"
    r" (?:at|in|to|by) (?:the )?"
    r"(?P<place>(?:(?-i:[A-Z])[\w.'-]*(?: (?:of|the|and|for))? ?){2,})",
    re.IGNORECASE,
)
# Nobody is admitted with a medicine, but for what it did.
_PRESENTED_WITH = re.compile(r"\b(?:admitted|presented|hospitali[sz]ed) with\b", re.IGNORECASE)
_HARM = re.compile(
    r"\b(?:overdose|toxicity|poisoning|withdrawal|intoxication|ingestion|level|induced|related|associated|allerg\w+"
    r"|reaction|rash|on board|treatment|therapy|use|abuse|dependence)\b|-",
    re.IGNORECASE,
)
_LACK_OF = re.compile(r"\b(?:a )?lack of (?P<what>\w+)", re.IGNORECASE)
_OTHER = re.compile(
    r"\b(?:no|not any) (?:other|further|additional|more)\b|\bnone other\b|\bnothing else\b", re.IGNORECASE
)
_BRACKETS = re.compile(r"\([^()]*\)")
_BRACKET = re.compile(r"\s*\(\s*$")


def claims(parsed: ParsedSentence, record: EvidenceIndex) -> Iterator[CheckedClaim]:
    """Yield what is said of things that cannot be said of them, or not by this record."""
    yield from _taken_claims(parsed)
    yield from _stopped_claims(parsed, record)
    yield from _symptom_claims(parsed, record)
    yield from _equated_medicine_claims(parsed, record)
    yield from _accompaniment_claims(parsed, record)
    yield from _other_place_claims(parsed, record)
    for pattern in (_DANGLING, _KIND_OF):
        for match in pattern.finditer(parsed.text):
            if not _ends_illness_name(match.span(), parsed):
                yield _unrecorded_claim(match.group(), match.span())
    for match in _DISCHARGE_IS.finditer(parsed.text):
        if not record.entries_with(stems(match.group())):  # a wound's discharge may be purulent
            yield _unrecorded_claim(match.group(), match.span())
    for match in _NOTHING_ELSE.finditer(parsed.text):
        line = next((line for line in record.lines if _OTHER.search(line.text)), None)
        if line is None or not stems(match.group()) <= line.stems.keys():
            yield _unrecorded_claim(match.group(), match.span())


def _taken_claims(parsed: ParsedSentence) -> Iterator[CheckedClaim]:
    """Check that only a medicine is "taken"."""
    named = parsed.named
    if named.drugs or named.classes:
        return
    for match in _AS_LISTED.finditer(parsed.text):
        yield _unrecorded_claim(match.group(), match.span())
    for verb in _TAKE_VERB.finditer(parsed.text):
        clause = parsed.clause_at(verb.start())
        for item in (*named.procedures, *named.illnesses):
            if verb.end() <= item.start < clause[1]:
                yield _unrecorded_claim(parsed.text[verb.start() : item.end].strip(), (verb.start(), item.end))
                break


def _stopped_claims(parsed: ParsedSentence, record: EvidenceIndex) -> Iterator[CheckedClaim]:
    """Check that an entry states the end of what was stopped, where that is no medicine: a drain, a bleeding."""
    named = parsed.named
    things = (*named.procedures, *named.illnesses)
    if named.drugs or named.classes or not things:
        return
    for verb in VERB.finditer(parsed.text):
        if verb.lastgroup != "stopped":
            continue
        thing = min(things, key=lambda item: abs(item.start - verb.start()))
        pronoun = _OBJECT.match(parsed.text, verb.end())
        ended = (
            line
            for line in record.lines
            if _STOPPED.search(line.text)
            and any(one.canonical == thing.canonical for one in (*line.named.procedures, *line.named.illnesses))
        )
        line = next(ended, None)
        if line is not None:
            yield CheckedClaim(
                "status", verb.group(), "supported", line.source, f"record: {line.text[:160]}", (verb.span(),)
            )
        elif pronoun is not None or thing in named.procedures:
            yield CheckedClaim("status", f"{thing.text} {verb.group()}", "not-in-record", spans=(verb.span(),))


def _symptom_claims(parsed: ParsedSentence, record: EvidenceIndex) -> Iterator[CheckedClaim]:
    """Check that a disease of the problem list is not called a symptom, unless it is a presenting complaint."""
    for match in _SYMPTOMS.finditer(parsed.text):
        start, end = match.span("rest")
        for item in parsed.named.illnesses:
            if not start <= item.start < end or _SYMPTOM.search(f"{item.text} {item.canonical}"):
                continue
            lines = [line for line, _ in diagnoses.lines_of(item, record)]
            if not any(line.part in ("reasons", "notes", "observed") for line in lines):
                yield _unrecorded_claim(f"symptom: {item.text}", (item.start, item.end))


def _equated_medicine_claims(parsed: ParsedSentence, record: EvidenceIndex) -> Iterator[CheckedClaim]:
    """Check that `Oseltamivir (paracetamol)` is one medicine, and that `X instead of Y` was exchanged."""
    drugs = parsed.named.drugs
    for one, other in pairwise(drugs):
        between = parsed.text[one.end : other.start]
        if _are_similar(one, other) or not (_BRACKET.fullmatch(between) or _INSTEAD.search(between)):
            continue
        if _INSTEAD.search(between) and any(
            {one.canonical, other.canonical} <= _drug_names(line) for line in record.lines
        ):
            continue
        both = {order.source for order in orders_of(one, parsed, record)} & {
            order.source for order in orders_of(other, parsed, record)
        }
        if not both:
            text = parsed.text[one.start : other.end] + (")" if _BRACKET.fullmatch(between) else "")
            yield _unrecorded_claim(text, (one.start, other.end))


def _drug_names(line: IndexedEntry) -> set[str]:
    return {item.canonical for item in line.named.drugs}


def _accompaniment_claims(parsed: ParsedSentence, record: EvidenceIndex) -> Iterator[CheckedClaim]:
    """Check what was lacking, and medicines with which the patient is said to have presented."""
    for match in _LACK_OF.finditer(parsed.text):
        key = stem(match["what"])
        if not any(
            re.search(r"lack|deficien|insufficien|\bno\b|without", line.text) for line in record.by_stem.get(key, [])
        ):
            yield _unrecorded_claim(match.group(), match.span())
    for match in _PRESENTED_WITH.finditer(parsed.text):
        end = parsed.clause_at(match.start())[1]
        for drug in (item for item in parsed.named.drugs if match.end() <= item.start < end):
            if not _HARM.search(parsed.text, match.end()) and drug.canonical not in _reason_words(record):
                yield _unrecorded_claim(f"{match.group()} {drug.text}", (drug.start, drug.end))


def _reason_words(record: EvidenceIndex) -> set[str]:
    return {name for line in record.entries_of("reasons", "diagnoses") for name in _drug_names(line)}


def _other_place_claims(parsed: ParsedSentence, record: EvidenceIndex) -> Iterator[CheckedClaim]:
    """Check procedures under a name that is none, and what is said of the hospital that the patient went to."""
    for match in _DONE.finditer(parsed.text):
        key = stem(match["what"])
        if is_neutral(match["what"]) or any(item.start <= match.start() < item.end for item in parsed.named.procedures):
            continue
        if not any(
            key in stems(_BRACKETS.sub(" ", line.text)) for line in record.entries_of("procedures", "reports", "notes")
        ):
            yield _unrecorded_claim(match.group(), match.span())
    after = stems(record.context.disposition or "")
    here = stems(f"{record.context.service or ''} {record.context.organization_name or ''}")
    for match in _CARED_FOR.finditer(parsed.text):
        place = stems(match["place"])
        if place and place <= after and not place <= here:
            text = match.group().strip()
            yield _unrecorded_claim(text, (match.start(), match.start() + len(text)), "contradicted")


def _are_similar(one: Mention, other: Mention) -> bool:
    return one.canonical in other.canonical or other.canonical in one.canonical


def _ends_illness_name(span: Span, parsed: ParsedSentence) -> bool:
    """Return whether a name of an illness has these last words: `diabetes mellitus with other`."""
    return any(item.start < span[1] <= item.end for item in parsed.named.illnesses)


def is_repeated_in(finding: CheckedClaim, line: IndexedEntry) -> bool:
    """Return whether an entry has every word of the claim."""
    return {word for word, _, _ in find_words(finding.text)} <= {word for word, _, _ in find_words(line.text)}


def _unrecorded_claim(text: str, span: Span, label: Label = "not-in-record") -> CheckedClaim:
    return CheckedClaim("statement", text, label, spans=(span,))

"""Statements: words that no other kind of claim covers must be together in an entry of the record.

"Supported" therefore means that everything in a sentence was found: no vague word ("uneventful") is left, no invented
thing that no vocabulary knows, no number without an owner.
"""

import re
from collections.abc import Iterator, Sequence

from shared.contracts.draft import ClaimKind, Label
from shared.grounding.assertion import cue_spans
from shared.grounding.binding import bind_numbers
from shared.grounding.evidence_index import EvidenceIndex
from shared.grounding.indexed_entries import RESULTS, IndexedEntry
from shared.grounding.parsed_sentence import ParsedSentence
from shared.grounding.quantities import Quantity
from shared.grounding.values import series_of
from shared.grounding.verdict import CheckedClaim, Span
from shared.grounding.words import stem

_DEFINITE_PARTS = ("diagnoses", "reasons")
# Parts of which one word may be enough, where a sentence has no other.
_LISTS = frozenset(
    {*_DEFINITE_PARTS, "procedures", "devices", "function", "immunizations", "directives", "stay", "pending", "outcome"}
)
# Words of praise and of course: they say nothing that can be looked up, unless an entry says all of the sentence.
_VAGUE = frozenset(
    stem(word)
    for word in """
    stable stabilized well improved improving improvement recovered recovery resolved resolution uneventful unremarkable
    good better best excellent fine satisfactory comfortable controlled tolerated tolerating steadily steady completely
    complete fully gradually smoothly uncomplicated favorable favourable successful successfully adequate adequately
    significantly markedly ready baseline optimal optimized appropriate appropriately responded response great
    """.split()  # noqa: SIM905 - a list of words
)
# Words that say nothing of the patient before these others.
_HARMLESS_CONTEXT = {
    "chronic": re.compile(
        r" (?:issues|problems|conditions|medical|medications?|diagnoses|comorbidities|illnesses|diseases)\b"
    ),
    **{
        word: re.compile(r" (?:for (?:discharge|home|transfer)|to (?:go|return|be discharged|leave))\b")
        for word in ("safe", "ready", "fit", "well")
    },
}
_NOT_EVIDENCE = frozenset({"family_history"})


def claims(parsed: ParsedSentence, record: EvidenceIndex, findings: Sequence[CheckedClaim]) -> Iterator[CheckedClaim]:
    """Yield the words and numbers that `findings` do not cover."""
    covered = [span for finding in findings for span in finding.spans]
    covered += cue_spans(parsed.text)
    cited = {finding.source for finding in findings if finding.label == "supported" and finding.source}
    for test in parsed.named.tests:
        course = next(iter(series_of(test.canonical, record)), None)
        if course is not None and not _is_inside(test.start, covered):
            covered.append((test.start, test.end))
            source, detail = course.points[-1].source, f"record: {course.description}"
            yield CheckedClaim("statement", test.text, "supported", source, detail, ((test.start, test.end),))
    yield from _number_claims(parsed, record, covered)
    free = [
        (parsed.lower_text[start:end], start, end)
        for _, start, end in parsed.content
        if not _is_inside(start, covered) and not _is_verb(parsed.lower_text, start, end)
    ]
    free = [
        item for item in free if not (item[0].endswith("ly") and _is_beside_claim(item[1], item[2], covered, parsed))
    ]
    every = frozenset(key for key, _, _ in parsed.content)
    missing: list[tuple[str, int, int]] = []
    for word, start, end in free:
        supporting = _supporting_entry(stem(word), (start, end), every, parsed, record, cited)
        if supporting is None:
            missing.append((word, start, end))
        else:
            line, kind = supporting
            label: Label = "contradicted" if kind in ("polarity", "certainty") else "supported"
            yield CheckedClaim(kind, word, label, line.source, f"record: {line.text[:160]}", ((start, end),))
    yield from _join_adjacent(missing, parsed)


def _is_verb(text: str, start: int, end: int) -> bool:
    """Return whether a word is a verb here: `left` as no side, `lives with` of an illness."""
    if (pattern := _HARMLESS_CONTEXT.get(text[start:end])) is not None:
        return pattern.match(text, end) is not None
    return text[start:end] == "left" or (
        text[start:end] in ("lives", "living", "live") and text[end : end + 6] == " with "
    )


def _is_beside_claim(start: int, end: int, covered: Sequence[Span], parsed: ParsedSentence) -> bool:
    """Return whether an adverb is next to a word that a claim covers: `steadily increased`."""
    places = [(a, b) for _, a, b in parsed.words]
    at = places.index((start, end)) if (start, end) in places else -1
    near = [places[at + 1]] if 0 <= at < len(places) - 1 else []
    near += [places[at - 1]] if at > 0 else []
    return any(_is_inside(a, covered) for a, _ in near)


def _is_inside(position: int, spans: Sequence[Span]) -> bool:
    return any(start <= position < end for start, end in spans)


def _supporting_entry(
    key: str, span: Span, every: frozenset[str], parsed: ParsedSentence, record: EvidenceIndex, cited: set[str]
) -> tuple[IndexedEntry, ClaimKind] | None:
    """Return the entry that has the word together with another word of the sentence, and whether it states it.

    It must be about the patient, with the same polarity and certainty.
    """
    properties = parsed.properties(span)
    rest = every - {key}
    near = [
        line
        for line in record.by_stem.get(key, [])
        if (line.part not in _NOT_EVIDENCE or "family" in properties)
        and (
            line.source in cited
            or line.part in _DEFINITE_PARTS
            or any(other in line.stems for other in rest)
            or (not rest and line.part in _LISTS)
        )
    ]
    if key in _VAGUE:
        near = [line for line in near if len(every) > 1 and all(other in line.stems for other in every)]
    same = [line for line in near if ("denied" in line.stems[key]) == ("denied" in properties)]
    if not same:
        return (near[0], "polarity") if near else None
    sure = [line for line in same if ("uncertain" in line.stems[key]) == ("uncertain" in properties)]
    return (sure[0], "statement") if sure else (same[0], "certainty")


def _join_adjacent(missing: Sequence[tuple[str, int, int]], parsed: ParsedSentence) -> Iterator[CheckedClaim]:
    """Join adjacent words into one statement."""
    run: list[tuple[str, int, int]] = []
    for item in missing:
        if run and item[1] - run[-1][2] > 14:
            yield _statement_claim(run, parsed)
            run = []
        run.append(item)
    if run:
        yield _statement_claim(run, parsed)


def _statement_claim(run: Sequence[tuple[str, int, int]], parsed: ParsedSentence) -> CheckedClaim:
    start, end = run[0][1], run[-1][2]
    return CheckedClaim("statement", parsed.text[start:end], "not-in-record", spans=((start, end),))


def _number_claims(parsed: ParsedSentence, record: EvidenceIndex, covered: Sequence[Span]) -> Iterator[CheckedClaim]:
    """Check a number without an owner: an entry has to have it, with a word of the sentence."""
    keys = {key for key, _, _ in parsed.content}
    for bound in bind_numbers(parsed):
        quantity = bound.quantity
        if _is_inside(quantity.start, covered):
            continue
        family = "family" in parsed.properties((quantity.start, quantity.end))
        lines = (line for line in record.lines if (line.part == "family_history") == family and line.part != RESULTS)
        line = next((line for line in lines if _has_quantity(line, quantity) and keys & line.stems.keys()), None)
        span = ((quantity.start, quantity.end),)
        if line is not None:
            yield CheckedClaim("number", quantity.text, "supported", line.source, f"record: {line.text[:120]}", span)
        else:
            yield CheckedClaim("number", quantity.text, "not-in-record", spans=span)


def _has_quantity(line: IndexedEntry, quantity: Quantity) -> bool:
    return any(one.value == quantity.value and one.second_value == quantity.second_value for one in line.quantities)

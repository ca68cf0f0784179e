"""What no other kind of claim speaks for: words that say something must stand together in an entry of the record.

This makes "supported" mean that everything in a sentence was found: no vague word ("uneventful") is left, no invented
thing that no vocabulary knows, no number that belongs to nothing.
"""

from collections.abc import Iterator, Sequence

from shared.grounding.assertion import cue_spans
from shared.grounding.binding import bind
from shared.grounding.lines import Line
from shared.grounding.parsed import Parsed
from shared.grounding.record import Record
from shared.grounding.verdict import Finding, Span
from shared.grounding.words import neutral, stem

_STRONG = ("diagnoses", "reasons")
_NOT_EVIDENCE = frozenset({"family_history"})


def claims(parsed: Parsed, record: Record, findings: Sequence[Finding]) -> Iterator[Finding]:
    """The words and numbers that `findings` do not speak for."""
    covered = [span for finding in findings for span in finding.spans]
    covered += cue_spans(parsed.text)
    cited = {finding.source for finding in findings if finding.label == "supported" and finding.source}
    yield from _numbers(parsed, record, covered)
    free = [
        item for item in parsed.words if not _in(item[1], covered) and not neutral(item[0]) and not item[0][0].isdigit()
    ]
    free = [item for item in free if not any(day.start <= item[1] < day.end for day in parsed.dates)]
    free = [item for item in free if not any(figure.start <= item[1] < figure.end for figure in parsed.figures)]
    every = frozenset(stem(word) for word, _, _ in parsed.words if not neutral(word) and not word[0].isdigit())
    missing: list[tuple[str, int, int]] = []
    for word, start, end in free:
        line = _line(stem(word), (start, end), every, parsed, record, cited)
        if line is None:
            missing.append((word, start, end))
        elif line[1]:
            yield Finding(
                "polarity", word, "contradicted", line[0].source, f"record: {line[0].text[:160]}", ((start, end),)
            )
        else:
            yield Finding(
                "statement", word, "supported", line[0].source, f"record: {line[0].text[:160]}", ((start, end),)
            )
    yield from _joined(missing, parsed)


def _in(position: int, spans: Sequence[Span]) -> bool:
    return any(start <= position < end for start, end in spans)


def _line(
    key: str, span: Span, every: frozenset[str], parsed: Parsed, record: Record, cited: set[str]
) -> tuple[Line, bool] | None:
    """The entry that says the word together with another word of the sentence; and whether it denies it (or affirms it
    where the sentence denies it)."""
    said = parsed.properties(span)
    rest = every - {key}
    lines = [line for line in record.by_stem.get(key, []) if line.part not in _NOT_EVIDENCE or "family" in said]
    near = [
        line
        for line in lines
        if line.source in cited or line.part in _STRONG or any(other in line.stems for other in rest) or not rest
    ]
    for line in near:
        if ("denied" in line.stems[key]) == ("denied" in said):
            return line, False
    return (near[0], True) if near else None


def _joined(missing: Sequence[tuple[str, int, int]], parsed: Parsed) -> Iterator[Finding]:
    """Words that stand next to each other are one statement."""
    run: list[tuple[str, int, int]] = []
    for item in missing:
        if run and item[1] - run[-1][2] > 14:
            yield _statement(run, parsed)
            run = []
        run.append(item)
    if run:
        yield _statement(run, parsed)


def _statement(run: Sequence[tuple[str, int, int]], parsed: Parsed) -> Finding:
    start, end = run[0][1], run[-1][2]
    return Finding("statement", parsed.text[start:end], "not-in-record", spans=((start, end),))


def _numbers(parsed: Parsed, record: Record, covered: Sequence[Span]) -> Iterator[Finding]:
    """A number that belongs to nothing: an entry has to have it, with a word of the sentence."""
    rest = [bound.figure for bound in bind(parsed) if not _in(bound.figure.start, covered)]
    keys = {stem(word) for word, _, _ in parsed.words if not neutral(word) and not word[0].isdigit()}
    for figure in rest:
        line = next(
            (
                line
                for line in record.lines
                if any(one.value == figure.value and (one.second == figure.second) for one in line.figures)
                and keys & line.stems.keys()
            ),
            None,
        )
        span = ((figure.start, figure.end),)
        if line is not None:
            yield Finding("number", figure.text, "supported", line.source, f"record: {line.text[:120]}", span)
        else:
            yield Finding("number", figure.text, "not-in-record", spans=span)

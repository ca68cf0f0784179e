"""How a check does on the set: what it finds of each kind, what it marks that is true, how long it takes."""

import re
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from shared.contracts.context import EncounterContext
from tests.claims.model import Adapter, Checker, Finding, Result, Sentence


@dataclass(frozen=True, slots=True)
class Outcome:
    """One sentence with what the check said. `reason`: it found the error itself."""

    sentence: Sentence
    result: Result
    marked: bool
    reason: bool
    milliseconds: float


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the table, in figures of 0 to 1."""

    name: str
    split: str
    count: int
    marked: float
    reason: float
    label: float  # of all: the label is the expected one


def judged(sentences: Iterable[Sentence], contexts: Mapping[str, EncounterContext], make: Adapter) -> list[Outcome]:
    """Every sentence against the record of its stay."""
    checkers: dict[str, Checker] = {}
    found = []
    for sentence in sentences:
        check = checkers.get(sentence.stay) or checkers.setdefault(sentence.stay, make(contexts[sentence.stay]))
        found.append(_one(sentence, check))
    return found


def _one(sentence: Sentence, check: Checker) -> Outcome:
    start = time.process_time()
    result = check(sentence.text)
    milliseconds = (time.process_time() - start) * 1000
    marked = result.label != "supported"
    return Outcome(
        sentence, result, marked, marked and bool(sentence.kind) and _reason(sentence, check, result), milliseconds
    )


def _reason(sentence: Sentence, check: Checker, result: Result) -> bool:
    """Whether a claim is marked that the true sentence does not have, and that is about the planted words.

    A claim of the true sentence does not count, nor one whose words are elsewhere. Where the whole sentence is the
    error, or where no true sentence stands behind it, any marked claim counts, or the label if there is none.
    """
    wrong = [item for item in result.findings if item.label != "supported"]
    if sentence.true:
        before = {(item.kind, item.text) for item in check(sentence.true).findings if item.label != "supported"}
        wrong = [item for item in wrong if (item.kind, item.text) not in before]
    elif not wrong and not any(item.label != "supported" for item in result.findings):
        return True
    if sentence.wrong == sentence.text:
        return bool(wrong)
    return any(_overlap(item, sentence) for item in wrong)


def _overlap(finding: Finding, sentence: Sentence) -> bool:
    """Whether the words of a claim and the planted ones have a word in common, or one stands in the other."""
    text, wrong = finding.text.casefold(), sentence.wrong.casefold()
    return wrong in text or text in wrong or bool(set(re.findall(r"\w+", text)) & set(re.findall(r"\w+", wrong)))


def rows(outcomes: Sequence[Outcome]) -> list[Row]:
    """One row for each kind and each type of true sentence, by split; the worst kinds first."""
    groups: dict[tuple[str, str], list[Outcome]] = {}
    for item in outcomes:
        name = item.sentence.kind or f"true: {item.sentence.type}"
        groups.setdefault((name, item.sentence.split), []).append(item)
    return sorted((_row(*key, group) for key, group in groups.items()), key=_order)


def _row(name: str, split: str, group: Sequence[Outcome]) -> Row:
    right = mean(item.result.label == item.sentence.label for item in group)
    return Row(name, split, len(group), mean(o.marked for o in group), mean(o.reason for o in group), right)


def _order(row: Row) -> tuple[bool, float, str, str]:
    true = row.name.startswith("true: ")
    return true, -row.marked if true else row.reason, row.name, row.split


def mean(values: Iterable[float]) -> float:
    listed = list(values)
    return sum(listed) / len(listed) if listed else 0.0


def table(outcomes: Sequence[Outcome]) -> str:
    """The table as text, with the figures of issue 13 under it."""
    found = rows(outcomes)
    lines = [f"{'kind':34} {'split':5} {'n':>5} {'marked':>7} {'for it':>7} {'label':>7}"]
    lines += [
        f"{row.name:34} {row.split:5} {row.count:5} {row.marked:7.1%} {row.reason:7.1%} {row.label:7.1%}"
        for row in found
    ]
    return "\n".join([*lines, "", *totals(outcomes)])


def totals(outcomes: Sequence[Outcome]) -> list[str]:
    """A line for each split and each author in it."""
    groups: dict[str, list[Outcome]] = {}
    for item in outcomes:
        groups.setdefault(f"{item.sentence.split} {item.sentence.author}".strip(), []).append(item)
    return [_total(name, group) for name, group in groups.items()]


def _total(name: str, mine: Sequence[Outcome]) -> str:
    kinds = [row for row in rows(mine) if not row.name.startswith("true: ")]
    true = [item for item in mine if not item.sentence.kind]
    low = sum(row.reason < 0.85 for row in kinds)
    return (
        f"{name}: {len(kinds)} kinds, for their own reason {mean(row.reason for row in kinds):.1%} (mean over kinds), "
        f"{low} kinds under 85 %; {mean(item.marked for item in true):.1%} of {len(true)} true sentences marked; "
        f"{mean(item.milliseconds for item in mine):.2f} ms a sentence"
    )

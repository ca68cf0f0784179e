"""Sentences on microbiology, imaging and other reports. Pure."""

import re
from collections.abc import Iterator, Sequence

from services.drafter.course.phrases import (
    composed_sentence,
    day,
    evidence_of,
    unique_texts,
    with_day,
    with_days,
    without_full_stop,
)
from shared.contracts.context import ContextEntry, EncounterContext
from shared.contracts.draft import Sentence

MAX_REPORTS = 5  # reports shown in full; the others are counted
MAX_REPORT_CHARACTERS = 160  # of a report's text inside a sentence
# One drug's susceptibility without the organism that it belongs to.
_TESTED = re.compile(r"(?P<drug>[^:;]+?) (?P<result>susceptible|intermediate|resistant)", re.IGNORECASE)
_VALUES = re.compile(r" panel\b|\[(?:HH?|LL?)\]", re.IGNORECASE)  # flagged laboratory values
_ABNORMAL = re.compile(r"\babnormal$|; abnormal\b", re.IGNORECASE)
_UNREMARKABLE = re.compile(
    r"\bnormal$|\b(no|without) (acute|significant|evidence|infiltrates?|fracture|intracranial|radiographic)"
    r"|\bunremarkable\b|lungs clear|within normal",
    re.IGNORECASE,
)


def report_sentences(context: EncounterContext) -> Iterator[Sentence]:
    """Yield microbiology, imaging, and where results contradict each other."""
    yield from _microbiology(unique_texts(context.microbiology))
    yield from _imaging(unique_texts(context.reports))
    if context.contradictions:
        texts = "; ".join(without_full_stop(item.text) for item in unique_texts(context.contradictions))
        yield composed_sentence(
            "hospital-course", f"Results that contradict each other: {texts}", evidence_of(context.contradictions)
        )


def _microbiology(found: Sequence[ContextEntry]) -> Iterator[Sentence]:
    """Yield cultures first; susceptibilities without an organism follow together."""
    tests = {id(item): match for item in found if (match := _TESTED.fullmatch(without_full_stop(item.text)))}
    cultures = [item for item in found if id(item) not in tests]
    if cultures:
        yield composed_sentence(
            "hospital-course", f"Microbiology: {'; '.join(with_days(cultures))}", evidence_of(cultures)
        )
    alone = [item for item in found if id(item) in tests]
    if alone:
        groups: dict[tuple[str, str], list[str]] = {}
        for item in alone:
            match = tests[id(item)]
            groups.setdefault((match["result"].lower(), day(item.time, item.on)), []).append(match["drug"])
        words = "; ".join(
            f"{result} to {', '.join(drugs)}" + (f" ({when})" if when else "")
            for (result, when), drugs in groups.items()
        )
        yield composed_sentence(
            "hospital-course", f"Susceptibility, recorded without its organism: {words}", evidence_of(alone)
        )


def _imaging(found: Sequence[ContextEntry]) -> Iterator[Sentence]:
    """Yield abnormal reports in order of time, then the number of the others."""
    if not found:
        return
    # Laboratory panels repeat the results above; what is normal throughout gives its place to what is not.
    named = [item for item in found if _VALUES.search(item.text) is None]
    shown = sorted(named, key=_is_unremarkable)[:MAX_REPORTS] or list(found[:1])
    shown.sort(key=lambda item: day(item.time, item.on) or "9999")
    rest = len(found) - len(shown)
    more = f"; {rest} further {'report is' if rest == 1 else 'reports are'} listed above" if rest else ""
    words = "; ".join(_short_report(item) for item in shown)
    yield composed_sentence("hospital-course", f"Imaging and other reports: {words}{more}", evidence_of(shown))


def _is_unremarkable(item: ContextEntry) -> int:
    text = without_full_stop(item.text)
    return 0 if _ABNORMAL.search(text) else 2 if _UNREMARKABLE.search(text) else 1


def _short_report(item: ContextEntry) -> str:
    """Return a long report by name only: half a finding can mean its opposite."""
    text = without_full_stop(item.text)
    if len(text) <= MAX_REPORT_CHARACTERS:
        return with_day(item)
    title = text.partition(":")[0]
    when = day(item.time, item.on)
    name = title if 0 < len(title) < MAX_REPORT_CHARACTERS / 2 and title != text else "one long report"
    return f"{name}{f' ({when})' if when else ''}, findings listed above"

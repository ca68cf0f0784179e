"""Microbiology, imaging and other reports in the hospital course. Pure."""

import re
from collections.abc import Iterator, Sequence

from services.drafter.course.words import clean, dated, day, of, sentence, told, unique
from shared.contracts.context import EncounterContext, Entry
from shared.contracts.draft import Sentence

REPORTS = 5  # shown in full where there are more; the number of the others is told
SHORT = 160  # characters of a report's text inside a sentence
# One drug's susceptibility without the organism that it belongs to.
_TESTED = re.compile(r"(?P<drug>[^:;]+?) (?P<result>susceptible|intermediate|resistant)", re.IGNORECASE)
_VALUES = re.compile(r" panel\b|\[(?:HH?|LL?)\]", re.IGNORECASE)  # a laboratory's values, flagged one by one
_ABNORMAL = re.compile(r"\babnormal$|; abnormal\b", re.IGNORECASE)
_CALM = re.compile(
    r"\bnormal$|\b(no|without) (acute|significant|evidence|infiltrates?|fracture|intracranial|radiographic)"
    r"|\bunremarkable\b|lungs clear|within normal",
    re.IGNORECASE,
)


def reports(context: EncounterContext) -> Iterator[Sentence]:
    """What grew, what was seen, what of it contradicts."""
    yield from _microbiology(unique(context.microbiology))
    yield from _imaging(unique(context.reports))
    if context.contradictions:
        texts = "; ".join(clean(item.text) for item in unique(context.contradictions))
        yield sentence("hospital-course", f"Results that contradict each other: {texts}", of(context.contradictions))


def _microbiology(found: Sequence[Entry]) -> Iterator[Sentence]:
    """Cultures first; susceptibilities that name no organism are told together after them."""
    tests = {id(item): match for item in found if (match := _TESTED.fullmatch(clean(item.text)))}
    cultures = [item for item in found if id(item) not in tests]
    if cultures:
        yield sentence("hospital-course", f"Microbiology: {'; '.join(told(cultures))}", of(cultures))
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
        yield sentence("hospital-course", f"Susceptibility, recorded without its organism: {words}", of(alone))


def _imaging(found: Sequence[Entry]) -> Iterator[Sentence]:
    """The telling ones in order of time, then how many are not told here."""
    if not found:
        return
    # Laboratory panels repeat the results above; what is normal throughout gives its place to what is not.
    named = [item for item in found if _VALUES.search(item.text) is None]
    shown = sorted(named, key=_calm)[:REPORTS] or list(found[:1])
    shown.sort(key=lambda item: day(item.time, item.on) or "9999")
    rest = len(found) - len(shown)
    more = f"; {rest} further {'report is' if rest == 1 else 'reports are'} listed above" if rest else ""
    words = "; ".join(_short(item) for item in shown)
    yield sentence("hospital-course", f"Imaging and other reports: {words}{more}", of(shown))


def _calm(item: Entry) -> int:
    text = clean(item.text)
    return 0 if _ABNORMAL.search(text) else 2 if _CALM.search(text) else 1


def _short(item: Entry) -> str:
    """A long report is named only: half a finding can mean its opposite."""
    text = clean(item.text)
    if len(text) <= SHORT:
        return dated(item)
    title = text.partition(":")[0]
    when = day(item.time, item.on)
    name = title if 0 < len(title) < SHORT / 2 and title != text else "one long report"
    return f"{name}{f' ({when})' if when else ''}, findings listed above"

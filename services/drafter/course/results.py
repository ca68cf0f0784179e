"""Sentences on laboratory results: all critical ones first, then other abnormal ones up to a maximum. Pure."""

from collections.abc import Iterator

from services.drafter.course.phrases import composed_sentence, day
from services.drafter.record.observations import short_names
from shared.contracts.context import EncounterContext, Measurement, ObservationSeries
from shared.contracts.draft import Sentence

CRITICAL = ("critical", "critically low", "critically high")
MAX_RESULTS = 6  # abnormal, not critical series; the others are counted


def result_sentences(context: EncounterContext) -> Iterator[Sentence]:
    """Yield a sentence on critical results, one on other abnormal ones, with the number condensed."""
    names = short_names(context.labs)
    critical = [item for item in context.labs if any(point.flag in CRITICAL for point in _distinct_points(item))]
    abnormal = [
        item for item in context.labs if item not in critical and any(point.flag for point in _distinct_points(item))
    ]
    if critical:
        words = "; ".join(_series_text(item, names[item.name]) for item in critical)
        yield composed_sentence("hospital-course", f"Critical laboratory results: {words}", _evidence(critical))
    shown = abnormal[:MAX_RESULTS]
    if shown:
        rest = len(abnormal) - len(shown)
        more = f"; {rest} further abnormal {'result is' if rest == 1 else 'results are'} listed above" if rest else ""
        title = "Other abnormal laboratory results" if critical else "Abnormal laboratory results"
        words = "; ".join(_series_text(item, names[item.name]) for item in shown)
        yield composed_sentence("hospital-course", f"{title}: {words}{more}", _evidence(shown))


def _distinct_points(series: ObservationSeries) -> list[Measurement]:
    """Return first, extremes and last in order of time; each measurement once."""
    between = {item.time: item for item in (series.worst, series.lowest, series.highest) if item is not None}
    points = [series.first, *(between[time] for time in sorted(between))]
    return [*points, series.last] if series.count > 1 else points


def _series_text(series: ObservationSeries, name: str) -> str:
    """Return a series as text: `Creatinine 1.9 mg/dL (high) on 2026-04-01, then 1.2 mg/dL on 2026-04-03`."""
    words = []
    for point in _distinct_points(series):
        when = day(point.time, point.on)
        flag = f" ({point.flag})" if point.flag else ""
        words.append(f"{point.value}{flag}" + (f" on {when}" if when else ""))
    return f"{name} {', then '.join(words)}"


def _evidence(found: list[ObservationSeries]) -> list[tuple[str, str]]:
    return [(point.source, f"{item.name} {point.value}") for item in found for point in _distinct_points(item)]

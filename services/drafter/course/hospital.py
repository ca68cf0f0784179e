"""The hospital course: why the patient came, what was found, done and given, what changed, how it ended. Pure.

Diagnoses, procedures, critical results and changes of medicines are always complete; what else is shortened says so.
"""

import re
from collections.abc import Iterable, Iterator, Sequence

from services.drafter import facts
from services.drafter.course.prose import be, different, further, listed, lowered, raised, sentence
from services.drafter.record.observations import short_names
from shared.contracts.context import Diagnosis, EncounterContext, Entry, Measurement, Medicine, Series
from shared.contracts.draft import Narrative, Sentence
from shared.grounding.reconciliation import Row, reconcile

NAME: Narrative = "hospital-course"
MOST = 6  # of what may be shortened: abnormal results, reports, medicines given
PEOPLE = {"female": ("woman", "girl", "She"), "male": ("man", "boy", "He")}
ADULT = 18  # years
_SUSCEPTIBILITY = re.compile(r"\b(susceptible|resistant|intermediate)\b[^:;]*$", re.IGNORECASE)
_PANEL = re.compile(r"\bpanel\b|hemogram|blood count", re.IGNORECASE)  # its values stand with the results


def hospital_course(context: EncounterContext) -> tuple[Sentence, ...]:
    """Sentences in the order of a letter; each knows the entries that it was made of."""
    parts = (_arrival, _diagnoses, _findings, _treatment, _changes, _end)
    return tuple(item for part in parts for item in part(context))


def subject(context: EncounterContext) -> str:
    """How a sentence about the patient begins."""
    return PEOPLE.get(context.patient.sex or "", ("", "", "The patient"))[2]


def _say(text: str, entries: Iterable[Entry]) -> Sentence:
    return sentence(NAME, text, entries)


def _whole(context: EncounterContext, text: str) -> Entry:
    """What the encounter itself says, as an entry."""
    return Entry(text=text, source=context.encounter)


def _arrival(context: EncounterContext) -> Iterator[Sentence]:
    when = context.start_on or (f"{context.start:%Y-%m-%d}" if context.start else "")
    on = f" on {when}" if when else ""
    yield _say(f"{_person(context)} was admitted{on}", [_whole(context, f"Admitted{on}"), _demographics(context)])
    if reasons := different(context.reasons):
        word = "reason for the admission" if len(reasons) == 1 else "reasons for the admission"
        yield _say(f"The recorded {word} {be(reasons)}: {_named(reasons)}", reasons)


def _person(context: EncounterContext) -> str:
    """`A 77-year-old man`, as far as the record tells."""
    years, (adult, child, _) = facts.age(context), PEOPLE.get(context.patient.sex or "", ("patient", "patient", ""))
    if not years:  # of a newborn the years say nothing
        return "The patient"
    article = "An" if years in (8, 11, 18) or 80 <= years < 90 else "A"
    return f"{article} {years}-year-old {child if years < ADULT else adult}"


def _demographics(context: EncounterContext) -> Entry:
    born = context.patient.birth or (f"{context.patient.birth_date}" if context.patient.birth_date else "")
    parts = [f"born {born}" if born else "", context.patient.sex or ""]
    return Entry(text=", ".join(part for part in parts if part) or "patient", source=context.patient.source)


def _diagnoses(context: EncounterContext) -> Iterator[Sentence]:
    def of(role: str, certainty: str = "confirmed", acquired: bool | None = None) -> list[Entry]:
        return different(
            item
            for item in context.diagnoses
            if item.certainty == certainty and item.role == role and (acquired is None or item.acquired == acquired)
        )

    if principal := of("principal"):
        word = "principal diagnosis" if len(principal) == 1 else "principal diagnoses"
        yield _say(f"The {word} {be(principal)} {_named(principal)}", principal)
    if acquired := [*of("comorbidity", acquired=True), *of("problem", acquired=True)]:
        yield _say(f"During the stay the following began (hospital-acquired): {_named(acquired)}", acquired)
    if others := [*of("comorbidity", acquired=False), *of("problem", acquired=False)]:
        yield _say(f"Other diagnoses and problems {be(others)} {_named(others)}", others)
    yield from _uncertain(context.diagnoses)


def _uncertain(diagnoses: Sequence[Diagnosis]) -> Iterator[Sentence]:
    if suspected := different(item for item in diagnoses if item.certainty == "suspected"):
        yield _say(f"Suspected and not confirmed {be(suspected)} {_named(suspected)}", suspected)
    if excluded := different(item for item in diagnoses if item.certainty == "ruled-out"):
        yield _say(f"Ruled out {be(excluded, past=True)} {_named(excluded)}", excluded)


def _named(entries: Iterable[Entry]) -> str:
    return listed([lowered(item.text) for item in entries])


def _findings(context: EncounterContext) -> Iterator[Sentence]:
    abnormal = [item for item in context.labs if facts.is_abnormal(item)]
    critical = [item for item in abnormal if facts.is_critical(item)]
    shown = [*critical, *(item for item in abnormal if item not in critical)][: max(MOST, len(critical))]
    if shown:
        names = short_names(context.labs)
        words = [f"{lowered(names[item.name])} {_course(item)}" for item in shown]
        if rest := len(abnormal) - len(shown):
            words.append(further(rest, "abnormal result", "abnormal results"))
        entries = [Entry(text=f"{item.name} {_course(item)}", source=item.last.source) for item in shown]
        yield _say(f"Abnormal laboratory results {be(words, past=True)} {listed(words)}", entries)
    organisms = [item for item in context.microbiology if not _SUSCEPTIBILITY.search(item.text)]
    yield from _reported("Microbiology", organisms or context.microbiology)
    studies = [item for item in context.reports if not _PANEL.search(item.text)]
    yield from _reported("Imaging and other studies", studies)


def _course(series: Series) -> str:
    """`2.82 mg/dL (high) at first and 3.24 mg/dL (high) at last`: first, extremes and last as recorded."""
    if series.count == 1:
        return _value(series.last)
    between = {item.time: item for item in (series.worst, series.lowest, series.highest) if item is not None}
    words = [f"{_value(series.first)} at first", *(_value(between[time]) for time in sorted(between))]
    return f"{', then '.join(words)} and {_value(series.last)} at last"


def _value(item: Measurement) -> str:
    return f"{item.value} ({item.flag})" if item.flag else item.value


def _reported(what: str, entries: Sequence[Entry]) -> Iterator[Sentence]:
    found = different(entries)
    shown = found[:MOST]
    if not shown:
        return
    words = [f"{item.text.rstrip('.')}{_dated(item)}" for item in shown]
    if rest := len(found) - len(shown):
        words.append(further(rest, "report", "reports"))
    yield _say(f"{what} reported: {'; '.join(words)}", shown)


def _dated(item: Entry) -> str:
    return f" ({item.on})" if item.on else ""


def _treatment(context: EncounterContext) -> Iterator[Sentence]:
    if procedures := different(context.procedures):
        word = "procedure" if len(procedures) == 1 else "procedures"
        words = [f"{lowered(item.text.rstrip('.'))}{_dated(item)}" for item in procedures]
        yield _say(f"The recorded {word} {be(procedures, past=True)}: {'; '.join(words)}", procedures)
    if devices := different(context.devices):
        yield _say(f"Devices and lines in place: {_named(devices)}", devices)
    if context.given_medicines:
        yield _medicines("Given in hospital", context.given_medicines)
    elif context.hospital_medicines:
        yield _medicines("Ordered for the stay", context.hospital_medicines)


def _medicines(what: str, medicines: Sequence[Medicine]) -> Sentence:
    named = list({item.name.casefold(): item for item in reversed(medicines)}.values())[::-1]
    words = [item.name for item in named[: 2 * MOST]]
    if rest := len(named) - len(words):
        words.append(further(rest, "medicine", "medicines"))
    return _say(f"{what}: {listed(words)}", named[: 2 * MOST])


def _changes(context: EncounterContext) -> Iterator[Sentence]:
    """What became of each medicine. What the record leaves unclear is an open point, no sentence."""
    if not context.instructs:
        return
    rows = reconcile(context)
    for change, begin in (("new", "Newly prescribed"), ("continued", "Continued without a change")):
        if found := [row.medicine for row in rows if row.change == change]:
            yield _say(f"{begin}: {listed([item.text for item in found])}", found)
    for row in rows:
        if words := _changed(row):
            yield _say(words, [row.medicine, *row.before])


def _changed(row: Row) -> str | None:
    """What became of one medicine, where it was neither begun nor simply continued."""
    name, reason = row.medicine.name, f" ({row.medicine.reason})" if row.medicine.reason else ""
    before = "; ".join(item.dose or "directions not recorded" for item in row.before)
    now = row.medicine.dose or "directions not recorded"
    match row.change:
        case "changed":
            return f"{name} was changed from {before} to {now}"
        case "stopped" | "on hold":
            return f"{name} {'is on hold' if row.change == 'on hold' else 'was stopped'}{reason}"
        case "do not give":
            return f"{name} is not to be given{reason}"
        case "ended":
            return f"The course of {name} ended before the discharge"
        case _:
            return None


def _end(context: EncounterContext) -> Iterator[Sentence]:
    if function := different([*context.function, *context.directives]):
        words = [f"{item.text.rstrip('.')}{_dated(item)}" for item in function]
        yield _say(f"Function and directives as recorded: {'; '.join(words)}", function)
    flagged = [item for item in context.vitals if item.last.flag]
    if flagged and not context.died:
        words = [f"{lowered(item.name)} {_value(item.last)}" for item in flagged]
        entries = [Entry(text=f"{item.name} {_value(item.last)}", source=item.last.source) for item in flagged]
        yield _say(f"Not within the range among the last vital signs {be(words, past=True)} {listed(words)}", entries)
    if pending := different(context.pending):
        yield _say(f"Still pending: {_named(pending)}", pending)
    yield _departure(context)
    if later := different(context.follow_up):
        yield _say(f"Follow-up is planned: {listed([f'{lowered(item.text)}{_dated(item)}' for item in later])}", later)


def _departure(context: EncounterContext) -> Sentence:
    on = context.end_on or f"{context.end:%Y-%m-%d}"
    who = subject(context)
    if context.died:
        causes = different(context.outcome)
        more = f": {listed([item.text for item in causes])}" if causes else ""
        return _say(f"{who} died on {on}{more}", [_whole(context, f"Died {on}"), *causes])
    where = f"; the recorded destination is {lowered(context.disposition)}" if context.disposition else ""
    left = [_whole(context, ", ".join(part for part in (f"discharged {on}", context.disposition) if part))]
    later = f" {raised(who)} died on {context.died_later}, after this stay." if context.died_later else ""
    return _say(f"{who} was discharged on {on}{where}.{later}", left)

"""The hospital course: why the patient came, what was found, done and given, how it ended. Pure.

Diagnoses, procedures, critical results and changes of medicines are complete by rule; other results are condensed, and
what is condensed is counted. No sentence joins two facts by a cause: only an order's own reason is told with it.
"""

import re
from collections.abc import Iterable, Iterator, Sequence

from services.drafter.course.diagnoses import diagnoses, qualified, reasons
from services.drafter.course.done import done
from services.drafter.course.medicines import changes, in_hospital
from services.drafter.course.person import person
from services.drafter.course.reports import reports
from services.drafter.course.results import results
from services.drafter.course.words import awaited, clean, day, listed, of, sentence, told, unique
from shared.contracts.context import EncounterContext, Entry
from shared.contracts.draft import Sentence

_ICD = re.compile(r" \([A-TV-Z]\d\d(?:\.\w{1,4})?\)$")  # the code of a cause of death beside its name
_BARE_CODE = re.compile(r"code (\S+) \(")  # how the record names what has a code and no words


def hospital_course(context: EncounterContext, quoted: Sequence[Sentence] = ()) -> tuple[Sentence, ...]:
    """All sentences in the order in which a physician asks. Never raises; empty facts make no sentence.

    `quoted` are sentences of notes; they stand after what was done and given.
    """
    return (
        *_came(context),
        *diagnoses(context),
        *results(context),
        *reports(context),
        *done(context),
        *in_hospital(context),
        *quoted,
        *_ended(context),
        *(() if context.died else changes(context)),
        *_open(context),
    )


def _said(text: str, evidence: Iterable[tuple[str, str]]) -> Sentence:
    return sentence("hospital-course", text, evidence)


def _came(context: EncounterContext) -> Iterator[Sentence]:
    start = day(context.start, context.start_on)
    admitted = f"{person(context)} was admitted" + (f" {'on' if len(start) >= 10 else 'in'} {start}" if start else "")
    why = reasons(context)
    # A colon keeps the record's words whole: a reason may be a symptom, a disease or a plan.
    text = f"; reason recorded: {listed([qualified(item.text, context) for item in why])}" if why else ""
    evidence = [(context.patient.source, context.patient.birth or context.patient.name)]
    yield _said(admitted + text, [*evidence, (context.encounter, f"Admitted {start}"), *of(why)])


def _ended(context: EncounterContext) -> Iterator[Sentence]:
    end = day(context.end, context.end_on)
    # By this order a death is told last but for what is still pending.
    vitals = [item for item in context.vitals if item.last.flag]
    if vitals:
        words = [
            f"{item.name} {item.last.value} ({item.last.flag}, {day(item.last.time, item.last.on)})" for item in vitals
        ]
        yield _said(
            f"Abnormal in the last vital signs: {listed(words)}",
            [(item.last.source, f"{item.name} {item.last.value}") for item in vitals],
        )
    yield from _listed("Function and scores", context.function)
    yield from _listed("Code status, directives and alerts", context.directives)
    if context.died:
        yield _said(f"The patient died in hospital on {end}", [(context.encounter, f"died {end}")])
        if outcome := unique(context.outcome):
            causes = [_ICD.sub("", clean(item.text)) for item in outcome]
            yield _said(f"Recorded of the death: {'; '.join(causes)}", of(outcome))
        return
    yield _said(f"The stay ended on {end}{_where(context)}", [(context.encounter, f"discharged {end}")])
    if context.died_later:
        later = [(context.patient.source, f"died {context.died_later}")]
        yield _said(f"The patient died on {context.died_later}, after this stay", later)


def _where(context: EncounterContext) -> str:
    """A disposition may be a place, a service or a decision: only the record's own words say which."""
    where = clean(context.disposition or "")
    if code := _BARE_CODE.match(where):
        return f"; where to is recorded only as code {code[1]}"
    return f"; discharge disposition: {where}" if where else ""


def _listed(title: str, entries: Iterable[Entry]) -> Iterator[Sentence]:
    if found := unique(entries):
        yield _said(f"{title}: {'; '.join(told(found))}", of(found))


def _open(context: EncounterContext) -> Iterator[Sentence]:
    if pending := unique(context.pending):
        # An autopsy is not pending at the time of death, only after it.
        title = "Results still pending" if context.died else "Still pending at discharge"
        yield _said(f"{title}: {'; '.join(awaited(pending))}", of(pending))
    if context.instructs:
        yield from _listed("Follow-up recorded", context.follow_up)
        yield from _listed("Ordered for the time after the stay", context.services)

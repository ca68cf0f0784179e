"""Compose the hospital course: reason, findings, treatment, outcome. Pure.

Diagnoses, procedures, critical results and medicine changes are complete; other results are condensed and counted. No
sentence states a cause between two facts, except an order's own reason.
"""

import re
from collections.abc import Iterable, Iterator, Sequence

from services.drafter.course.diagnoses import admission_reasons, diagnosis_sentences, qualified
from services.drafter.course.interventions import intervention_sentences
from services.drafter.course.medicines import change_sentences, hospital_medicine_sentences
from services.drafter.course.person import describe_patient
from services.drafter.course.phrases import (
    composed_sentence,
    day,
    evidence_of,
    join_list,
    pending_phrases,
    unique_texts,
    with_days,
    without_full_stop,
)
from services.drafter.course.reports import report_sentences
from services.drafter.course.results import result_sentences
from shared.contracts.context import ContextEntry, EncounterContext
from shared.contracts.draft import Sentence

_ICD = re.compile(r" \([A-TV-Z]\d\d(?:\.\w{1,4})?\)$")  # ICD-10 code after the name of a cause of death
_BARE_CODE = re.compile(r"code (\S+) \(")  # a code without a display


def hospital_course(context: EncounterContext, quoted: Sequence[Sentence] = ()) -> tuple[Sentence, ...]:
    """Return all sentences in the order in which a physician asks. Never raises; empty facts give no sentence.

    `quoted` are sentences of notes; they follow the procedures and medicines.
    """
    return (
        *_admission(context),
        *diagnosis_sentences(context),
        *result_sentences(context),
        *report_sentences(context),
        *intervention_sentences(context),
        *hospital_medicine_sentences(context),
        *quoted,
        *_outcome(context),
        *(() if context.died else change_sentences(context)),
        *_open_items(context),
    )


def _sentence(text: str, evidence: Iterable[tuple[str, str]]) -> Sentence:
    return composed_sentence("hospital-course", text, evidence)


def _admission(context: EncounterContext) -> Iterator[Sentence]:
    start = day(context.start, context.start_on)
    admitted = f"{describe_patient(context)} was admitted" + (
        f" {'on' if len(start) >= 10 else 'in'} {start}" if start else ""
    )
    why = admission_reasons(context)
    # A colon keeps the record's words whole: a reason may be a symptom, a disease or a plan.
    text = f"; reason recorded: {join_list([qualified(item.text, context) for item in why])}" if why else ""
    evidence = [(context.patient.source, context.patient.birth or context.patient.name)]
    yield _sentence(admitted + text, [*evidence, (context.encounter, f"Admitted {start}"), *evidence_of(why)])


def _outcome(context: EncounterContext) -> Iterator[Sentence]:
    end = day(context.end, context.end_on)
    # In this order, a death is last except for what is pending.
    vitals = [item for item in context.vitals if item.last.flag]
    if vitals:
        words = [
            f"{item.name} {item.last.value} ({item.last.flag}, {day(item.last.time, item.last.on)})" for item in vitals
        ]
        yield _sentence(
            f"Abnormal in the last vital signs: {join_list(words)}",
            [(item.last.source, f"{item.name} {item.last.value}") for item in vitals],
        )
    yield from _list_sentence("Function and scores", context.function)
    yield from _list_sentence("Code status, directives and alerts", context.directives)
    if context.died:
        yield _sentence(f"The patient died in hospital on {end}", [(context.encounter, f"died {end}")])
        if outcome := unique_texts(context.outcome):
            causes = [_ICD.sub("", without_full_stop(item.text)) for item in outcome]
            yield _sentence(f"Recorded of the death: {'; '.join(causes)}", evidence_of(outcome))
        return
    if context.ongoing:
        return
    yield _sentence(f"The stay ended on {end}{_destination(context)}", [(context.encounter, f"discharged {end}")])
    if context.died_later:
        later = [(context.patient.source, f"died {context.died_later}")]
        yield _sentence(f"The patient died on {context.died_later}, after this stay", later)


def _destination(context: EncounterContext) -> str:
    """Return the disposition in the record's own words: it may be a place, a service or a decision."""
    where = without_full_stop(context.disposition or "")
    if code := _BARE_CODE.match(where):
        return f"; where to is recorded only as code {code[1]}"
    return f"; discharge disposition: {where}" if where else ""


def _list_sentence(title: str, entries: Iterable[ContextEntry]) -> Iterator[Sentence]:
    if distinct := unique_texts(entries):
        yield _sentence(f"{title}: {'; '.join(with_days(distinct))}", evidence_of(distinct))


def _open_items(context: EncounterContext) -> Iterator[Sentence]:
    if pending := unique_texts(context.pending):
        # An autopsy is not pending at the time of death, only after it.
        title = "Results still pending" if context.died else "Still pending at discharge"
        yield _sentence(f"{title}: {'; '.join(pending_phrases(pending))}", evidence_of(pending))
    if context.needs_instructions:
        yield from _list_sentence("Follow-up recorded", context.follow_up)
        yield from _list_sentence("Ordered for the time after the stay", context.services)

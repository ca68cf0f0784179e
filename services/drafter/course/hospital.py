"""The hospital course: why the patient came, what was found, done and given, how it ended. Pure.

Diagnoses, procedures, critical results and changes of medicines are complete by rule; other results are condensed, and
what is condensed is counted. No sentence joins two facts by a cause: only an order's own reason is told with it.
"""

from collections.abc import Iterable, Iterator, Sequence

from services.drafter import facts
from services.drafter.course.medicines import changes, in_hospital
from services.drafter.course.results import results
from services.drafter.course.words import clean, dated, day, listed, lowered, of, sentence, unique
from shared.contracts.context import Diagnosis, EncounterContext, Entry
from shared.contracts.draft import Sentence

REPORTS = 5  # shown in full where there are more; the number of the others is told
SHORT = 160  # characters of a report's text inside a sentence


def hospital_course(context: EncounterContext, quoted: Sequence[Sentence] = ()) -> tuple[Sentence, ...]:
    """All sentences in the order in which a physician asks. Never raises; empty facts make no sentence.

    `quoted` are sentences of notes; they stand after what was done and given.
    """
    return (
        *_came(context),
        *_diagnoses(context),
        *results(context),
        *_reports(context),
        *_done(context),
        *in_hospital(context),
        *quoted,
        *_ended(context),
        *(() if context.died else changes(context)),
        *_open(context),
    )


def _said(text: str, evidence: Iterable[tuple[str, str]]) -> Sentence:
    return sentence("hospital-course", text, evidence)


def _came(context: EncounterContext) -> Iterator[Sentence]:
    years, sex = facts.age(context), context.patient.sex
    words = {"female": "woman", "male": "man"} if years is None or years >= 18 else {"female": "girl", "male": "boy"}
    person = words.get((sex or "").lower(), "patient")
    who = f"This {years}-year-old {person}" if years else f"This {person}" if person != "patient" else "The patient"
    start = day(context.start, context.start_on)
    reasons = unique(Entry(text=item.text, source=item.source) for item in context.reasons)
    admitted = f"{who} was admitted" + (f" on {start}" if start else "")
    # A colon keeps the record's words whole: a reason may be a symptom, a disease or a plan.
    why = f"; reason recorded: {listed([lowered(clean(item.text)) for item in reasons])}" if reasons else ""
    evidence = [(context.patient.source, context.patient.birth or context.patient.name)]
    yield _said(admitted + why, [*evidence, (context.encounter, f"Admitted {start}"), *of(reasons)])


def _diagnoses(context: EncounterContext) -> Iterator[Sentence]:
    """Principal first; every diagnosis with its certainty, each certainty in a sentence of its own."""
    found = context.diagnoses
    listing: tuple[tuple[str, str, list[Diagnosis]], ...] = (
        ("The principal diagnosis was {}", "The principal diagnoses were {}", _of(found, "confirmed", "principal")),
        (
            "The principal diagnosis was suspected, not confirmed: {}",
            "The principal diagnoses were suspected, not confirmed: {}",
            _of(found, "suspected", "principal"),
        ),
        ("The admission diagnosis was {}", "The admission diagnoses were {}", _of(found, "confirmed", "admission")),
        (
            "Hospital-acquired diagnosis: {}",
            "Hospital-acquired diagnoses: {}",
            [item for item in _of(found, "confirmed", "comorbidity", "problem") if item.acquired],
        ),
        (
            "Another recorded diagnosis or problem: {}",
            "Other recorded diagnoses and problems: {}",
            [item for item in _of(found, "confirmed", "comorbidity", "problem") if not item.acquired],
        ),
        (
            "Suspected, not confirmed: {}",
            "Suspected, not confirmed: {}",
            _of(found, "suspected", "admission", "comorbidity", "problem"),
        ),
        ("Ruled out: {}", "Ruled out: {}", _of(found, "ruled-out", "principal", "admission", "comorbidity", "problem")),
    )
    told: set[tuple[str, str, bool]] = set()
    for one, many, items in listing:
        new = [item for item in items if (item.text.lower(), item.certainty, item.acquired) not in told]
        told |= {(item.text.lower(), item.certainty, item.acquired) for item in new}
        new = list({clean(item.text).lower(): item for item in reversed(new)}.values())[::-1]
        if new:
            names = [_named(item) for item in new]
            yield _said((one if len(new) == 1 else many).format(listed(names)), of(new))


def _of(found: Iterable[Diagnosis], certainty: str, *roles: str) -> list[Diagnosis]:
    return [item for item in found if item.certainty == certainty and item.role in roles and clean(item.text)]


def _named(item: Diagnosis) -> str:
    """With `suspected` beside each name, so that no part of a list is read without it."""
    name = lowered(clean(item.text))
    if item.certainty == "suspected":
        return f"{name} (suspected)"
    return f"{name} (began during the stay)" if item.acquired and item.role == "principal" else name


def _reports(context: EncounterContext) -> Iterator[Sentence]:
    microbiology = unique(context.microbiology)
    if microbiology:
        yield _said(f"Microbiology: {'; '.join(dated(item) for item in microbiology)}", of(microbiology))
    reports = unique(context.reports)
    if reports:
        # Laboratory panels repeat the results above; a report that is normal throughout comes after the others.
        told = [item for item in reports if " panel" not in item.text.lower()]
        told.sort(key=lambda item: clean(item.text).lower().endswith("normal") and "abnormal" not in item.text.lower())
        shown = told[:REPORTS] or reports[:1]
        rest = len(reports) - len(shown)
        more = f"; {rest} further {'report is' if rest == 1 else 'reports are'} listed above" if rest else ""
        yield _said(f"Imaging and other reports: {'; '.join(_short(item) for item in shown)}{more}", of(shown))
    if context.contradictions:
        yield _said(
            f"Results that contradict each other: {'; '.join(clean(item.text) for item in context.contradictions)}",
            of(context.contradictions),
        )


def _short(item: Entry) -> str:
    """A long report is named only: half a finding can mean its opposite."""
    text = clean(item.text)
    if len(text) <= SHORT:
        return dated(item)
    title = text.partition(":")[0]
    when = day(item.time, item.on)
    name = title if 0 < len(title) < SHORT / 2 and title != text else "one long report"
    return f"{name}{f' ({when})' if when else ''}, findings listed above"


def _done(context: EncounterContext) -> Iterator[Sentence]:
    noted = {note.source for note in context.clinical_notes}
    done = unique(item for item in context.procedures if item.source not in noted)
    done.sort(key=lambda item: day(item.time, item.on) or "9999")
    if done:
        word = "Procedure" if len(done) == 1 else "Procedures, in order of time"
        yield _said(f"{word}: {'; '.join(dated(item) for item in done)}", of(done))
    yield from of_operations(context)
    for title, entries in (("Devices and lines", context.devices), ("Immunizations", context.immunizations)):
        if found := unique(entries):
            yield _said(f"{title}: {'; '.join(dated(item) for item in found)}", of(found))


def of_operations(context: EncounterContext) -> Iterator[Sentence]:
    """What only an operation note says: a sentence a note, that names it."""
    for note in context.clinical_notes:
        if own := unique(item for item in context.procedures if item.source == note.source):
            said = _said(f"{note.cited}: {'; '.join(clean(item.text) for item in own)}", of(own))
            yield said.model_copy(update={"origin": "note", "label": "supported"})


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
    if function := unique(context.function):
        yield _said(f"Function: {'; '.join(dated(item) for item in function)}", of(function))
    if context.died:
        yield _said(f"The patient died in hospital on {end}", [(context.encounter, f"died {end}")])
        if outcome := unique(context.outcome):
            yield _said("; ".join(clean(item.text) for item in outcome), of(outcome))
        return
    where = f"; discharged to: {lowered(clean(context.disposition))}" if context.disposition else ""
    later = f"; the patient died on {context.died_later}, after this stay" if context.died_later else ""
    yield _said(f"The stay ended on {end}{where}{later}", [(context.encounter, f"discharged {end}")])


def _open(context: EncounterContext) -> Iterator[Sentence]:
    if pending := unique(context.pending):
        when = "at the time of death" if context.died else "at discharge"
        yield _said(f"Still pending {when}: {'; '.join(dated(item) for item in pending)}", of(pending))
    if context.instructs and (visits := unique(context.follow_up)):
        yield _said(f"Follow-up recorded: {'; '.join(dated(item) for item in visits)}", of(visits))

"""Render the facts of a stay, part by part, without a model and without leaving out what matters."""

from collections.abc import Iterable, Iterator
from datetime import timedelta

from services.drafter import kinds, layout
from services.drafter.document_header import format_day, header
from services.drafter.kinds.kind import KindDefinition
from services.drafter.medicine_facts import (
    avoided_medicine_facts,
    given_medicine_facts,
    medicine_line,
    reconciliation_table,
)
from services.drafter.record.observations import short_names
from services.drafter.record.social_determinants import is_social_determinant
from shared.contracts.context import ContextEntry, Diagnosis, EncounterContext, Measurement, Medicine, ObservationSeries
from shared.contracts.draft import DocumentPart, Fact, FactGroup

NONE_RECORDED = "None recorded"
CRITICAL = ("critical", "critically low", "critically high")
RECENT_PERIOD = timedelta(hours=24)  # before the discharge: an older vital sign is shown with its day


def render(context: EncounterContext, kind: KindDefinition | None = None) -> tuple[DocumentPart, ...]:
    """Return the parts of the document with their facts, for the kind or the default one. The narrative comes later."""
    kind = kind or kinds.load_shipped_kinds().of(context.kind, died=context.died)
    return layout.arrange_parts(default_parts(context), kind, context)


def default_parts(context: EncounterContext) -> tuple[DocumentPart, ...]:
    """Return the six parts that the Joint Commission requires, as kinds have them by default."""
    return (
        DocumentPart(
            code="reason-for-hospitalization", title="Reason for hospitalization", groups=_reason_groups(context)
        ),
        DocumentPart(code="significant-findings", title="Significant findings", groups=_finding_groups(context)),
        DocumentPart(
            code="procedures-and-treatment", title="Procedures and treatment", groups=_treatment_groups(context)
        ),
        _condition_part(context),
        _instructions_part(context),
        DocumentPart(code="attending-signature", title="Attending physician", groups=_signature_groups(context)),
    )


def _group(title: str, facts: Iterable[Fact], empty: str = NONE_RECORDED) -> FactGroup:
    """Return a group; an empty one states that nothing is recorded."""
    found = tuple(facts)
    return FactGroup(title=title, facts=found or (Fact(text=empty, source=""),))


def _non_empty_groups(*groups: tuple[str, list[Fact]]) -> tuple[FactGroup, ...]:
    """Return the groups that have facts."""
    return tuple(FactGroup(title=title, facts=tuple(facts)) for title, facts in groups if facts)


def _entry_facts(entries: Iterable[ContextEntry], *, dated: bool = False) -> list[Fact]:
    """Return one fact for each different text; repeats carry their count."""
    found: dict[str, list[ContextEntry]] = {}
    for entry in entries:
        found.setdefault(entry.text, []).append(entry)
    return [
        Fact(
            text=(f"{text.rstrip('.')}, {format_day(same[0].time, same[0].on)}" if dated and same[0].time else text)
            + (f" ({len(same)} times)" if len(same) > 1 else ""),
            source=same[0].source,
        )
        for text, same in found.items()
    ]


def _reason_groups(context: EncounterContext) -> tuple[FactGroup, ...]:
    confirmed = [item for item in context.diagnoses if item.certainty == "confirmed"]
    principal = [item for item in context.diagnoses if item.role == "principal" and item.certainty != "ruled-out"]
    others = [item for item in confirmed if item.role in ("comorbidity", "problem")]
    on_admission = [item for item in context.diagnoses if item.role == "admission" and item.certainty != "ruled-out"]
    reasons = [
        *_entry_facts(context.reasons),
        *(Fact(text=f"Admission diagnosis: {_with_certainty(item)}", source=item.source) for item in on_admission),
    ]
    return (
        _group("Reason for admission", reasons),
        _group("Principal diagnosis", (Fact(text=_with_certainty(item), source=item.source) for item in principal)),
        _group(
            "Other diagnoses and problems",
            _entry_facts(item for item in others if not item.acquired and not is_social_determinant(item)),
        ),
        *_non_empty_groups(
            (
                "Diagnoses that began during the stay (hospital-acquired)",
                _entry_facts(item for item in others if item.acquired),
            ),
            ("Suspected diagnoses, not confirmed", _suspected_facts(context.diagnoses)),
            ("Diagnoses ruled out", _entry_facts(item for item in context.diagnoses if item.certainty == "ruled-out")),
            ("Social circumstances", _entry_facts(item for item in others if is_social_determinant(item))),
            ("Family history", _entry_facts(context.family_history)),
        ),
    )


def _with_certainty(item: Diagnosis) -> str:
    return f"{item.text} (suspected, not confirmed)" if item.certainty == "suspected" else item.text


def _suspected_facts(diagnoses: Iterable[Diagnosis]) -> list[Fact]:
    found = [item for item in diagnoses if item.certainty == "suspected" and item.role in ("comorbidity", "problem")]
    return [fact.model_copy(update={"text": f"{fact.text} (suspected)"}) for fact in _entry_facts(found)]


def _finding_groups(context: EncounterContext) -> tuple[FactGroup, ...]:
    abnormal = sorted((item for item in context.labs if is_abnormal(item)), key=lambda item: not is_critical(item))
    calm = [item for item in context.labs if not is_abnormal(item)]
    within = [item for item in calm if item.judged]
    names = short_names(context.labs)
    named = "; ".join(
        f"{names[item.name]} {item.last.value}{_with_therapeutic_range(item, ' (', ')')}" for item in within
    )
    unknown = [item for item in calm if not item.judged]
    none = context.allergies_unknown or "None recorded: neither an allergy nor that there is none"
    return (
        _group("Allergies and intolerances", _entry_facts(context.allergies), none),
        _group(
            "Abnormal laboratory results",
            (Fact(text=_series_text(item, names[item.name]), source=item.last.source) for item in abnormal),
        ),
        _group(
            "Laboratory results within range (last values)",
            [Fact(text=named, source=within[0].last.source)] if within else [],
        ),
        *_non_empty_groups(
            (
                "Laboratory results, no reference range given or not comparable",
                [Fact(text=_series_text(item, names[item.name]), source=item.last.source) for item in unknown],
            ),
            ("Microbiology", _entry_facts(context.microbiology, dated=True)),
        ),
        _group("Imaging and other reports", _entry_facts(context.reports, dated=True)),
        *_non_empty_groups(("Results that contradict each other", _entry_facts(context.contradictions))),
        _group("Results pending at discharge", _pending_facts(context)),
    )


def _pending_facts(context: EncounterContext) -> list[Fact]:
    """Return pending results and who follows them up: the attending, until somebody else takes over."""
    who = f"the attending, {context.attending_name}" if context.attending_name else "the attending physician"
    return [
        Fact(text=f"{fact.text}; follow-up by {who}, unless handed over", source=fact.source)
        for fact in _entry_facts(context.pending, dated=True)
    ]


def is_abnormal(series: ObservationSeries) -> bool:
    return any(item is not None and item.flag for item in (series.first, series.last, series.worst))


def is_critical(series: ObservationSeries) -> bool:
    return any(item is not None and item.flag in CRITICAL for item in (series.first, series.last, series.worst))


def _series_text(series: ObservationSeries, name: str) -> str:
    """Return a series as text: `Creatinine 1.9 mg/dL (high), then 1.2 mg/dL; reference 0.6-1.2 mg/dL`."""
    between = {item.time: item for item in (series.worst, series.lowest, series.highest) if item is not None}
    points = [series.first, *(between[time] for time in sorted(between))]
    if series.count > 1:
        points.append(series.last)
    words = ", then ".join(_measured(item) for item in points)
    reference = f"; reference {series.range}" if series.range else ""
    day = format_day(series.last.time, series.last.on)
    return f"{name} {words} on {day}{reference}{_with_therapeutic_range(series, '; ')}"


def _with_therapeutic_range(series: ObservationSeries, before: str, after: str = "") -> str:
    return f"{before}therapeutic range {series.therapeutic}{after}" if series.therapeutic else ""


def _measured(item: Measurement) -> str:
    return f"{item.value} ({item.flag})" if item.flag else item.value


def _treatment_groups(context: EncounterContext) -> tuple[FactGroup, ...]:
    named = {item.name.lower() for item in context.given_medicines}
    ordered = [item for item in context.hospital_medicines if item.name.lower() not in named]
    groups = (
        _group("Procedures", _entry_facts(context.procedures, dated=True)),
        *_non_empty_groups(
            ("Devices and lines", _entry_facts(context.devices, dated=True)),
            ("Immunizations", _entry_facts(context.immunizations, dated=True)),
            ("Medications given in hospital", given_medicine_facts(context.given_medicines)),
            ("Medications ordered in hospital", [medicine_line(item) for item in ordered]),
        ),
    )
    if context.died:
        return (
            *groups,
            _group("Home medications before admission", [medicine_line(item) for item in context.home_medicines]),
        )
    return (*groups, *reconciliation_table(context))


def _condition_part(context: EncounterContext) -> DocumentPart:
    vitals = [
        Fact(
            text=f"{item.name} {_measured(item.last)}"
            + (
                f" on {format_day(item.last.time, item.last.on)}"
                if context.end - item.last.time > RECENT_PERIOD
                else ""
            )
            + (f"; on admission {item.first.value}" if item.count > 1 else ""),
            source=item.last.source,
        )
        for item in context.vitals
    ]
    disposition = (Fact(text=text, source=context.encounter) for text in [context.disposition] if text)
    more = _non_empty_groups(
        ("Functional and cognitive status", _entry_facts(context.function, dated=True)),
        ("Code status and advance directives", _entry_facts(context.directives, dated=True)),
        ("Other observations (last values)", _single_line(context.observed)),
    )
    code = "condition-at-discharge"
    if context.died:
        death = Fact(
            text=f"The patient died during this stay, {format_day(context.end, context.end_on)}",
            source=context.encounter,
        )
        groups = (_group("Outcome", (death, *_entry_facts(context.outcome))), _group("Last vital signs", vitals), *more)
        return DocumentPart(code=code, title="Outcome of the stay", groups=groups)
    return DocumentPart(
        code=code,
        title="Condition at discharge",
        groups=(_group("Discharged to", disposition), _group("Last vital signs", vitals), *more),
    )


def _single_line(entries: tuple[ContextEntry, ...]) -> list[Fact]:
    """Return many small facts on one line: scores, assessments, social history."""
    return [Fact(text="; ".join(item.text for item in entries), source=entries[0].source)] if entries else []


def _instructions_part(context: EncounterContext) -> DocumentPart:
    code = "patient-and-family-instructions"
    if not context.needs_instructions:
        later = f" on {context.died_later}, after this stay" if context.died_later else ""
        none = Fact(text=f"No patient instructions: the patient died{later}", source=context.patient.source)
        return DocumentPart(code=code, title="Information for the family", groups=(_group("Instructions", (none,)),))
    groups = (
        _group("Medications to take at home", [medicine_line(item) for item in context.discharge_medicines]),
        *_non_empty_groups(("Medications not to take", avoided_medicine_facts(context.other_medicines))),
        _group("Follow-up", _visit_facts(context.follow_up)),
        *_non_empty_groups(
            ("Referrals and services", _entry_facts(context.services)),
            ("Care plan", _entry_facts(context.care_plans)),
            ("Diet and activity", _entry_facts(context.diet)),
            ("Goals", _entry_facts(context.goals)),
            ("Care team", _entry_facts(context.team)),
        ),
    )
    return DocumentPart(code=code, title="Instructions for patient and family", groups=groups)


def _visit_facts(entries: Iterable[ContextEntry]) -> Iterator[Fact]:
    for item in entries:
        yield Fact(
            text=f"{item.text}, {format_day(item.time, item.on)}" if item.time else item.text, source=item.source
        )


def _signature_groups(context: EncounterContext) -> tuple[FactGroup, ...]:
    # The signed text is the text that was shown, so this wording holds before and after the signature.
    name = context.attending_name or context.attending or "not recorded"
    facts = (
        Fact(text=f"Attending: {name}", source=context.attending or ""),
        Fact(text="Countersignature: see the authenticator of this document", source=""),
    )
    return (_group("Signature", facts),)


def record_lines(context: EncounterContext) -> list[Fact]:
    """Return all record lines of the document, and the medicines that a narrative may name."""
    shown = [fact for part in render(context) for group in part.groups for fact in group.facts]
    home: list[Medicine] = [*context.home_medicines, *context.hospital_medicines]
    return [*header(context), *shown, *(medicine_line(item) for item in home)]

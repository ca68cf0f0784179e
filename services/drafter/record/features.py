"""Features of an encounter by which its kind of document is chosen. Pure."""

from datetime import datetime

from services.drafter.kinds.dispositions import StatedConcept, admission_places, discharge_places
from services.drafter.kinds.features import StayFeatures
from services.drafter.record.scope import StayScope
from services.drafter.source_record import SourceRecord
from shared.clinical import elements, references
from shared.clinical.elements import Resource


def read_features(
    record: SourceRecord, scope: StayScope, *, died: bool, destination: str | None, department: str | None
) -> StayFeatures:
    """Return the features that kinds' rules use. `destination` is the name of where the patient went."""
    encounter, patient, bases = record.encounter, record.patient, record.bases
    hospitalization = elements.child(encounter, "hospitalization")
    disposition = stated_concept(hospitalization.get("dischargeDisposition"), "Entlassungsgrund")
    own = _is_own(elements.child(hospitalization, "destination"), elements.child(encounter, "serviceProvider"), bases)
    coding = elements.child(encounter, "class")
    code = (elements.string(coding, "code") or "").upper()
    return StayFeatures(
        died=died,
        left=discharge_places(disposition, StatedConcept(texts=(destination,) if destination else ()), own=own),
        disposition=(*_texts_of(disposition), *([destination] if destination else [])),
        codes=frozenset(f"{system}|{code}" for system, code, _ in disposition.codings),
        encounter_class=frozenset({code} if code else ()),
        named=tuple(_encounter_names(encounter)),
        began=admission_places(_admission_concept(encounter)),
        age_days=_age_in_days(patient, scope),
        hours=_length_in_hours(scope, scope.end),
        department=department,
    )


def stated_concept(concept: object, extension: str = "") -> StatedConcept:
    """Return codings and text of a CodeableConcept; German records have the coding in an extension."""
    codings = [*elements.codings(concept), *_german_codings(concept, extension)]
    texts = tuple(text for item in elements.items(concept) if (text := elements.string(item, "text")))
    return StatedConcept(
        tuple(
            (elements.string(item, "system") or "", code, elements.string(item, "display") or "")
            for item in codings
            if (code := elements.string(item, "code") or ("-" if elements.string(item, "display") else None))
        ),
        texts,
    )


def _german_codings(concept: object, extension: str) -> list[Resource]:
    return [
        elements.child(inner, "valueCoding")
        for outer in (elements.extensions(concept, extension) if extension else ())
        for inner in elements.extensions(outer, "ErsteUndZweiteStelle")
    ]


def _admission_concept(encounter: Resource) -> StatedConcept:
    """Return how the stay began: by source, by the reason of § 301 SGB V, by type of admission."""
    source = stated_concept(elements.child(encounter, "hospitalization").get("admitSource"))
    priority = stated_concept(encounter.get("priority"))
    reason = [(elements.string(item, "system") or "", elements.string(item, "code") or "", "")
              for item in _german_codings(encounter, "Aufnahmegrund")]  # fmt: skip
    return StatedConcept((*source.codings, *priority.codings, *reason), (*source.texts, *priority.texts))


def _texts_of(concept: StatedConcept) -> list[str]:
    return list(dict.fromkeys([*concept.texts, *(display for _, _, display in concept.codings if display)]))


def _encounter_names(encounter: Resource) -> list[str]:
    """Return the names of class, type and service of the encounter."""
    display = elements.string(elements.child(encounter, "class"), "display")
    named = [
        text
        for field in ("type", "serviceType")
        for part in elements.children(encounter, field)
        for text in elements.displays(part)
    ]
    return [*([display] if display else []), *named]


def _age_in_days(patient: Resource, scope: StayScope) -> int | None:
    """Return days from birth to admission, by their dates in the hospital's time."""
    born = scope.parse_time(patient.get("birthDate"))
    if born is None or not born.is_day or scope.start is None:
        return None
    return max((scope.start.begins.date() - born.begins.date()).days, 0)


def _length_in_hours(scope: StayScope, end: datetime) -> float | None:
    return max((end - scope.start.begins).total_seconds() / 3600, 0) if scope.start is not None else None


def _is_own(destination: Resource, provider: Resource, bases: frozenset[str]) -> bool:
    there, here = references.relative(destination, bases), references.relative(provider, bases)
    return there is not None and there == here

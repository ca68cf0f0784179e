"""Sentences on diagnoses, each with its certainty and source. Pure."""

from collections.abc import Iterable, Iterator

from services.drafter.course.phrases import (
    comparable_name,
    composed_sentence,
    evidence_of,
    is_from_note,
    join_list,
    without_full_stop,
)
from services.drafter.record.social_determinants import is_social_determinant
from shared.contracts.context import ContextEntry, Diagnosis, EncounterContext
from shared.contracts.draft import Sentence

_WORDS = {"suspected": "suspected, not confirmed", "ruled-out": "ruled out"}
_LISTED = ("comorbidity", "problem")


def diagnosis_sentences(context: EncounterContext) -> Iterator[Sentence]:
    """Yield the principal diagnosis first, then the others; each certainty has a sentence of its own.

    After a colon a name keeps the record's words and case, in any language.
    """
    listed: set[tuple[str, str, bool]] = set()
    for one, many, items in _by_certainty(context):
        new = [item for item in items if (item.text.lower(), item.certainty, item.acquired) not in listed]
        listed |= {(item.text.lower(), item.certainty, item.acquired) for item in new}
        new = list({without_full_stop(item.text).lower(): item for item in reversed(new)}.values())[::-1]
        if new:
            names = [_name_with_certainty(item, len(new)) for item in new]
            title = one if len(new) == 1 else many
            yield composed_sentence("hospital-course", f"{title}: {join_list(names)}", evidence_of(new))


def _by_certainty(context: EncounterContext) -> tuple[tuple[str, str, list[Diagnosis]], ...]:
    """Return groups of diagnoses with their titles, for one diagnosis and for several."""
    recorded = [item for item in context.diagnoses if without_full_stop(item.text)]
    others = _other_diagnoses(context, recorded)
    acquired = [item for item in others if item.acquired]
    present_before = [item for item in others if not item.acquired]
    first = any(item.role in ("principal", "admission") for item in recorded)
    one, many = ("Another recorded", "Other recorded") if first else ("Recorded", "Recorded")
    return (
        ("Principal diagnosis", "Principal diagnoses", _with_certainty(recorded, "confirmed", "principal")),
        (
            "Principal diagnosis, suspected, not confirmed",
            "Principal diagnoses, suspected, not confirmed",
            _with_certainty(recorded, "suspected", "principal"),
        ),
        ("Admission diagnosis", "Admission diagnoses", _with_certainty(recorded, "confirmed", "admission")),
        _group("Recorded as begun in hospital", [item for item in acquired if not is_from_note(item)]),
        _group("Complication, in a note's words", [item for item in acquired if is_from_note(item)]),
        (
            f"{one} diagnosis or problem",
            f"{many} diagnoses and problems",
            [item for item in present_before if not is_social_determinant(item)],
        ),
        _group("Suspected, not confirmed", _with_certainty(recorded, "suspected", "admission", *_LISTED)),
        _group("Ruled out", _with_certainty(recorded, "ruled-out", "principal", "admission", *_LISTED)),
        _group("Social circumstances recorded", [item for item in present_before if is_social_determinant(item)]),
    )


def _group(title: str, diagnoses: list[Diagnosis]) -> tuple[str, str, list[Diagnosis]]:
    return title, title, diagnoses


def _other_diagnoses(context: EncounterContext, recorded: list[Diagnosis]) -> list[Diagnosis]:
    """Return the confirmed ones besides the principal and admission diagnoses.

    Beside a principal diagnosis, a complaint that is the reason of the stay is not listed again.
    """
    principal = any(item.role == "principal" for item in recorded)
    complaints = {without_full_stop(item.text).lower() for item in admission_reasons(context)} if principal else set()
    confirmed = _with_certainty(recorded, "confirmed", *_LISTED)
    return [item for item in confirmed if without_full_stop(item.text).lower() not in complaints]


def _with_certainty(diagnoses: Iterable[Diagnosis], certainty: str, *roles: str) -> list[Diagnosis]:
    return [item for item in diagnoses if item.certainty == certainty and item.role in roles]


def _name_with_certainty(item: Diagnosis, count: int) -> str:
    """Return a name; in a list each suspected one carries `suspected`, so that no part is read without it."""
    name = without_full_stop(item.text)
    if item.certainty == "suspected" and count > 1:
        return f"{name} (suspected)"
    return f"{name} (began during the stay)" if item.acquired and item.role == "principal" else name


def qualified(text: str, context: EncounterContext) -> str:
    """Return a reason in the record's words, no more certain than the diagnosis that it names."""
    name = without_full_stop(text)
    same = [item for item in context.diagnoses if comparable_name(item.text) == comparable_name(name)]
    if not same or any(item.certainty == "confirmed" for item in same):
        return name
    certainty = "suspected" if any(item.certainty == "suspected" for item in same) else "ruled-out"
    return f"{name} ({_WORDS[certainty]})"


def admission_reasons(context: EncounterContext) -> list[ContextEntry]:
    """Return why the patient came, each reason once.

    Reasons that repeat the principal or admission diagnosis are left out where another is left: a physician asks for
    the complaint first.
    """
    reasons = list(
        {
            comparable_name(item.text): item for item in reversed(context.reasons) if without_full_stop(item.text)
        }.values()
    )[::-1]
    named = {comparable_name(item.text) for item in context.diagnoses if item.role in ("principal", "admission")}
    return [item for item in reasons if comparable_name(item.text) not in named] or reasons

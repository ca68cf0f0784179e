"""Contradictions between notes and the record: both are shown, and a physician decides. Pure."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from services.drafter.notes.selection import COMPARED_SECTIONS, Candidate, is_assertion
from shared.contracts.context import Note, NoteSentence
from shared.contracts.draft import ClaimKind, OpenPoint
from shared.grounding import CheckedClaim, EvidenceIndex

MAX_CONTRADICTIONS = 6  # separate points; further contradictions share one more
# What does not change in a stay. The rest is compared in notes of its last day only: an order, a doubt and a
# destination may have been another one before.
_STABLE_CLAIM_KINDS: frozenset[ClaimKind] = frozenset(
    {"diagnosis", "polarity", "family", "procedure", "side", "allergy", "outcome", "age", "person", "cause", "number"}
)
_CHANGING_CLAIM_KINDS: frozenset[ClaimKind] = frozenset(
    {"certainty", "disposition", "dose", "route", "frequency", "status"}
)
_RANGE_TOLERANCE = 0.1  # of the record's lowest and highest value: what lies between them may have been measured, too
_VALUE = re.compile(r"\d+(?:\.\d+)?")


@dataclass(slots=True)
class Contradiction:
    """Sentences of notes that the same entry of the record contradicts."""

    note: Note
    text: str
    found: CheckedClaim
    others: int = field(default=0)

    @property
    def point(self) -> OpenPoint:
        more = (
            f" (and {self.others} more {'sentence' if self.others == 1 else 'sentences'} of notes)"
            if self.others
            else ""
        )
        record = self.found.detail.removeprefix("record: ") or "otherwise"
        return OpenPoint(
            text=f"A note and the record differ. {self.note.citation}: “{self.text}”{more}. The record: {record}. "
            "Not told in the document from the note; decide which is right",
            source=self.note.source,
        )


def find_contradiction(findings: Iterable[CheckedClaim], note: Note, record: EvidenceIndex) -> CheckedClaim | None:
    """Return the first claim of a note that the record contradicts, unless the time between them explains it."""
    last = note.on is not None and note.on[:10] >= f"{record.end:%Y-%m-%d}"
    kinds = _STABLE_CLAIM_KINDS | _CHANGING_CLAIM_KINDS if last else _STABLE_CLAIM_KINDS
    return next(
        (item for item in findings if item.label == "contradicted" and _is_comparable(item, kinds, record)), None
    )


def _is_comparable(item: CheckedClaim, kinds: frozenset[ClaimKind], record: EvidenceIndex) -> bool:
    if item.kind not in kinds:
        return False
    if item.kind == "number":
        return _is_beyond(item)
    if item.kind in ("polarity", "certainty"):  # of something that has a name, not of any word
        named = record.finder.find(item.text)
        return bool(named.illnesses or named.drugs or named.procedures)
    return True


def _is_beyond(item: CheckedClaim) -> bool:
    """Return whether a value is clearly outside of all that the record keeps of its series."""
    stated, kept = _VALUE.search(item.text), [float(text) for text in _VALUE.findall(item.detail)]
    if stated is None or not kept:
        return False
    value = float(stated[0])
    return value < min(kept) * (1 - _RANGE_TOLERANCE) or value > max(kept) * (1 + _RANGE_TOLERANCE)


def merge_contradictions(differences: Sequence[tuple[Note, str, CheckedClaim]]) -> list[Contradiction]:
    """Return one contradiction for each entry of the record and kind of claim, with its first sentence."""
    by_entry: dict[tuple[str, str, str], Contradiction] = {}
    for note, text, finding in differences:
        key = (finding.kind, finding.source, finding.text.casefold())
        if key in by_entry:
            by_entry[key].others += 1
        else:
            by_entry[key] = Contradiction(note, text, finding)
    return list(by_entry.values())


def contradiction_points(differences: Sequence[Contradiction]) -> Iterator[OpenPoint]:
    """Yield a point for each contradiction; those beyond `MAX_CONTRADICTIONS` share one."""
    yield from (item.point for item in differences[:MAX_CONTRADICTIONS])
    if rest := differences[MAX_CONTRADICTIONS:]:
        listed = "; ".join(
            f"{item.note.citation}: “{item.text}” (record: {item.found.detail.removeprefix('record: ')})"
            for item in rest
        )
        yield OpenPoint(
            text=f"{len(rest)} further statements of notes differ from the record: {listed}", source=rest[0].note.source
        )


def other_sentences(notes: Iterable[Note], quoted: Iterable[Candidate]) -> list[tuple[Note, NoteSentence]]:
    """Return sentences that are not quoted but must agree with the record; allergies and the like first."""
    known = {id(item.sentence) for item in quoted}
    others = [
        (note, item) for note in notes for item in note.sentences if id(item) not in known and is_assertion(note, item)
    ]
    return sorted(others, key=lambda pair: pair[1].section not in COMPARED_SECTIONS)

"""Elements that the kind of a document requires, and those of them that a draft has. Pure.

Required are the parts that no text is signed without, the narratives that the kind has, and the `requires` of its file.
An open point says what the *record* lacks, the same for every configuration; this says what the *draft* states.
"""

import re
from collections.abc import Iterator, Sequence

from services.drafter.kinds import KindDefinition, KindRegistry
from services.drafter.kinds.declaration import RequiredElement
from services.drafter.kinds.required_elements import facts_of_element
from shared.contracts.context import EncounterContext
from shared.contracts.draft import HEADINGS, DocumentPart, Draft
from shared.contracts.evaluations import DraftFigures


def with_elements(
    figures: Sequence[DraftFigures], drafts: Sequence[Draft], context: EncounterContext, kinds: KindRegistry
) -> list[DraftFigures]:
    """Return the figures of some drafts of a stay with how many elements are required, and which are missing."""
    found = [dict(required_elements(draft, context, kinds)) for draft in drafts]
    return [
        item.model_copy(
            update={
                "elements_required": len(present),
                "elements_missing": tuple(name for name, there in present.items() if not there),
            }
        )
        for item, present in zip(figures, found, strict=True)
    ]


def required_elements(draft: Draft, context: EncounterContext, kinds: KindRegistry) -> Iterator[tuple[str, bool]]:
    """Yield the name of each required element, and whether the draft has it."""
    kind = kinds.of(draft.kind, died=context.died)
    parts = {part.code: part for part in draft.parts}
    yield from ((part.code, _has_content(parts.get(part.code))) for part in kind.declared.parts if part.required)
    for name in HEADINGS:
        if kind.part_of(name) is not None and (name != "patient-instructions" or context.needs_instructions):
            yield name, any(item.narrative == name and item.supported for item in draft.sentences)
    stated = _Stated(draft, context)
    also = draft.routing.also if draft.routing else ()
    declaring: list[KindDefinition] = [kind, *(kinds.all[name] for name in also if name in kinds.all)]
    yield from ((item.name, stated.has(item)) for one in declaring for item in one.declared.requires)


def _has_content(part: DocumentPart | None) -> bool:
    """Return whether a part states something of the record: that nothing is recorded is no content."""
    if part is None:
        return False
    facts = any(fact.source for group in part.groups for fact in group.facts)
    return facts or any(item.supported for item in part.narrative)


class _Stated:
    """What a draft states: facts, and sentences that the record supports."""

    def __init__(self, draft: Draft, context: EncounterContext) -> None:
        self._context = context
        supported = [item for item in draft.sentences if item.supported]
        facts = {fact.source for part in draft.parts for group in part.groups for fact in group.facts}
        sources = facts | {found.source for item in supported for found in item.evidence}
        # What these two support may be anything.
        self._sources = sources - {"", context.encounter, context.patient.source}
        self._by_note = [item.text for item in supported if item.by_note]
        text = draft.text
        for item in draft.sentences:
            text = text if item.supported else text.replace(item.text, "")
        self._text = _plain(text)

    def has(self, element: RequiredElement) -> bool:
        """Return whether the draft has an entry of the record that is such an element, or says it after a note."""
        if any(self._has_entry(fact.text, fact.source) for fact in facts_of_element(element, self._context)):
            return True
        words = None if element.within_hours is not None else element.words
        return words is not None and any(re.search(words, text, re.IGNORECASE) for text in self._by_note)

    def _has_entry(self, text: str, source: str) -> bool:
        without_day = text.rpartition(", ")[0] or text
        return source in self._sources or _plain(without_day) in self._text


def _plain(text: str) -> str:
    return " ".join(text.split()).casefold()

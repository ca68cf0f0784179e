"""Puts facts and narrative together into one draft and its plain text. Deterministic."""

from services.drafter import facts
from shared.contracts.context import EncounterContext
from shared.contracts.draft import TO_BE_WRITTEN, Draft, Knowledge, Narrative, Part, PartCode, Prompt, Sentence

# Which part a narrative belongs to.
HOME: dict[Narrative, PartCode] = {
    "hospital-course": "procedures-and-treatment",
    "patient-instructions": "patient-and-family-instructions",
}
TITLES: dict[Narrative, str] = {"hospital-course": "Hospital course", "patient-instructions": "In plain words"}
NOTICE = (
    "Narrative drafted by an AI model from the record; facts are rendered from the record. Reviewed by a physician."
)
# A text without a sentence of a model must not say that a model wrote it.
COMPOSED = "Narrative composed by rules from the record; facts are rendered from the record. Reviewed by a physician."


def compose(
    context: EncounterContext,
    rendered: tuple[Part, ...],
    sentences: tuple[Sentence, ...],
    *,
    by_hand: str | None,
    number: int,
    model: str,
    prompt: Prompt,
    context_digest: str,
    knowledge: Knowledge | None = None,
    composed: int = 0,
    replaced: int = 0,
) -> Draft:
    """The draft of a stay whose facts are `rendered`. `by_hand` says why there is no narrative."""
    parts = tuple(
        part.model_copy(update={"narrative": tuple(item for item in sentences if HOME[item.narrative] == part.code)})
        for part in rendered
    )
    return Draft(
        kind=context.kind,
        initials=_initials(context.patient.name),
        attending=context.attending_name or "",
        number=number,
        parts=parts,
        text=_text(context, parts, by_hand is not None),
        by_hand=by_hand,
        composed=composed,
        replaced=replaced,
        left_out=context.left_out,
        open_points=context.open_points,
        model=model,
        prompt=prompt,
        context_digest=context_digest,
        knowledge=knowledge,
    )


def _initials(name: str) -> str:
    """`Jane Q. Doe` → `J. Q. D.`; empty where there is no name."""
    return " ".join(f"{word[0].upper()}." for word in name.split() if word[0].isalpha())


def _text(context: EncounterContext, parts: tuple[Part, ...], by_hand: bool) -> str:
    title = "DEATH SUMMARY" if context.died else "DISCHARGE SUMMARY"
    lines = [title, "", *(fact.text for fact in facts.header(context))]
    for part in parts:
        lines += ["", part.title.upper()]
        for group in part.groups:
            lines += [f"{group.title}:", *(f"  - {fact.text}" for fact in group.facts)]
        lines += _narrative(context, part, by_hand)
    written = any(item.origin == "model" for part in parts for item in part.narrative)
    composed = any(part.narrative for part in parts) and not written
    return "\n".join([*lines, "", COMPOSED if composed else NOTICE, ""])


def _narrative(context: EncounterContext, part: Part, by_hand: bool) -> list[str]:
    wanted: list[Narrative] = [name for name, code in HOME.items() if code == part.code]
    lines: list[str] = []
    for name in wanted:
        if not context.instructs and name == "patient-instructions":
            continue
        sentences = [item.text for item in part.narrative if item.narrative == name]
        if by_hand:
            lines += [f"{TITLES[name]}:", f"  {TO_BE_WRITTEN}: {TITLES[name].lower()}]"]
        elif sentences:
            lines += [f"{TITLES[name]}:", f"  {' '.join(sentences)}"]
    return lines

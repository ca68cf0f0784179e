"""Puts facts and narrative together into one draft and its plain text. Deterministic."""

from services.drafter import facts
from services.drafter.notes.telling import Told
from shared.contracts.context import EncounterContext
from shared.contracts.draft import Draft, Knowledge, Narrative, OpenPoint, Part, PartCode, Prompt, Sentence

# Which part a narrative belongs to.
HOME: dict[Narrative, PartCode] = {
    "hospital-course": "procedures-and-treatment",
    "patient-instructions": "patient-and-family-instructions",
}
TITLES: dict[Narrative, str] = {"hospital-course": "Hospital course", "patient-instructions": "In plain words"}
NOTICE = (
    "Narrative composed from the record by rules, with sentences of an AI model; facts are rendered from the record. "
    "Reviewed by a physician."
)
QUOTED = " A sentence that begins with the name of a note says what that note says."
# A text without a sentence of a model must not say that a model wrote it.
COMPOSED = "Narrative composed by rules from the record; facts are rendered from the record. Reviewed by a physician."


def compose(
    context: EncounterContext,
    rendered: tuple[Part, ...],
    sentences: tuple[Sentence, ...],
    *,
    number: int,
    model: str,
    prompt: Prompt,
    context_digest: str,
    knowledge: Knowledge | None = None,
    composed: int = 0,
    replaced: int = 0,
    asked: OpenPoint | None = None,
    model_silent: str | None = None,
    told: Told | None = None,
) -> Draft:
    """The draft of a stay whose facts are `rendered`. `composed`, `replaced` and `model_silent`: see Draft.

    `asked` is an open point about the physician's words; `told` is what the notes of the stay give beside sentences.
    """
    told = told or Told()
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
        text=_text(context, parts),
        composed=composed,
        replaced=replaced,
        model_silent=model_silent,
        left_out=(*context.left_out, *told.left_out),
        open_points=(*((asked,) if asked else ()), *told.points, *context.open_points),
        model=model,
        prompt=prompt,
        context_digest=context_digest,
        knowledge=knowledge,
    )


def _initials(name: str) -> str:
    """`Jane Q. Doe` → `J. Q. D.`; empty where there is no name."""
    return " ".join(f"{word[0].upper()}." for word in name.split() if word[0].isalpha())


def _text(context: EncounterContext, parts: tuple[Part, ...]) -> str:
    title = "DEATH SUMMARY" if context.died else "DISCHARGE SUMMARY"
    lines = [title, "", *(fact.text for fact in facts.header(context))]
    for part in parts:
        lines += ["", part.title.upper()]
        for group in part.groups:
            lines += [f"{group.title}:", *(f"  - {fact.text}" for fact in group.facts)]
        lines += _narrative(part)
    written = any(item.origin == "model" for part in parts for item in part.narrative)
    quoted = any(item.origin == "note" for part in parts for item in part.narrative)
    return "\n".join([*lines, "", (NOTICE if written else COMPOSED) + (QUOTED if quoted else ""), ""])


def _narrative(part: Part) -> list[str]:
    """A sentence a line: what was changed in it is seen at once."""
    lines: list[str] = []
    for name in (name for name, code in HOME.items() if code == part.code):
        if sentences := [item.text for item in part.narrative if item.narrative == name]:
            lines += [f"{TITLES[name]}:", *(f"  {text}" for text in sentences)]
    return lines

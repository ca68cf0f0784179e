"""Compose facts and narrative into one draft and its plain text. Deterministic."""

from services.drafter import document_header, facts, kinds, layout
from services.drafter.kinds.kind import KindDefinition
from services.drafter.notes.quotation import QuotedNotes
from shared.contracts import authorship
from shared.contracts.context import EncounterContext
from shared.contracts.draft import HEADINGS, CitedKnowledge, DocumentPart, Draft, OpenPoint, Prompt, Routing, Sentence


def compose(
    context: EncounterContext,
    rendered: tuple[DocumentPart, ...],
    sentences: tuple[Sentence, ...],
    *,
    number: int,
    model: str,
    prompt: Prompt,
    context_digest: str,
    knowledge: CitedKnowledge | None = None,
    composed: int = 0,
    replaced: int = 0,
    asked: tuple[OpenPoint, ...] = (),
    model_silent: str | None = None,
    kind: KindDefinition | None = None,
    routing: Routing | None = None,
    notes: QuotedNotes | None = None,
) -> Draft:
    """Return the draft of a stay whose facts are `rendered`. For `composed`, `replaced` and `model_silent` see Draft.

    `asked` are open points about the draft itself; without a `kind` the default kind is used. `notes` is what the notes
    of the stay add beside sentences.
    """
    kind = kind or kinds.load_shipped_kinds().of(context.kind, died=context.died)
    notes = notes or QuotedNotes()
    parts = tuple(
        part.model_copy(
            update={"narrative": tuple(item for item in sentences if kind.part_of(item.narrative) == part.code)}
        )
        for part in rendered
    )
    return Draft(
        kind=kind.name,
        document=kind.type,
        routing=routing or Routing(why=context.why, also=context.also, declaration=kind.digest),
        initials=_initials(context.patient.name),
        attending=context.attending_name or "",
        number=number,
        parts=parts,
        text=_text(context, kind, parts),
        composed=composed,
        replaced=replaced,
        model_silent=model_silent,
        left_out=(*context.left_out, *notes.left_out, *layout.omitted_groups(facts.default_parts(context), kind)),
        open_points=(*asked, *notes.points, *context.open_points),
        model=model,
        prompt=prompt,
        context_digest=context_digest,
        knowledge=knowledge,
    )


def _initials(name: str) -> str:
    """Return the initials of a name: `Jane Q. Doe` → `J. Q. D.`; empty without a name."""
    return " ".join(f"{word[0].upper()}." for word in name.split() if word[0].isalpha())


def _text(context: EncounterContext, kind: KindDefinition, parts: tuple[DocumentPart, ...]) -> str:
    lines = [kind.type.title.upper(), "", *(fact.text for fact in document_header.header(context))]
    for part in parts:
        lines += ["", part.title.upper()]
        for group in part.groups:
            lines += [f"{group.title}:", *(f"  - {fact.text}" for fact in group.facts)]
        lines += _narrative(part)
    origins = {item.origin for part in parts for item in part.narrative}
    by: authorship.NarrativeAuthor = "model" if "model" in origins else "rules" if origins else "none"
    return "\n".join([*lines, "", authorship.authorship_line(by, quoted="note" in origins), ""])


def _narrative(part: DocumentPart) -> list[str]:
    """Return one sentence per line, so that a change is visible at once."""
    lines: list[str] = []
    for name in HEADINGS:
        if sentences := [item.text for item in part.narrative if item.narrative == name]:
            lines += [f"{HEADINGS[name]}:", *(f"  {text}" for text in sentences)]
    return lines

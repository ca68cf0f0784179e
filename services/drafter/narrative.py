"""Build the model's input, and parse its answer. Pure."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from services.drafter.document_header import age
from services.drafter.prompts import one_line
from shared.contracts.context import EncounterContext
from shared.contracts.draft import CitedKnowledge, Narrative
from shared.grounding.reconciliation import reconcile

MAX_ITEMS = 6  # items of one list; a small model loses track in long ones
MAX_PASSAGE_CHARACTERS = 240
MAX_ITEM_CHARACTERS = 200
MAX_NOTES_CHARACTERS = 600  # a small model repeats what it reads most of
MIN_ANSWER_CHARACTERS = 40  # of a hospital course
# Words of the prompts, and of a department's lines in them (wording.py).
_ECHO = re.compile(
    r"^(Facts|Patient|Reason):|\bdo not add numbers\b|\bthe department asks:|\bexample of its wording\b", re.IGNORECASE
)
SEX_NOUNS = {"female": "woman", "male": "man"}


@dataclass(frozen=True, slots=True)
class UnusableAnswer:
    """An answer that cannot be used. `reason` quotes nothing of it."""

    reason: str


Narratives = dict[Narrative, str]


def prompt_facts(context: EncounterContext, knowledge: CitedKnowledge | None = None, quoted: Sequence[str] = ()) -> str:
    """Return the facts for the model: few, short, without identity; and a guideline's first words on a problem.

    The guideline is given only where a patient is instructed. `quoted` are sentences of notes that the document quotes.
    The model gets as many whole ones as fit; the others are in the document all the same.
    """
    years = age(context)
    person = SEX_NOUNS.get(context.patient.sex or "", "patient")
    confirmed = [item for item in context.diagnoses if item.certainty == "confirmed"]
    principal = [item.text for item in confirmed if item.role == "principal"]
    others = [item.text for item in confirmed if item.role in ("comorbidity", "problem")]
    lines = [
        ("Patient", [f"{years}-year-old {person}" if years is not None else person]),
        ("Reason", [item.text for item in context.reasons] or principal),
        ("Other problems", others),
        ("Procedures", [item.text for item in context.procedures]),
        ("Given in hospital", [item.name for item in context.given_medicines or context.hospital_medicines]),
    ]
    if note_lines := _from_notes(quoted, context.patient.name):
        lines.append(("Notes say", note_lines))
    if context.died:
        lines.append(("Outcome", ["died"]))
    else:
        rows = reconcile(context)
        lines += [
            ("Started", [row.medicine.name for row in rows if row.change == "new"]),
            ("Stopped", [row.medicine.name for row in rows if row.change == "stopped"]),
            ("Discharged to", [context.disposition or "not recorded"]),
        ]
    if knowledge is not None and knowledge.passages and context.needs_instructions:
        first = knowledge.passages[0]
        on = f" on {first.about[0]}" if first.about else ""
        lines.append((f"General advice{on}, for the instructions only", [_shorten_passage(first.text)]))
    return "\n".join(f"{title}: {_listed(items)}" for title, items in lines)


def _from_notes(quoted: Sequence[str], name: str) -> list[str]:
    """Return whole sentences, none of them with a part of the patient's name."""
    names = {part for part in re.findall(r"[^\W\d_]+", name.casefold()) if len(part) > 1}
    found: list[str] = []
    for text in quoted:
        line = one_line(text, MAX_ITEM_CHARACTERS).rstrip(" .")
        short = len(" ".join(text.split())) <= MAX_ITEM_CHARACTERS
        if short and not names & set(re.findall(r"[^\W\d_]+", text.casefold())):
            if len(found) == MAX_ITEMS or sum(map(len, found)) + len(line) > MAX_NOTES_CHARACTERS:
                break
            found.append(line)
    return found


def _shorten_passage(text: str) -> str:
    """Return the first sentences of a passage: more of it makes a small model slow and forgetful."""
    words = " ".join(text.split())
    if len(words) <= MAX_PASSAGE_CHARACTERS:
        return words
    return words[:MAX_PASSAGE_CHARACTERS].rpartition(". ")[0] or words[:MAX_PASSAGE_CHARACTERS].rpartition(" ")[0]


def _listed(items: list[str]) -> str:
    different = list(dict.fromkeys(one_line(item, MAX_ITEM_CHARACTERS) for item in items))
    return ", ".join(different[:MAX_ITEMS]) if different else "none"


def parse_answer(text: str, *, died: bool) -> Narratives | UnusableAnswer:
    """Return the hospital course and what follows "Instructions:", or why the answer is unusable."""
    course, _, instructions = re.sub(r"<\|[^|>]*\|>", "", text).partition("Instructions:")
    course, instructions = (" ".join(part.split()) for part in (course, instructions))
    course = _whole_sentences(course)
    if len(course) < MIN_ANSWER_CHARACTERS:
        return UnusableAnswer("the model's answer is too short to be a hospital course")
    if _repeats_itself(course):
        return UnusableAnswer("the model repeats itself")
    if _ECHO.search(course):
        return UnusableAnswer("the model repeats its instructions")
    found: Narratives = {"hospital-course": course}
    if not died and (kept := _whole_sentences(instructions)) and not _repeats_itself(instructions):
        found["patient-instructions"] = kept
    return found


def _repeats_itself(text: str) -> bool:
    """Return whether any run of six words occurs more than twice."""
    words = text.lower().split()
    runs = [" ".join(words[index : index + 6]) for index in range(len(words) - 5)]
    return any(runs.count(run) > 2 for run in set(runs))


def _whole_sentences(text: str) -> str:
    """Return the text without the sentence that the token limit cut off."""
    end = max(text.rfind(mark) for mark in (". ", "! ", "? "))
    return text if text.endswith((".", "!", "?")) else text[: end + 1].strip()

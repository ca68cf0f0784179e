"""Instructions for the patient in plain words, from the same facts as the document. Pure."""

import re
from collections.abc import Iterable, Iterator

from services.drafter.course.words import clean, dated, sentence, unique
from shared.contracts.context import EncounterContext, Entry, Medicine
from shared.contracts.draft import Sentence

_PLAIN = (
    (r"\bp\.?o\.?(?= |,|$)", "by mouth"),
    (r"\binh\b", "inhaled"),
    (r"\b(sc|sq|subcut)\b", "under the skin"),
    (r"\biv\b", "into a vein"),
    (r"\bim\b", "into a muscle"),
    (r"\bprn\b", "as needed"),
    (r"\b(bid|b\.i\.d\.?)(?= |,|$)", "twice a day"),
    (r"\b(tid|t\.i\.d\.?)(?= |,|$)", "three times a day"),
    (r"\b(qid|q\.i\.d\.?)(?= |,|$)", "four times a day"),
    (r"\bonce daily\b", "once a day"),
    (r"\bq ?(\d+(?:-\d+)?) ?h(?:r|ours?)?\b", r"every \1 hours"),
    (r"\bqhs\b", "at bedtime"),
)


def instructions(context: EncounterContext) -> tuple[Sentence, ...]:
    """What to take, what not to take, where to go; nothing where there is no patient to instruct."""
    return tuple(_sentences(context)) if context.instructs else ()


def _sentences(context: EncounterContext) -> Iterator[Sentence]:
    for item in context.discharge_medicines:
        # Another status is told below or in the reconciliation: `take` would contradict it.
        if item.status == "active":
            yield _said(f"Take {_how(item)}", [(item.source, item.text)])
    verbs = {
        "on-hold": "Do not take {} for now",
        "stopped": "Do not take {} any more",
        "avoid": "Do not take {}",
    }
    for item in _different(context.other_medicines):
        if item.status in verbs:
            why = f" ({clean(item.reason)})" if item.reason else ""
            yield _said(verbs[item.status].format(clean(item.name)) + why, [(item.source, item.text)])
    groups: tuple[tuple[str, tuple[Entry, ...]], ...] = (
        ("Your appointments and follow-up", context.follow_up),
        ("Arranged for you after the stay", context.services),
        ("Diet and activity", context.diet),
        ("Results that are not back yet", context.pending),
    )
    for title, entries in groups:
        if found := unique(entries):
            evidence = [(item.source, item.text) for item in found]
            yield _said(f"{title}: {'; '.join(dated(item) for item in found)}", evidence)


def _said(text: str, evidence: Iterable[tuple[str, str]]) -> Sentence:
    return sentence("patient-instructions", text, evidence)


def _how(item: Medicine) -> str:
    """Name, directions and purpose as recorded; it says where the record has no directions."""
    directions = plain(clean(item.dose)) or "how much and how often is not recorded"
    reason = f", for {clean(item.reason)}" if item.reason else ""
    return f"{clean(item.name)}: {directions}{reason}"


def plain(directions: str) -> str:
    """`5 mg PO BID` → `5 mg by mouth twice a day`: abbreviations in words, figures as they are."""
    for pattern, words in _PLAIN:
        directions = re.sub(pattern, words, directions, flags=re.IGNORECASE)
    return directions


def _different(medicines: Iterable[Medicine]) -> list[Medicine]:
    found: dict[tuple[str, str], Medicine] = {}
    for item in medicines:
        found.setdefault((item.name.lower(), item.status), item)
    return list(found.values())

"""The composed narrative of every stay of the corpus keeps to its rules."""

import re

import pytest

from services.drafter.course import compose_course
from shared.contracts.context import EncounterContext
from shared.contracts.errors import PermanentError
from tests.stays import bundles, corpus
from tests.stays.drafts import extracted

pytestmark = [pytest.mark.xdist_group("stays"), pytest.mark.slow]  # one worker reads them all, and each once
NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
# Numbers that are counted or follow from dates: not in the record as such.
COUNTED = re.compile(r"\b\d+ further|\b\d+ days, |\b\d+-(?:year|month|day)-old", re.IGNORECASE)
CODES = re.compile(r"\((?:finding|disorder|situation|procedure|event)\)|https?://|\b(?:aadvice|other-hcf|alt-home)\b")
MARKS = {"suspected": "suspected", "ruled-out": "ruled out"}


def wrong(context: EncounterContext) -> list[str]:
    """What of a narrative breaks a rule; empty where all is well."""
    found = compose_course(context)
    course = "\n".join(item.text for item in found if item.narrative == "hospital-course").lower()
    bad = [f"no evidence: {item.text}" for item in found if not item.evidence or not item.supported]
    bad += [f"no end: {item.text}" for item in found if not item.text.endswith((".", "!", "?"))]
    bad += [f"a code: {item.text}" for item in found if CODES.search(item.text)]
    known = set(NUMBER.findall(re.sub(r"\\[nrt]", " ", context.model_dump_json())))
    for item in found:
        new = [number for number in NUMBER.findall(COUNTED.sub("", item.text)) if number not in known]
        bad += [f"number {number}: {item.text}" for number in new]
    bad += [
        f"{MARKS[item.certainty]} is not said: {item.text}"
        for item in context.diagnoses
        if item.certainty in MARKS and not _told_with(MARKS[item.certainty], item.text, course)
    ]
    bad += [f"missing: {name}" for name in _complete(context) if name.lower() not in course]
    instructed = [item.text for item in found if item.narrative == "patient-instructions"]
    return bad + ([] if context.needs_instructions else [f"instructs: {text}" for text in instructed])


def _told_with(mark: str, name: str, course: str) -> bool:
    return any(mark in line for line in course.splitlines() if " ".join(name.split()).lower() in line)


def _complete(context: EncounterContext) -> list[str]:
    """Names and values that a course must tell whatever it condenses."""
    told = [item.text for item in context.diagnoses]
    own = [item.text for item in context.procedures if item.source.startswith("Procedure/")]
    told += [text.partition(" (")[0].replace("_", " ") for text in own]
    told += [
        point.value
        for item in context.labs
        for point in (item.first, item.worst, item.last)
        if point is not None and (point.flag or "").startswith("critical")
    ]
    told += [item.text for item in context.directives]
    told += [] if context.died else [item.name.replace("_", " ") for item in context.discharge_medicines]
    return [name for text in told if (name := " ".join(text.split()).rstrip(" .;,"))]


async def test_every_narrative_keeps_to_the_rules() -> None:
    bad: list[str] = []
    count = 0
    for stay in (*corpus.all_stays(lambda _: None), *bundles.stays(lambda _: None)):
        try:
            context = await extracted(stay)
        except PermanentError:
            continue  # a stay that no draft is made of
        count += 1
        bad += [f"{stay.name}: {line}" for line in wrong(context)[:5]]
    assert count > 80
    if bad:
        pytest.fail("\n".join(bad))

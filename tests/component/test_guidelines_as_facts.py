"""Sentences of the demo's guidelines against the demo's records: none of them is a fact of the patient.

The model may copy a sentence, tell it as what somebody was told, or as what happened.
"""

import re
from collections.abc import Iterator

import pytest

from cli.stack.knowledge import DEMO
from services.drafter.extract import read_stay
from services.drafter.general_advice import label_general_advice, source_passage
from services.ingest.connectors import connect
from services.ingest.documents.chunking import chunk
from services.ingest.documents.reader import DocumentReader
from shared.contracts.draft import CitedKnowledge, CitedPassage, Claim, Sentence
from shared.grounding import EvidenceIndex, check, split_sentences
from shared.knowledge import knowledge_file
from tests.support.ehr import client, sandbox, stays

pytestmark = pytest.mark.slow


async def passages() -> list[CitedPassage]:
    """The demo's sources in pieces of some 160 words."""
    found, reader = [], DocumentReader()
    for source in knowledge_file.read_knowledge_file(DEMO / "knowledge.yaml").sources:
        async for item in connect(source, reader).scan({}):
            assert item.text is not None
            for piece in chunk(source.name, item.document, item.text, tokens=160, count=lambda text: len(text.split())):
                kept = {name: getattr(piece, name) for name in ("id", "source", "document", "title", "path", "text")}
                found.append(CitedPassage.model_validate(kept))
    await reader.close()
    return found


def wordings(passage: CitedPassage) -> Iterator[str]:
    lines = [re.sub(r"\s*\|\s*", " ", line).strip() for line in passage.text.splitlines()]
    for sentence in (item for line in lines for item in split_sentences(line) if len(item.split()) > 3):
        said = sentence.rstrip(". ")
        yield f"{said}."
        yield f"The patient was told that {said[:1].lower()}{said[1:]}."


@pytest.mark.parametrize("encounter", stays()[:4])
async def test_no_sentence_of_a_guideline_is_supported_by_a_record(encounter: str) -> None:
    context = await read_stay(client(sandbox()), encounter, occurred_at=None, attending=None)
    record = EvidenceIndex(context)
    seen = 0
    for passage in await passages():
        knowledge = CitedKnowledge(version=1, passages=(passage,))
        for text in wordings(passage):
            verdict = check(text, record)
            claims = tuple(
                Claim(kind=item.kind, text=item.text, label=item.label)
                for item in verdict.findings
                if item.label != "supported"
            )
            sentence = Sentence(narrative="patient-instructions", text=text, label=verdict.label, unsupported=claims)
            found = label_general_advice(sentence, verdict.findings, record, knowledge)
            assert not found.supported, text
            seen += source_passage(text, (passage,)) is not None and found.text.startswith("In general: ")
    assert seen > 100

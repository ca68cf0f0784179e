"""Measure a draft against the text that was signed for the same stay. Pure, but for the embedder."""

import re
from collections.abc import Sequence

import numpy as np
from rapidfuzz.distance import LCSseq, Levenshtein

from services.drafter.omissions import StatedFacts
from shared.contracts.authorship import AUTHOR_BY_LINE
from shared.contracts.context import EncounterContext
from shared.contracts.draft import HEADINGS, Draft, PartCode
from shared.contracts.evaluations import DraftFigures
from shared.grounding import split_sentences
from shared.inference.embeddings import Embedder, Vectors
from shared.runtime.generation_endpoints import Price

EMBEDDING_DEADLINE_S = 30.0
HEADER: PartCode = "document-header"  # the text above the first part, as edits name it


def measure(draft: Draft, signed: str | None, seconds: float) -> DraftFigures:
    """Return the figures of a draft, except its cost, the facts that it omits, and the similarity of sentences.

    Without a signed text, those that compare with it are None.
    """
    answer = draft.answer
    mine = _words(narrative_of(draft))
    instructions = [item.text for item in draft.sentences if item.narrative == "patient-instructions"]
    return DraftFigures(
        supported=answer.supported if answer else 0,
        contradicted=answer.contradicted if answer else 0,
        not_in_record=answer.not_in_record if answer else 0,
        silent=draft.model_silent is not None,
        model_silent=draft.model_silent,
        sentences=len(draft.sentences),
        kept=len(draft.sentences_in(signed)) if signed is not None else None,
        rouge_l=rouge_l(mine, _words(signed_narrative(signed))) if signed is not None else None,
        similarity=Levenshtein.normalized_similarity(draft.text, signed) if signed is not None else None,
        similarity_by_part=similarity_by_part(draft, signed) if signed is not None else {},
        open_points=len(draft.open_points),
        words=len(mine),
        seconds=round(seconds, 3),
        reading_grade=reading_grade(instructions),
        input_tokens=answer.input_tokens if answer else None,
        output_tokens=answer.output_tokens if answer else None,
    )


def with_omissions(
    figures: Sequence[DraftFigures], drafts: Sequence[Draft], signed: str, context: EncounterContext
) -> list[DraftFigures]:
    """Return the figures of some drafts of a stay with the facts that the signed narrative states, and they do not."""
    facts = StatedFacts(context, drafts)
    wanted = facts.of(signed_narrative(signed))
    omitted = [wanted - facts.of(narrative_of(draft)) for draft in drafts]
    return [
        item.model_copy(update={"facts_signed": len(wanted), "facts_omitted": len(missing)})
        for item, missing in zip(figures, omitted, strict=True)
    ]


def cost_of(figures: DraftFigures, price: Price | None) -> float | None:
    """Return what the model's answer costs; None where no price is declared, or the server stated no tokens."""
    if price is None or figures.input_tokens is None or figures.output_tokens is None:
        return None
    return price.of(figures.input_tokens, figures.output_tokens)


def narrative_of(draft: Draft) -> str:
    return " ".join(item.text for item in draft.sentences)


def rouge_l(one: list[str], other: list[str]) -> float:
    """Return ROUGE-L (F1) of two lists of words. https://aclanthology.org/W04-1013/"""
    if not one or not other:
        return float(one == other)
    common = LCSseq.similarity(one, other)
    return 2 * common / (len(one) + len(other))


def similarity_by_part(draft: Draft, signed: str) -> dict[PartCode, float]:
    """Return how similar each part of a draft is to the signed one, rounded; 0 for a part that only one of them has."""
    mine, theirs = _parts_of(draft, draft.text), _parts_of(draft, signed)
    return {
        code: round(Levenshtein.normalized_similarity(mine.get(code, ""), theirs.get(code, "")), 4)
        for code in dict.fromkeys([*mine, *theirs])
    }


def _parts_of(draft: Draft, text: str) -> dict[PartCode, str]:
    """Return the text of each part, found by its title line; without the line about the author of the narrative."""
    titles = {" ".join(part.title.split()).casefold(): part.code for part in draft.parts}
    found: dict[PartCode, list[str]] = {HEADER: []}
    at = HEADER
    for line in text.splitlines():
        plain = " ".join(line.split())
        if (code := titles.get(plain.casefold())) is not None:
            at = code
            found.setdefault(at, [])
        elif plain and plain not in AUTHOR_BY_LINE:
            found[at].append(plain)
    return {code: "\n".join(lines) for code, lines in found.items()}


def signed_narrative(text: str) -> str:
    """Return the sentences below the headings of the narrative, as a document has them."""
    titles = {f"{heading}:" for heading in HEADINGS.values()}
    found: list[str] = []
    inside = False
    for line in text.splitlines():
        if line.strip() in titles:
            inside = True
        elif inside and line.startswith("  "):
            found.append(line.strip())
        else:
            inside = False
    return " ".join(found)


def reading_grade(sentences: Sequence[str]) -> float | None:
    """Return the Automated Readability Index of a text, a US school grade; None where it has no words.

    It counts characters and needs no dictionary of syllables (Smith and Senter 1967, AMRL-TR-66-220).
    """
    words = re.findall(r"\w+(?:['.,/-]\w+)*", " ".join(sentences))
    if not words:
        return None
    characters = sum(sum(map(str.isalnum, word)) for word in words)
    grade = 4.71 * characters / len(words) + 0.5 * len(words) / len(sentences) - 21.43
    return round(max(grade, 0.0), 2)


async def sentence_similarities(
    embedder: Embedder, model: str, drafts: Sequence[str], signed: str, *, priority: int
) -> list[float]:
    """Return how similar each narrative is to the signed one, by the embeddings of their sentences.

    Raises the errors of the embedder.
    """
    texts = [split_sentences(item) for item in (*drafts, signed)]
    flat = [sentence for item in texts for sentence in item]
    if not flat:
        return [1.0 for _ in drafts]
    vectors = await embedder.embed(model, flat, priority=priority, deadline=EMBEDDING_DEADLINE_S)
    ends = np.cumsum([len(item) for item in texts])
    *mine, theirs = np.split(vectors, ends[:-1])
    return [sentence_f1(item, theirs) for item in mine]


def sentence_f1(mine: Vectors, theirs: Vectors) -> float:
    """Return the F1 of two lists of unit vectors, each matched with the most similar one of the other list.

    That is BERTScore (https://arxiv.org/abs/1904.09675) with sentences in place of tokens.
    """
    if not len(mine) or not len(theirs):
        return float(len(mine) == len(theirs))
    cosines = np.clip(mine @ theirs.T, 0.0, 1.0)
    precision, recall = float(cosines.max(axis=1).mean()), float(cosines.max(axis=0).mean())
    return round(2 * precision * recall / (precision + recall), 4) if precision + recall else 0.0


def _words(text: str) -> list[str]:
    return re.findall(r"\w+(?:[.,]\d+)*", text.lower())

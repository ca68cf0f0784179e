"""How similar the parts of a draft are to what was signed, and which are worst against the live configuration."""

from services.drafter.evaluation_metrics import measure, similarity_by_part
from services.evaluator.draft_metrics import evaluate
from services.evaluator.part_similarity import PartSimilarity
from shared.contracts.draft import REQUIRED_PARTS, Draft
from shared.contracts.evaluations import DraftFigures, ItemJudged
from tests.unit.test_elements_present import drafted
from tests.unit.test_reuse import DISCHARGED

INSTRUCTIONS, FINDINGS = "patient-and-family-instructions", "significant-findings"


def title_of(draft: Draft, code: str) -> str:
    return next(part.title for part in draft.parts if part.code == code).upper()


async def test_only_the_part_that_was_changed_is_less_similar() -> None:
    draft = await drafted(DISCHARGED)
    same = similarity_by_part(draft, draft.text)
    assert list(same) == ["document-header", *REQUIRED_PARTS]
    assert set(same.values()) == {1.0}
    title = title_of(draft, FINDINGS)
    added = draft.text.replace(f"{title}\n", f"{title.capitalize()}\nNo fever since the third day.\n")
    changed = similarity_by_part(draft, added)
    assert 0 < changed[FINDINGS] < 1
    assert {code for code, value in changed.items() if value < 1} == {FINDINGS}
    without = draft.text.partition(title_of(draft, INSTRUCTIONS))[0]
    assert similarity_by_part(draft, without)[INSTRUCTIONS] == 0.0
    assert measure(draft, None, 1.0).similarity_by_part == {}
    assert measure(draft, added, 1.0).similarity_by_part == changed


def figures(**parts: float) -> DraftFigures:
    named = {code.replace("_", "-"): value for code, value in parts.items()}
    return DraftFigures(supported=4, rouge_l=0.9, similarity=0.9, similarity_by_part=named)


def test_the_part_that_is_worst_against_live_comes_first() -> None:
    live = figures(document_header=1.0, findings=0.8, course=0.9, plan=0.9)
    candidates = [figures(document_header=1.0, findings=0.7, course=0.5, plan=0.95)] * 3
    candidates.append(figures(findings=0.7, course=0.9, another=0.1))
    items = [ItemJudged(number=number, candidate=item, live=live) for number, item in enumerate(candidates, 1)]
    items.append(ItemJudged(number=5, candidate=DraftFigures(), live=DraftFigures()))  # recorded by an earlier version
    found = evaluate(items).parts
    assert [(item.part, item.stays) for item in found] == [
        ("course", 4),
        ("findings", 4),
        ("document-header", 3),
        ("plan", 3),
    ]
    assert [round(item.difference, 3) for item in found] == [-0.3, -0.1, 0.0, 0.05]
    assert found[0] == PartSimilarity("course", 4, found[0].candidate, 0.9)
    assert evaluate([]).parts == ()

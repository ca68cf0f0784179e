"""Metrics as TREC computes them, golden files, and the verdict."""

from pathlib import Path

import pytest
import pytrec_eval
from hypothesis import given
from hypothesis import strategies as st

from services.evaluator import domain, golden, retrieval_metrics
from shared.contracts.errors import PermanentError
from shared.contracts.knowledge import RetrievalMetrics
from shared.knowledge.knowledge_file import Promotion

DOCUMENTS = [f"d{number}" for number in range(14)]


@given(
    st.permutations(DOCUMENTS).flatmap(lambda items: st.integers(0, 14).map(lambda size: items[:size])),
    st.dictionaries(st.sampled_from([*DOCUMENTS, "elsewhere"]), st.integers(1, 3), min_size=1, max_size=8),
)
def test_metrics_are_those_of_trec_eval(ranking: list[str], grades: dict[str, int]) -> None:
    run = {"q": {document: float(len(ranking) - rank) for rank, document in enumerate(ranking)}}
    first_ten = {"q": {document: score for document, score in run["q"].items() if document in ranking[:10]}}
    evaluator = pytrec_eval.RelevanceEvaluator({"q": grades}, {"recall_5", "recall_10", "ndcg_cut_10"})
    reference = evaluator.evaluate(run).get("q", {})
    rank = pytrec_eval.RelevanceEvaluator({"q": grades}, {"recip_rank"}).evaluate(first_ten).get("q", {})
    found = retrieval_metrics.measure("q", ranking, grades)
    assert found.reciprocal_rank == pytest.approx(rank.get("recip_rank", 0), abs=1e-4)
    assert found.recall_at_5 == pytest.approx(reference.get("recall_5", 0), abs=1e-4)
    assert found.recall_at_10 == pytest.approx(reference.get("recall_10", 0), abs=1e-4)
    assert found.ndcg_at_10 == pytest.approx(reference.get("ndcg_cut_10", 0), abs=1e-4)


def of(mrr: float) -> RetrievalMetrics:
    return RetrievalMetrics(queries=10, mrr_at_10=mrr, recall_at_5=0, recall_at_10=0, ndcg_at_10=0)


@pytest.mark.parametrize(
    ("candidate", "live", "promote"),
    [
        (of(0.75), None, True),
        (of(0.749), None, False),
        (of(0.80), of(0.82), True),
        (of(0.80), of(0.821), False),
        (of(0.99), of(0.10), True),
        (None, None, False),
    ],
)
def test_a_version_must_be_good_and_not_worse(
    candidate: RetrievalMetrics | None, live: RetrievalMetrics | None, promote: bool
) -> None:
    verdict = domain.decide_promotion(candidate, live, Promotion(mrr=0.75, margin=0.02))
    assert (verdict.promote, bool(verdict.reason)) == (promote, True)


def test_the_worst_queries_are_named_and_perfect_ones_are_not() -> None:
    results = [
        retrieval_metrics.measure(name, ranking, {"d1": 1})
        for name, ranking in (("a", ["d1"]), ("b", []), ("c", ["x", "d1"]))
    ]
    assert domain.worst(results) == ("b", "c")


def test_golden_files_take_ids_with_and_without_grades(tmp_path: Path) -> None:
    file = tmp_path / "golden.jsonl"
    lines = [
        '{"id": "1", "query": "a", "relevant": ["x"], "type": "other"}',
        "",
        '{"query": "b", "relevant": [{"doc_id": "y", "grade": 2}, {"doc_id": "z", "grade": 0}]}',
    ]
    file.write_text("\n".join(lines))
    first, second = golden.read_golden_queries(file)
    assert (first.id, first.grades, second.id, second.grades) == ("1", {"x": 1}, "line-3", {"y": 2})


def test_a_problem_may_be_one_that_the_base_says_nothing_about(tmp_path: Path) -> None:
    file = tmp_path / "golden.jsonl"
    file.write_text('{"problem": "Gout", "relevant": ["gout"]}\n{"problem": "Malaria", "relevant": []}\n')
    covered, not_covered = golden.read_golden_queries(file)
    assert (covered.text, covered.grades, not_covered.text, not_covered.grades) == ("Gout", {"gout": 1}, "Malaria", {})


@pytest.mark.parametrize(
    "line",
    [
        "nonsense",
        "[]",
        '{"query": "a"}',
        '{"problem": "a"}',
        '{"query": "", "relevant": ["x"]}',
        '{"query": "a", "relevant": []}',
        '{"query": "a", "problem": "b", "relevant": ["x"]}',
    ],
)
def test_a_broken_golden_line_is_named(tmp_path: Path, line: str) -> None:
    file = tmp_path / "golden.jsonl"
    file.write_text(f'{{"query": "a", "relevant": ["x"]}}\n{line}\n')
    with pytest.raises(PermanentError, match="line 2: not a golden query"):
        golden.read_golden_queries(file)


@pytest.mark.parametrize("name", ["a/b/gout.v2.md", "a/b/gout.v2", "gout.v2.md", "gout.v2", "lib/a/b/gout.v2.md"])
def test_a_golden_file_may_call_a_document_by_any_of_its_names(name: str) -> None:
    assert golden.match_document_id("a/b/gout.v2.md", "lib", {name: 1, "other": 1}) == name

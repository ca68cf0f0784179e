"""Which passages a draft cites: about a confirmed problem of this stay, near enough to it, each once."""

import pytest

from services.drafter import problem_names
from services.drafter.narrative import prompt_facts
from services.drafter.passages import (
    CITATIONS_PER_QUERY,
    INSTRUCTIONS_QUERY,
    MAX_PASSAGES,
    MAX_PROBLEMS,
    build_queries,
    retrieve_passages,
    select_passages,
)
from shared.contracts.context import ContextEntry, Diagnosis, EncounterContext, Patient
from shared.contracts.draft import CitedKnowledge
from shared.contracts.errors import TransientError
from shared.contracts.knowledge import DEFAULT_THRESHOLD, Chunk, RelevanceThreshold
from shared.inference.triton import INTERACTIVE_PRIORITY
from shared.knowledge.qdrant_server import QdrantServer
from shared.knowledge.retriever import NoSuchVersionError, Query, Retriever, VersionRef
from shared.knowledge.vector_store import EmbeddedChunk, SearchHit
from tests.support.embedder import DIMENSIONS, HashEmbedder
from tests.support.examples import T0
from tests.support.memory import MemoryBus

CALIBRATED = RelevanceThreshold(threshold=0.5, origin="golden", precision=0.95, recall=0.8, queries=60, reason="chosen")


def diagnosis(text: str, role: str = "comorbidity", certainty: str = "confirmed") -> Diagnosis:
    return Diagnosis.model_validate({"text": text, "source": f"Condition/{text}", "role": role, "certainty": certainty})


def stay(*diagnoses: Diagnosis, died: bool = False, reasons: tuple[ContextEntry, ...] = ()) -> EncounterContext:
    return EncounterContext(
        encounter="Encounter/e1",
        encounter_status="finished",
        kind="death-summary" if died else "discharge-summary",
        patient=Patient(source="Patient/p1", name="Ann Doe"),
        end=T0,
        reasons=reasons,
        diagnoses=diagnoses,
    )


def hit(name: str, similarity: float) -> SearchHit:
    chunk = Chunk(id=name, source="guidelines", document=f"{name}.md", title=name.title(), text=f"All of {name}.")
    return SearchHit(chunk, 1.0, 1, similarity)


def at(relevance: RelevanceThreshold = CALIBRATED) -> VersionRef:
    return VersionRef(4, "c", "embedder", "dense", relevance)


def test_only_confirmed_problems_of_this_stay_are_asked_about_the_principal_first() -> None:
    found = problem_names.problem_names(
        stay(
            diagnosis("Gout"),
            diagnosis("Heart failure, unspecified (moderate, NYHA III)", "principal"),
            diagnosis("Pulmonary embolism", certainty="suspected"),
            diagnosis("Myocardial infarction", certainty="ruled-out"),
            diagnosis("Appendicitis", "problem"),
            diagnosis("Chest pain of unknown origin", "admission"),
            diagnosis("State after: Lungenembolie"),
            diagnosis("History of breast cancer"),
            diagnosis("Smoker (inactive 2019)"),
            diagnosis("Lymphoma (in remission since 2020)"),
            diagnosis("code N17.9 (ICD-10-CM)"),
            diagnosis("Heart failure"),
        )
    )
    assert found == ["Heart failure", "Gout"]


def test_a_reason_counts_where_it_is_a_confirmed_diagnosis() -> None:
    reasons = tuple(ContextEntry(text=text, source=f"Condition/{text}") for text in ("Asthma", "Sepsis", "Gout"))
    found = problem_names.problem_names(
        stay(
            diagnosis("Eczema"),
            diagnosis("Asthma", "problem"),
            diagnosis("Sepsis", "problem", "suspected"),
            diagnosis("Gout", "admission"),
            reasons=(*reasons, ContextEntry(text="Wheezing", source="Encounter/e1")),
        )
    )
    assert found == ["Asthma", "Eczema"]


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Hypertension (HTN) (moderate, Stage 1)", "Hypertension"),
        ("Malignant neoplasm of colon, unspecified (mild)", "Malignant neoplasm of colon"),
        ("Essential (primary) hypertension", "Essential (primary) hypertension"),
        ("Neugeborenenikterus, nicht näher bezeichnet", "Neugeborenenikterus"),
        ("code N17.9 (ICD-10-CM)", ""),
        ("Unspecified", ""),
        ("Unspecified atrial fibrillation", "atrial fibrillation"),
        ("Type 2 diabetes mellitus without complications", "Type 2 diabetes mellitus"),
        ("Diabetes mellitus, Typ 2: Ohne Komplikationen", "Diabetes mellitus, Typ 2"),
        ("Unspecified dementia, unspecified severity, without behavioral disturbance, and anxiety (mild)", "dementia"),
        (
            "Unspecified fracture of the lower end of unspecified radius, initial encounter for closed fracture (mild)",
            "fracture of the lower end of radius",
        ),
    ],
)
def test_a_problem_is_asked_about_by_its_name(text: str, name: str) -> None:
    assert problem_names.knowledge_name(text) == name


def test_what_the_patient_is_told_is_asked_only_where_there_is_one_to_tell() -> None:
    told = build_queries(["Gout", "Asthma"], instructs=True)
    assert told == [Query(f"Gout: {INSTRUCTIONS_QUERY}", about="Gout"), Query("Gout"), Query("Asthma")]
    assert build_queries(["Gout"], instructs=False) == [Query("Gout")]
    assert build_queries([], instructs=True) == []


def test_what_is_not_near_enough_is_not_cited_and_its_problem_is_named() -> None:
    asked = build_queries(["Gout", "Asthma", "Measles"], instructs=True)
    answers = [
        [hit("home", 0.4), hit("gout", 0.7)],
        [hit("gout", 0.7), hit("diet", 0.5), hit("home", 0.4)],
        [hit("stroke", 0.49)],
        [],
    ]
    found = select_passages(at(), asked, answers)
    assert [(item.id, item.about, item.similarity) for item in found.passages] == [
        ("gout", ("Gout",), 0.7),
        ("diet", ("Gout",), 0.5),
    ]
    assert (found.version, found.threshold, found.calibrated) == (4, 0.5, True)
    assert found.uncovered == ("Asthma", "Measles")


def test_a_passage_about_two_problems_is_cited_once_with_both() -> None:
    answers = [[hit("lungs", 0.6)], [hit("lungs", 0.8), hit("air", 0.55)]]
    found = select_passages(at(), [Query("Asthma"), Query("COPD")], answers)
    assert [(item.id, item.about, item.similarity) for item in found.passages] == [
        ("lungs", ("Asthma", "COPD"), 0.8),
        ("air", ("COPD",), 0.55),
    ]
    assert found.uncovered == ()


def test_the_most_similar_are_cited_whatever_rank_fusion_gave_them() -> None:
    answers = [[hit("words", 0.1), hit("near", 0.6), hit("other", 0.3), hit("nearest", 0.9)]]
    assert [item.id for item in select_passages(at(), [Query("Gout")], answers).passages] == ["nearest", "near"]


def test_every_problem_that_has_a_passage_shows_one() -> None:
    names = [f"problem {number}" for number in range(MAX_PROBLEMS)]
    asked = build_queries(names, instructs=True)
    answers = [[hit(f"{item.text} {rank}", 0.9 - rank / 10) for rank in range(CITATIONS_PER_QUERY)] for item in asked]
    found = select_passages(at(), asked, answers)
    assert len(found.passages) == MAX_PASSAGES
    assert {name for item in found.passages for name in item.about} == set(names)


def test_without_a_chosen_threshold_the_default_counts_and_the_draft_says_so() -> None:
    answers = [[hit("gout", DEFAULT_THRESHOLD), hit("diet", DEFAULT_THRESHOLD - 0.01)]]
    found = select_passages(at(RelevanceThreshold()), [Query("Gout")], answers)
    assert ([item.id for item in found.passages], found.calibrated) == (["gout"], False)
    assert found.threshold == DEFAULT_THRESHOLD


class Standing(Retriever):
    """A retriever whose live version is given."""

    def __init__(self, embedder: HashEmbedder, base: QdrantServer, live: VersionRef | Exception) -> None:
        super().__init__(MemoryBus(), embedder, base)
        self._given = live

    async def resolve(self, version: int | None = None) -> VersionRef:
        if isinstance(self._given, Exception):
            raise self._given
        return self._given


async def base_of(*topics: str) -> QdrantServer:
    base = QdrantServer(":memory:")
    await base.ensure_collection("c", DIMENSIONS)
    chunks = [Chunk(id=topic, source="s", document=topic, title=topic, text="care at home") for topic in topics]
    vectors = await HashEmbedder().embed(
        "embedder", [item.text_to_embed for item in chunks], priority=INTERACTIVE_PRIORITY
    )
    await base.upsert(
        "c", [EmbeddedChunk(item, vector.tolist(), 1) for item, vector in zip(chunks, vectors, strict=True)]
    )
    return base


@pytest.mark.filterwarnings("ignore:Payload indexes have no effect")
@pytest.mark.parametrize("mode", ["dense", "sparse", "hybrid"])
async def test_a_problem_that_the_base_does_not_know_gets_nothing(mode: str) -> None:
    base = await base_of("gout", "asthma")
    live = VersionRef(4, "c", "embedder", mode, RelevanceThreshold(threshold=0.3, origin="golden"))  # type: ignore[arg-type]
    found = await retrieve_passages(
        Standing(HashEmbedder(), base, live), stay(diagnosis("gout", "principal"), diagnosis("leptospirosis"))
    )
    assert found is not None
    assert [(item.id, item.about) for item in found.passages] == [("gout", ("gout",))]
    assert found.uncovered == ("leptospirosis",)
    await base.close()


@pytest.mark.filterwarnings("ignore:Payload indexes have no effect")
async def test_a_stay_without_a_confirmed_problem_cites_nothing_and_says_by_which_version() -> None:
    base = await base_of("gout")
    found = await retrieve_passages(
        Standing(HashEmbedder(), base, at()), stay(diagnosis("gout", certainty="suspected"))
    )
    assert found == CitedKnowledge(version=4, passages=(), threshold=0.5, calibrated=True)
    await base.close()


@pytest.mark.parametrize("failure", [NoSuchVersionError("nothing is live"), TransientError("away")])
async def test_no_draft_waits_for_the_base(failure: Exception) -> None:
    assert (
        await retrieve_passages(Standing(HashEmbedder(), QdrantServer(":memory:"), failure), stay(diagnosis("gout")))
        is None
    )


def test_problems_beyond_the_most_are_named() -> None:
    names = [f"problem {number}" for number in range(MAX_PROBLEMS + 2)]
    found = select_passages(
        at(), build_queries(names[:MAX_PROBLEMS], instructs=False), [[]] * MAX_PROBLEMS, not_asked=names[MAX_PROBLEMS:]
    )
    assert found.not_asked == tuple(names[MAX_PROBLEMS:])


def test_a_draft_from_before_thresholds_is_read() -> None:
    old = '{"version": 3, "passages": [{"id": "c", "source": "s", "document": "d", "title": "t", "text": "x"}]}'
    found = CitedKnowledge.model_validate_json(old)
    assert (found.threshold, found.passages[0].about, found.passages[0].similarity) == (None, (), None)


def test_the_model_gets_a_guideline_as_general_advice_and_only_where_somebody_is_instructed() -> None:
    knowledge = select_passages(at(), [Query("Gout")], [[hit("gout", 0.9)]])
    assert "General advice on Gout, for the instructions only: All of gout." in prompt_facts(stay(), knowledge)
    assert "All of gout" not in prompt_facts(stay(died=True), knowledge)

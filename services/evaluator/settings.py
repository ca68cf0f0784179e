"""Settings of the evaluator."""

from pydantic import Field

from shared.runtime.page_settings import PageSettings
from shared.runtime.settings import KnowledgeSettings, QdrantSettings, TritonSettings


class EvaluatorSettings(PageSettings):
    triton: TritonSettings = Field(default_factory=TritonSettings)
    qdrant: QdrantSettings = Field(default_factory=QdrantSettings)
    knowledge: KnowledgeSettings = Field(default_factory=KnowledgeSettings)
    approval_url: str = Field(
        default="",
        description="URL of approval inside the installation, asked who a browser's session belongs to; empty: the "
        "pages of the knowledge base and of drafters open to nobody",
    )
    canary_evidence: float = Field(
        default=20.0,
        gt=1,
        description="evidence (an e-value) at which a canary of a drafter is rolled back: of canaries that are no "
        "worse than the live configuration, at most 1 in so many is rolled back",
    )
    drift_decisions: float = Field(
        default=10_000.0,
        ge=100,
        description="decisions about drafts of a live configuration between two alerts `drafter-drift` while nothing "
        "has changed, at least and on average",
    )

"""Settings of the drafter."""

from pathlib import Path
from typing import Literal

from pydantic import Field

from shared.runtime.generation_endpoints import EndpointSettings
from shared.runtime.settings import EhrSettings, QdrantSettings, ServiceSettings, TritonSettings


class DrafterSettings(ServiceSettings):
    ehr: EhrSettings = Field(default_factory=EhrSettings)
    triton: TritonSettings = Field(default_factory=TritonSettings)
    qdrant: QdrantSettings = Field(default_factory=QdrantSettings)
    generation: EndpointSettings = Field(default_factory=EndpointSettings)
    narrative_policy: Literal["strict", "marked"] = Field(
        default="strict",
        description="strict: keep only model sentences that the record supports, compose the rest by rules; "
        "marked: keep the model's text and mark unsupported sentences. A model whose configuration declares "
        "`narrative_policy: strict`, like the bundled one, is always used as strict",
    )
    document_kinds: Path | None = Field(
        default=None, description="folder with additional kinds of documents; read at start"
    )
    department_wording: Path | None = Field(
        default=None, description="folder with instructions, examples and lengths for each department; read at start"
    )
    drafter_work: Literal["drafts", "evaluations", "all"] = Field(
        default="all",
        description="what this process does: drafts: the steps of cases; evaluations: only stays that are drafted "
        "again to evaluate a candidate, without the EHR; all: both",
    )
    generation_deadline: float = Field(default=150.0, gt=0, description="maximum time for one generation, in seconds")

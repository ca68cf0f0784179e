"""Settings of the drafter."""

from pathlib import Path
from typing import Literal

from pydantic import Field

from shared.runtime.settings import EhrSettings, QdrantSettings, ServiceSettings, TritonSettings


class DrafterSettings(ServiceSettings):
    ehr: EhrSettings = Field(default_factory=EhrSettings)
    triton: TritonSettings = Field(default_factory=TritonSettings)
    qdrant: QdrantSettings = Field(default_factory=QdrantSettings)
    narrative_policy: Literal["strict", "marked"] = Field(
        default="strict",
        description="strict: a sentence of the model stands only where the record supports it, the rest is composed by "
        "rules; marked: the model's text, with what is unsupported marked; "
        "a model whose configuration says `narrative_policy: strict`, as the bundled one, is never used otherwise",
    )
    document_kinds: Path | None = Field(
        default=None, description="folder of kinds of documents, besides those that ship; read at the start"
    )
    department_wording: Path | None = Field(
        default=None, description="folder of departments' instructions, examples and lengths; read at the start"
    )
    generation_deadline: float = Field(default=150.0, gt=0, description="seconds one generation may take")

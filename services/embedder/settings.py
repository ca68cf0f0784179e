"""Settings of the embedder."""

from pydantic import Field

from shared.runtime.settings import KnowledgeSettings, QdrantSettings, ServiceSettings, TritonSettings


class EmbedderSettings(ServiceSettings):
    triton: TritonSettings = Field(default_factory=TritonSettings)
    qdrant: QdrantSettings = Field(default_factory=QdrantSettings)
    knowledge: KnowledgeSettings = Field(default_factory=KnowledgeSettings)

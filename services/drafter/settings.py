"""The environment of the drafter."""

from pydantic import Field

from shared.runtime.settings import EhrSettings, ServiceSettings, TritonSettings


class DrafterSettings(ServiceSettings):
    ehr: EhrSettings = Field(default_factory=EhrSettings)
    triton: TritonSettings = Field(default_factory=TritonSettings)
    generation_deadline: float = Field(default=150.0, gt=0, description="seconds one generation may take")

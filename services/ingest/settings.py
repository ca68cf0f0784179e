"""Settings of ingest."""

from pydantic import Field

from shared.contracts.ehr import Department
from shared.runtime.settings import EhrSettings, Hl7Settings, KnowledgeSettings, ServiceSettings


class IngestSettings(ServiceSettings):
    default_department: Department = Field(default="general", description="department of discharges that name none")
    ehr: EhrSettings = Field(default_factory=EhrSettings)
    hl7: Hl7Settings = Field(default_factory=Hl7Settings)
    knowledge: KnowledgeSettings = Field(default_factory=KnowledgeSettings)

"""Settings of ingest."""

from pydantic import Field

from shared.contracts.ehr import Department
from shared.runtime.settings import KnowledgeSettings, ServiceSettings


class IngestSettings(ServiceSettings):
    default_department: Department = Field(default="general", description="department of discharges that name none")
    knowledge: KnowledgeSettings = Field(default_factory=KnowledgeSettings)

"""Settings of ingest."""

from pathlib import Path

from pydantic import Field

from shared.contracts.ehr import Department
from shared.runtime.settings import EhrSettings, Hl7Settings, KnowledgeSettings, ServiceSettings


class IngestSettings(ServiceSettings):
    default_department: Department = Field(default="general", description="department of discharges that name none")
    ehr_client_jwks_file: Path | None = Field(
        default=None,
        description="JWK Set with the public keys of our client at the EHR, published at /.well-known/jwks.json",
    )
    ehr: EhrSettings = Field(default_factory=EhrSettings)
    hl7: Hl7Settings = Field(default_factory=Hl7Settings)
    knowledge: KnowledgeSettings = Field(default_factory=KnowledgeSettings)

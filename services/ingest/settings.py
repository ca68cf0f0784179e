"""Settings of ingest."""

from datetime import timedelta
from pathlib import Path

from pydantic import Field

from shared.contracts.ehr import Department
from shared.runtime.settings import EhrSettings, Hl7Settings, KnowledgeSettings, ServiceSettings


class IngestSettings(ServiceSettings):
    default_department: Department = Field(default="general", description="department of discharges that name none")
    preparation_ends_after: timedelta = Field(
        default=timedelta(days=7),
        ge=timedelta(minutes=1),
        description="how long after the expected discharge, or after the request where none is known, a preparation "
        "ends if no discharge is reported",
    )
    ehr_client_jwks_file: Path | None = Field(
        default=None,
        description="JWK Set with the public keys of our client at the EHR, published at /.well-known/jwks.json",
    )
    ehr: EhrSettings = Field(default_factory=EhrSettings)
    hl7: Hl7Settings = Field(default_factory=Hl7Settings)
    knowledge: KnowledgeSettings = Field(default_factory=KnowledgeSettings)

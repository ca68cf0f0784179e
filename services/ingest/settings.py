"""Settings of ingest."""

from datetime import time, timedelta
from pathlib import Path
from typing import Annotated

from pydantic import AwareDatetime, Field, StringConstraints
from pydantic_settings import BaseSettings, SettingsConfigDict

from shared.contracts.ehr import Department
from shared.runtime.settings import EhrSettings, Hl7Settings, KnowledgeSettings, ServiceSettings

# A token of FHIR: `code` or `system|code`. A comma or a dollar sign would change the search.
AppointmentType = Annotated[str, StringConstraints(pattern=r"^([^|,$\\\s]+\|)?[^|,$\\\s]+$")]


class FhirIntakeSettings(BaseSettings):
    """Settings of what ingest learns of discharges by FHIR: notifications, and the poll."""

    model_config = SettingsConfigDict(env_prefix="COUNTERSIGN_FHIR_", extra="ignore", frozen=True)

    subscriptions: Path | None = Field(
        default=None, description="file that declares Subscriptions, their secrets and departments; read at start"
    )
    poll_seconds: int = Field(
        default=300, ge=0, description="seconds between polls of the EHR for discharges that nobody reported; 0: never"
    )
    since: AwareDatetime | None = Field(
        default=None,
        description="earlier discharges open no case by notifications and polls: when the hospital starts; default: "
        "seven days before a change of the Encounter is read",
    )


class CensusSettings(BaseSettings):
    """Settings of the nightly census, which asks for prepared drafts."""

    model_config = SettingsConfigDict(env_prefix="COUNTERSIGN_CENSUS_", extra="ignore", frozen=True)

    departments: dict[Department, str] = Field(
        default={},
        description="department → search parameters of its Encounters, such as "
        "status=in-progress&location=Location/ward-3; empty: no census",
    )
    at: time = Field(default=time(1, 0), description="when the census runs, in the department's time zone")
    tokens: int = Field(
        default=100_000, ge=0, description="tokens that the model may use for the census of a department in one night"
    )
    tokens_per_stay: int = Field(
        default=3_000,
        ge=0,
        description="tokens allotted to one stay; stays beyond the budget are drafted without the model",
    )
    planned_within: timedelta | None = Field(
        default=None,
        description="only stays whose Encounter plans an end (period.end) within this time; not set: all stays",
    )


class AppointmentSettings(BaseSettings):
    """Settings of Appointments that plan a discharge."""

    model_config = SettingsConfigDict(env_prefix="COUNTERSIGN_APPOINTMENT_", extra="ignore", frozen=True)

    types: frozenset[AppointmentType] = Field(
        default=frozenset(),
        description="codes of serviceType or appointmentType that mean a planned discharge, each `code` or "
        "`system|code`; empty: Appointments are ignored",
    )
    within: timedelta = Field(
        default=timedelta(days=2),
        gt=timedelta(0),
        description="how long before its planned discharge a stay is prepared, where the EHR can be searched for "
        "Appointments; else when its Appointment is notified",
    )


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
    appointments: AppointmentSettings = Field(default_factory=AppointmentSettings)
    census: CensusSettings = Field(default_factory=CensusSettings)
    ehr: EhrSettings = Field(default_factory=EhrSettings)
    fhir: FhirIntakeSettings = Field(default_factory=FhirIntakeSettings)
    hl7: Hl7Settings = Field(default_factory=Hl7Settings)
    knowledge: KnowledgeSettings = Field(default_factory=KnowledgeSettings)

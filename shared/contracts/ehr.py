"""Messages of the EHR stream. An integration engine may publish them directly."""

from typing import Annotated, TypeVar

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from shared.contracts.errors import PermanentError
from shared.contracts.preparation import PreparationTrigger
from shared.contracts.subjects import (
    DEPARTMENT,
    FHIR_ID,
    FHIR_ID_PART,
    ChangedResource,
    parse_encounter_subject,
    parse_reimport_subject,
    parse_updated_subject,
)

FhirId = Annotated[str, StringConstraints(pattern=FHIR_ID)]
Department = Annotated[str, StringConstraints(pattern=DEPARTMENT)]
PractitionerReference = Annotated[str, StringConstraints(pattern=rf"^(Practitioner|PractitionerRole)/{FHIR_ID_PART}$")]

ChangedT = TypeVar("ChangedT", bound=BaseModel)


class EncounterReported(BaseModel):
    """The EHR reported a change of an encounter. Unknown fields are ignored: engines send more than is used."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    encounter_id: FhirId
    department: Department | None = Field(default=None, description="token of the subject when absent")
    attending: PractitionerReference | None = Field(default=None, description="read from the Encounter when absent")
    occurred_at: AwareDatetime | None = Field(default=None, description="RFC 3339 with an offset")
    died: bool | None = Field(default=None, description="true: the patient died; absent: the record says whether")
    expected_at: AwareDatetime | None = Field(
        default=None, description="of a pending discharge: when it is expected, RFC 3339 with an offset"
    )
    trigger: PreparationTrigger | None = Field(
        default=None, description="of a pending discharge: what made it known; pending-discharge when absent"
    )
    tokens: int | None = Field(
        default=None, ge=0, description="of a pending discharge: tokens that the model may use for it; absent: no limit"
    )
    appointment: FhirId | None = Field(
        default=None,
        description="of a pending discharge: the Appointment that plans it; its cancellation ends no preparation that "
        "another report requested",
    )
    recorded_at: AwareDatetime | None = Field(
        default=None, description="when the hospital recorded it: EVN-2, or meta.lastUpdated of the Encounter"
    )
    finished: bool | None = Field(
        default=None, description="whether the Encounter said so itself when it was reported; absent: not read"
    )


def parse_encounter_reported(subject: str, data: bytes) -> EncounterReported:
    """Parse an EHR message; its department is that of the subject.

    Raises PermanentError naming the invalid fields, never their values.
    """
    _, department, encounter_id = parse_encounter_subject(subject)
    try:
        fact = EncounterReported.model_validate_json(data)
    except ValidationError as error:
        raise contract_error(error) from None
    if fact.encounter_id != encounter_id:
        raise PermanentError("the payload's encounter_id is not the subject's")
    if fact.department not in (None, department):
        raise PermanentError("the payload's department is not the subject's")
    return fact.model_copy(update={"department": department})


class EncounterChanged(BaseModel):
    """An Encounter in the EHR has changed. What that means is decided by its content, which is read from the EHR."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    encounter_id: FhirId
    version: str | None = Field(default=None, max_length=64, description="meta.versionId, where the EHR tells it")
    deleted: bool = Field(default=False, description="the EHR said that it was deleted")


def parse_encounter_changed(subject: str, data: bytes) -> EncounterChanged:
    """Parse an `ehr.encounter.updated` message.

    Raises PermanentError naming the invalid fields, never their values.
    """
    return _parse_changed(EncounterChanged, "encounter", subject, data)


class AppointmentChanged(BaseModel):
    """An Appointment in the EHR has changed. Whether it plans a discharge is decided by its content, which is read."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    appointment_id: FhirId
    version: str | None = Field(default=None, max_length=64, description="meta.versionId, where the EHR tells it")
    deleted: bool = Field(default=False, description="the EHR said that it was deleted")


def parse_appointment_changed(subject: str, data: bytes) -> AppointmentChanged:
    """Parse an `ehr.appointment.updated` message.

    Raises PermanentError naming the invalid fields, never their values.
    """
    return _parse_changed(AppointmentChanged, "appointment", subject, data)


class TaskChanged(BaseModel):
    """A Task in the EHR has changed. Its current content is read from the EHR."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    task_id: FhirId
    version: str | None = Field(default=None, max_length=64, description="meta.versionId, where the EHR tells it")


def parse_task_changed(subject: str, data: bytes) -> TaskChanged:
    """Parse an `ehr.task.updated` message.

    Raises PermanentError naming the invalid fields, never their values.
    """
    return _parse_changed(TaskChanged, "task", subject, data)


class ReimportRequested(BaseModel):
    """A person asked to reimport what was signed after the backup that the stream was restored from.

    Its content is read from the EHR; `department` is that of a case which the stream does not know.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    by: str = Field(min_length=1, max_length=200)
    reason: str = Field(min_length=1, max_length=4000)
    department: Department | None = None


def parse_reimport_requested(subject: str, data: bytes) -> tuple[str, ReimportRequested]:
    """Return the case, and the request.

    Raises PermanentError naming the invalid fields.
    """
    case = parse_reimport_subject(subject)
    try:
        return case, ReimportRequested.model_validate_json(data)
    except ValidationError as error:
        raise contract_error(error) from None


def _parse_changed(model: type[ChangedT], resource: ChangedResource, subject: str, data: bytes) -> ChangedT:
    try:
        fact = model.model_validate_json(data)
    except ValidationError as error:
        raise contract_error(error) from None
    if getattr(fact, f"{resource}_id") != parse_updated_subject(resource, subject):
        raise PermanentError(f"the payload's {resource}_id is not the subject's")
    return fact


def contract_error(error: ValidationError) -> PermanentError:
    """Return the error of a payload that breaks its contract; it names fields, never values."""
    fields = sorted({".".join(str(part) for part in item["loc"]) or "body" for item in error.errors()})
    return PermanentError(f"the payload breaks the contract at: {', '.join(fields)}")

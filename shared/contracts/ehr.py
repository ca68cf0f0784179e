"""Facts from outside, as they stand on the EHR stream. An integration engine may publish them directly."""

from typing import Annotated

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from shared.contracts.failures import PermanentError
from shared.contracts.subjects import (
    DEPARTMENT,
    FHIR_ID,
    FHIR_ID_PART,
    parse_encounter_subject,
    parse_reimport_subject,
    parse_task_subject,
)

FhirId = Annotated[str, StringConstraints(pattern=FHIR_ID)]
Department = Annotated[str, StringConstraints(pattern=DEPARTMENT)]
PractitionerReference = Annotated[str, StringConstraints(pattern=rf"^(Practitioner|PractitionerRole)/{FHIR_ID_PART}$")]


class EncounterFact(BaseModel):
    """What an EHR says happened to an encounter. Unknown fields are ignored: engines send more than we ask for."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    encounter_id: FhirId
    department: Department | None = Field(default=None, description="token of the subject when absent")
    attending: PractitionerReference | None = Field(default=None, description="read from the Encounter when absent")
    occurred_at: AwareDatetime | None = Field(default=None, description="RFC 3339 with an offset")


def read_fact(subject: str, data: bytes) -> EncounterFact:
    """The fact of one EHR message; its department is that of the subject.

    Raises PermanentError naming the fields that break the contract, never their values.
    """
    _, department, encounter_id = parse_encounter_subject(subject)
    try:
        fact = EncounterFact.model_validate_json(data)
    except ValidationError as error:
        raise _broken(error) from None
    if fact.encounter_id != encounter_id:
        raise PermanentError("the payload's encounter_id is not the subject's")
    if fact.department not in (None, department):
        raise PermanentError("the payload's department is not the subject's")
    return fact.model_copy(update={"department": department})


class TaskFact(BaseModel):
    """A Task in the EHR has changed. What it says now is read from the EHR, by whoever wants to know."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    task_id: FhirId
    version: str | None = Field(default=None, max_length=64, description="meta.versionId, where the EHR tells it")


def read_task_fact(subject: str, data: bytes) -> TaskFact:
    """The fact of one `ehr.task.updated` message.

    Raises PermanentError naming the fields that break the contract, never their values.
    """
    try:
        fact = TaskFact.model_validate_json(data)
    except ValidationError as error:
        raise _broken(error) from None
    if fact.task_id != parse_task_subject(subject):
        raise PermanentError("the payload's task_id is not the subject's")
    return fact


class Wanted(BaseModel):
    """A person wants taken over from the chart what of a case was signed after the backup that the trail came back
    from. What that is, is read from the EHR; `department` is where a case belongs that the trail does not know.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    by: str = Field(min_length=1, max_length=200)
    reason: str = Field(min_length=1, max_length=4000)
    department: Department | None = None


def read_wanted(subject: str, data: bytes) -> tuple[str, Wanted]:
    """The case, and who wants it. Raises PermanentError naming the fields that break the contract."""
    case = parse_reimport_subject(subject)
    try:
        return case, Wanted.model_validate_json(data)
    except ValidationError as error:
        raise _broken(error) from None


def _broken(error: ValidationError) -> PermanentError:
    fields = sorted({".".join(str(part) for part in item["loc"]) or "body" for item in error.errors()})
    return PermanentError(f"the payload breaks the contract at: {', '.join(fields)}")

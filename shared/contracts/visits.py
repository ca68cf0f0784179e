"""Facts about visits, as an ADT feed tells them: `ehr.visit.<event>.<digest>` on the EHR stream.

A visit is named by the number that the feed uses; which Encounter that is, is found out afterwards. Patients are named
by digests only.
"""

from typing import Annotated

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from shared.contracts.ehr import Department, contract_error
from shared.contracts.envelope import sha256_hex
from shared.contracts.errors import PermanentError
from shared.contracts.subjects import parse_visit_subject

DISCHARGED = "a03"
PENDING = "a16"
PENDING_CANCELLED = "a25"
ADMISSION_ENDED = ("a11", "a23")  # what was prepared for the visit ends, too
CANCELLED = ("a11", "a13", "a23")  # admission cancelled, discharge cancelled, visit deleted
# Patients or visits were merged, moved or renumbered.
MERGED = ("a18", "a34", "a35", "a36", "a39", "a40", "a41", "a42", "a45", "a50")

Trigger = Annotated[str, StringConstraints(pattern=r"^a[0-9]{2}$")]
SenderName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,39}$")]
Digest = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Text = Annotated[str, StringConstraints(min_length=1, max_length=200)]


class IdentifierValue(BaseModel):
    """A business identifier; without a system its value alone identifies."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    system: str | None = None
    value: Text


class VisitReported(BaseModel):
    """An ADT message said what happened to a visit."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    event: Trigger
    sender: SenderName
    key: Digest = Field(description="of what makes two messages the same fact: visit, event, EVN-2, PV1-45")
    recorded_at: AwareDatetime = Field(description="EVN-2, by which facts of a visit are ordered; else MSH-7")
    occurred_at: AwareDatetime | None = Field(default=None, description="instant of the discharge, where it is said")
    expected_at: AwareDatetime | None = Field(default=None, description="PV2-9: when the discharge is expected")
    visit: IdentifierValue | None = Field(default=None, description="absent where patients were merged")
    patients: tuple[Digest, ...] = Field(default=(), description="SHA-256 of `system|MRN` of the patient")
    priors: tuple[Digest, ...] = Field(default=(), description="the same of the identifiers that were merged away")
    department: Department | None = None
    attending: IdentifierValue | None = None
    died: bool | None = Field(default=None, description="PV1-36 and PID-30; absent: they say nothing")
    inpatient: bool | None = Field(default=None, description="absent: the Encounter's class says it")


def patient_digest(system: str | None, mrn: str) -> str:
    """Return what stands for an MRN outside the EHR."""
    return sha256_hex(f"{system or ''}|{mrn}".encode())


def visit_token(of: str) -> str:
    """Return the subject token of a visit number, or of the patient digest of a merge."""
    return sha256_hex(of.encode())[:32]


def parse_visit_reported(subject: str, data: bytes) -> VisitReported:
    """Parse an `ehr.visit` message.

    Raises PermanentError naming the invalid fields, never their values.
    """
    try:
        fact = VisitReported.model_validate_json(data)
    except ValidationError as error:
        raise contract_error(error) from None
    if parse_visit_subject(subject)[0] != fact.event:
        raise PermanentError("the payload's event is not the subject's")
    return fact

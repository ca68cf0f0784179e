"""Plan the reimport of a case by the write-back profile of its documents."""

from collections.abc import Sequence

from services.approval.filing.write_back import profile_of
from services.approval.reimport.basic import plan_basic
from services.approval.reimport.plan import ReimportPlan, plan
from shared.clinical.fhir_client import FhirClient
from shared.contracts.case import fold
from shared.contracts.envelope import RecordedEvent
from shared.contracts.events import WriteBackProfile
from shared.contracts.subjects import CaseRef

UNREADABLE = ("mdm", "none")  # profiles whose documents cannot be read back from the chart


async def plan_by_profile(
    profile: WriteBackProfile,
    ref: CaseRef,
    history: Sequence[RecordedEvent],
    ehr: FhirClient,
    organization: str | None,
) -> ReimportPlan:
    """Plan the reimport of the case `ref`: see `plan`. `profile` is that of new documents.

    Raises TransientError, PermanentError where the EHR cannot be asked.
    """
    profile = profile_of_case(profile, history)
    if profile in UNREADABLE:
        return ReimportPlan(stopped=[f"documents of the profile {profile} cannot be read back from the chart"])
    if profile == "fhir-basic":
        return await plan_basic(ref, history, ehr)
    return await plan(ref, history, ehr, organization)


def can_be_read(profile: WriteBackProfile, history: Sequence[RecordedEvent]) -> bool:
    """Return whether the chart can be asked for documents of the case. `profile` is that of new documents. Pure.

    An EHR of `fhir-basic` finds documents by their stay alone, which the events name.
    """
    profile = profile_of_case(profile, history)
    return profile not in UNREADABLE and (bool(history) or profile != "fhir-basic")


def profile_of_case(profile: WriteBackProfile, history: Sequence[RecordedEvent]) -> WriteBackProfile:
    """Return the profile by which the documents of a case were filed; `profile` where none was. Pure."""
    filed = fold(history).document
    return profile_of(filed) if filed is not None else profile

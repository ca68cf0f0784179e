"""Choose the write-back profile of an EHR by its CapabilityStatement. Pure."""

from typing import Literal, NamedTuple

from shared.clinical.capabilities import Capabilities
from shared.contracts.errors import TransientError
from shared.contracts.events import WriteBackProfile

Setting = Literal["auto", "fhir", "fhir-basic", "mdm", "none"]
DOCUMENT = "DocumentReference"


class ProfileChoice(NamedTuple):
    """A profile, and why, in words for `countersign doctor`."""

    profile: WriteBackProfile
    why: str


def choose(setting: Setting, server: Capabilities, *, mdm: bool) -> ProfileChoice:
    """Return the profile. `mdm`: a receiver of MDM messages is configured.

    Raises TransientError where it depends on a CapabilityStatement that the EHR does not return.
    """
    if setting != "auto":
        return ProfileChoice(setting, "it is set")
    if not server.search:
        raise TransientError("the EHR returns no CapabilityStatement to choose COUNTERSIGN_WRITE_BACK by: set it")
    if DOCUMENT in server.creates and server.supports_parameter(DOCUMENT, "identifier"):
        return ProfileChoice("fhir", "the EHR creates a DocumentReference and finds it by its identifier")
    if DOCUMENT in server.creates:
        return ProfileChoice("fhir-basic", "the EHR creates a DocumentReference and does not find it by an identifier")
    if mdm:
        return ProfileChoice("mdm", "the EHR creates no DocumentReference, and an MDM receiver is configured")
    return ProfileChoice("none", "the EHR creates no DocumentReference, and no MDM receiver is configured")


def unsuitable(profile: WriteBackProfile, server: Capabilities) -> str | None:
    """Return why the EHR, as it states, cannot take documents by a profile; None where it can, or states nothing."""
    if not server.search or profile not in ("fhir", "fhir-basic"):
        return None
    if DOCUMENT not in server.creates:
        return "the EHR does not state that it creates a DocumentReference"
    if profile == "fhir" and not server.supports_parameter(DOCUMENT, "identifier"):
        return "the EHR does not state that it finds a DocumentReference by its identifier"
    return None

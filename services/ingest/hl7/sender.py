"""What is agreed with each system that sends HL7v2: who it is, and how its site uses fields. Pure.

senders:
  - name: interface-engine
    peers: [10.1.2.0/24]
    zone: America/Chicago
    visit_system: urn:hospital:visit
    mrn_system: urn:hospital:mrn
    mrn_authority: HOSP
    departments: {MED: internal-medicine}
"""

import codecs
import ipaddress
from typing import Annotated, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, model_validator

from shared.contracts.ehr import Department
from shared.contracts.visits import SenderName

VisitField = Literal["PV1-19", "PID-18", "PV1-50"]
ProcessingId = Literal["P", "T", "D"]


def _zone(value: object) -> object:
    try:
        return ZoneInfo(value) if isinstance(value, str) else value
    except (KeyError, ValueError, OSError):  # OSError: a folder of zones, such as "Europe"
        raise ValueError("is not a time zone such as America/Chicago") from None


def _network(value: str) -> str:
    try:
        return str(ipaddress.ip_network(value))
    except ValueError:
        raise ValueError("is neither an address nor a network such as 10.1.2.0/24") from None


def _charset(value: str) -> str:
    try:
        return codecs.lookup(value).name
    except LookupError:
        raise ValueError("is not a charset such as windows-1252") from None


Zone = Annotated[ZoneInfo, BeforeValidator(_zone)]
Network = Annotated[str, AfterValidator(_network)]
Charset = Annotated[str, AfterValidator(_charset)]
Code = Annotated[str, StringConstraints(min_length=1, max_length=80)]


class Sender(BaseModel):
    """One sender. `name` is what metrics, alerts and facts call it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: SenderName
    peers: tuple[Network, ...] = Field(default=(), description="addresses it connects from; none: any")
    applications: tuple[str, ...] = Field(default=(), description="accepted MSH-3; none: any")
    facilities: tuple[str, ...] = Field(default=(), description="accepted MSH-4; none: any")
    processing_ids: tuple[ProcessingId, ...] = Field(default=("P",), description="accepted MSH-11")
    zone: Zone = Field(description="time zone of timestamps without an offset")
    fallback_charset: Charset = Field(default="windows-1252", description="of text that is neither MSH-18's nor UTF-8")
    visit_fields: tuple[VisitField, ...] = Field(
        default=("PV1-19", "PID-18", "PV1-50"), min_length=1, description="the first that has a value names the visit"
    )
    visit_system: str | None = Field(default=None, description="system of the visit number in Encounter.identifier")
    visit_systems: dict[VisitField, str] = Field(default={}, description="the same where a field has its own system")
    mrn_system: str | None = Field(default=None, description="system of the MRN in Patient.identifier")
    mrn_types: tuple[Code, ...] = Field(default=("MR",), min_length=1, description="PID-3.5 of an MRN")
    mrn_authority: str | None = Field(default=None, description="assigning authority of the MRN; none: any")
    practitioner_system: str | None = Field(
        default=None, description="system of PV1-7 in Practitioner.identifier; none: the Encounter's attending"
    )
    practitioner_authority: str | None = Field(default=None, description="assigning authority of PV1-7; none: any")
    classes: tuple[Code, ...] = Field(default=("I", "B"), description="PV1-2 of stays that get a summary")
    other_classes: tuple[Code, ...] = Field(
        default=("C", "E", "N", "O", "P", "R", "U"),
        description="PV1-2 of stays that get none; of any other value the Encounter's class decides",
    )
    departments: dict[Code, Department] = Field(default={}, description="PV1-10 or PV1-3.1 → department")
    died: tuple[Code, ...] = Field(default=("20", "40", "41", "42"), description="PV1-36 of a death")
    prepare_on_pending: bool = Field(
        default=False, description="A16 prepares a draft before the discharge, A25 ends the preparation"
    )
    silent_after: int = Field(default=3600, ge=60, description="seconds without a message until the feed is silent")

    def takes_peer(self, address: str) -> bool:
        """Return whether it may connect from there. IPv4 addresses that arrive as IPv6 count as IPv4."""
        found = ipaddress.ip_address(address.partition("%")[0])
        if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped is not None:
            found = found.ipv4_mapped
        return not self.peers or any(found in ipaddress.ip_network(network) for network in self.peers)

    def is_inpatient(self, patient_class: str) -> bool | None:
        """Return whether stays with this PV1-2 get a summary; None where the value says nothing: local, or empty."""
        found = patient_class.upper()
        if found in map(str.upper, self.classes):
            return True
        return False if found in map(str.upper, self.other_classes) else None

    def takes_origin(self, application: str, facility: str) -> bool:
        """Return whether a message with this MSH-3 and MSH-4 is its own."""
        return (not self.applications or application in self.applications) and (
            not self.facilities or facility in self.facilities
        )


class Senders(BaseModel):
    """The file of senders."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    senders: tuple[Sender, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _each_name_once(self) -> Self:
        if len({item.name for item in self.senders}) != len(self.senders):
            raise ValueError("a name is there twice")
        return self

    def from_peer(self, address: str) -> tuple[Sender, ...]:
        """Return the senders that may connect from `address`."""
        return tuple(item for item in self.senders if item.takes_peer(address))

"""HL7v2 messages of the sandbox's ADT feed, made from its FHIR resources. Pure."""

from datetime import datetime
from typing import Any

VISITS = "urn:clinosim:identifier:encounter-key"  # system of PV1-19 in Encounter.identifier
MRNS = "http://hospital.example.org/identifiers/mrn"  # system of PID-3 in Patient.identifier
FACILITY = "SANDBOX"  # MSH-4, and the assigning authority of the MRN

Resource = dict[str, Any]


def discharge_message(
    encounter: Resource, patient: Resource, department: str, *, control_id: str, recorded: datetime
) -> bytes:
    """Return the ADT^A03 of a finished inpatient encounter, without a frame.

    `recorded` becomes MSH-7 and EVN-2, `department` PV1-10. PID-5 is empty: receivers find the patient by MRN.
    """
    at = f"{recorded:%Y%m%d%H%M%S}{recorded:%z}"
    visit, mrn = _identifier(encounter, VISITS), _identifier(patient, MRNS)
    ended = datetime.fromisoformat(encounter["period"]["end"])
    segments = (
        f"MSH|^~\\&|EHR|{FACILITY}|COUNTERSIGN|{FACILITY}|{at}||ADT^A03^ADT_A03|{control_id}|P|2.5.1",
        f"EVN|A03|{at}",
        f"PID|1||{mrn}^^^{FACILITY}^MR",
        f"PV1|1|I||||||||{department}|||||||||{visit}" + "|" * 26 + f"{ended:%Y%m%d%H%M%S}{ended:%z}",
    )
    return "".join(f"{segment}\r" for segment in segments).encode()


def _identifier(resource: Resource, system: str) -> str:
    return str(next(item["value"] for item in resource["identifier"] if item.get("system") == system))

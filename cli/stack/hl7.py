"""The listener for ADT messages of an embedded stack, and the sender that it knows."""

import json
import os
from pathlib import Path

from cli.stack.access import write_private
from sandbox_ehr.adt import FACILITY, MRNS, VISITS
from sandbox_ehr.seed import demo_encounters
from shared.runtime.settings import Hl7Settings

SENDERS = "hl7-senders.json"


def hl7_settings(port: int, directory: Path, *, demo: bool) -> Hl7Settings:
    """Return the settings of the listener: on `port`, or as the environment says where that is 0.

    With the sandbox EHR (`demo`), the sender is its ADT feed unless the environment names a file of senders.
    """
    if not port:
        return Hl7Settings()
    if not demo or "COUNTERSIGN_HL7_SENDERS" in os.environ:
        return Hl7Settings(port=port)
    write_private(directory / SENDERS, json.dumps(_demo_senders()))
    return Hl7Settings(port=port, senders=directory / SENDERS)


def _demo_senders() -> dict[str, object]:
    sandbox = {
        "name": "sandbox-ehr",
        "peers": ["127.0.0.1"],
        "zone": "UTC",
        "visit_system": VISITS,
        "mrn_system": MRNS,
        "mrn_authority": FACILITY,
        "departments": {item.department: item.department for item in demo_encounters()},
    }
    return {"senders": [sandbox]}

"""Findings that were looked at and are lived with, until a day: `accepted.yaml`, reviewed like code."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, Field

from tools.supply_chain.osv import Finding

FILE = Path(__file__).with_name("accepted.yaml")


class Acceptance(BaseModel):
    """Which advisory of which package, why it may stay, and until when."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str
    package: str
    reason: str = Field(min_length=20)
    until: date


@dataclass(frozen=True, slots=True)
class Triage:
    open: list[Finding]
    accepted: list[tuple[Finding, Acceptance]]
    expired: list[Acceptance]
    idle: list[Acceptance]  # about nothing that was found: to be removed, where the data would have shown it


def load(file: Path = FILE) -> list[Acceptance]:
    return [Acceptance.model_validate(item) for item in yaml.safe_load(file.read_text()) or []]


def triage(found: Iterable[Finding], acceptances: list[Acceptance], today: date) -> Triage:
    """Separate open findings from accepted ones. An acceptance is valid to the end of its day."""
    valid = {(item.id, item.package): item for item in acceptances if today <= item.until}
    judged = Triage([], [], [item for item in acceptances if today > item.until], [])
    used: set[tuple[str, str]] = set()
    for finding in found:
        names = [(name, finding.part.name) for name in (finding.id, *finding.aliases)]
        if (key := next((name for name in names if name in valid), None)) is None:
            judged.open.append(finding)
        else:
            judged.accepted.append((finding, valid[key]))
            used.add(key)
    judged.idle.extend(item for key, item in valid.items() if key not in used)
    return judged

"""HL7v2 messages for tests, and the wire samples beside the checkout."""

import itertools
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from services.ingest.hl7.receive import FrameOutcome, outcomes
from services.ingest.hl7.sender import Sender
from shared.hl7.mllp import Deframer, frame

SAMPLES = Path(__file__).parents[3] / "shared" / "data" / "hl7"
NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
SETTINGS: dict[str, Any] = {
    "name": "engine",
    "zone": "America/Chicago",
    "visit_system": "urn:visits",
    "mrn_system": "urn:mrns",
    "mrn_authority": "HOSP",
    "departments": {"MED": "internal-medicine"},
}


@dataclass(frozen=True, slots=True)
class Sample:
    """A wire file, and what its index expects."""

    name: str
    data: bytes
    expected: dict[str, Any]

    @property
    def pieces(self) -> list[bytes]:
        """What is written at a time, as the index says."""
        cuts = [0, *self.expected.get("chunks", []), len(self.data)]
        return [self.data[start:end] for start, end in itertools.pairwise(cuts)]

    @property
    def bytewise(self) -> list[bytes]:
        """The same, a byte at a time."""
        return [self.data[start : start + 1] for start in range(len(self.data))]


def samples() -> tuple[Sender, list[Sample]]:
    """Return the sender that the samples' index describes, and the samples; the test is skipped without them."""
    settings, found = sample_files()
    return Sender(**settings), found


def sample_files() -> tuple[dict[str, Any], list[Sample]]:
    """Return the settings of that sender, and the samples; the test is skipped without them."""
    if not (SAMPLES / "index.json").exists():
        pytest.skip("the HL7 samples are not here: ../shared/data/hl7")
    index = json.loads((SAMPLES / "index.json").read_text())
    settings = {name: value for name, value in index["settings"].items() if name != "bundles"}
    found = [Sample(item["file"], (SAMPLES / item["file"]).read_bytes(), item) for item in index["messages"]]
    return {"name": "engine"} | settings, found


def sender(**settings: Any) -> Sender:
    return Sender(**SETTINGS | settings)


def received(data: bytes, of: Sender, size: int | None = None) -> list[FrameOutcome]:
    """Return what is done about bytes that arrive in pieces of `size`, until the connection ends."""
    return list(_received(data, of, size or len(data) or 1))


def _received(data: bytes, of: Sender, size: int) -> Iterator[FrameOutcome]:
    deframer = Deframer()
    for start in range(0, len(data), size):
        for item in deframer.feed(data[start : start + size]):
            yield from outcomes(item, [of], NOW)
    for item in deframer.close():
        yield from outcomes(item, [of], NOW)


def adt(event: str = "A03", **fields: str) -> bytes:
    """Return a message; `fields` replace those of its segments: `PV1_19="V1"`."""
    msh = {
        3: "HUB",
        4: "MAIN",
        5: "CS",
        6: "MAIN",
        7: "20260626041607",
        9: f"ADT^{event}",
        10: "1",
        11: "P",
        12: "2.5.1",
    }
    segments = {
        "MSH": {2: "^~\\&"} | msh,
        "EVN": {1: event, 2: "20260626041600"},
        "PID": {3: "MRN-1^^^HOSP^MR", 5: "Nobody^Here"},
        "PV1": {2: "I", 10: "MED", 19: "V-1", 45: "20260626041200"},
    }
    for name, value in fields.items():
        segment, _, number = name.partition("_")
        segments.setdefault(segment, {})[int(number)] = value
    return b"".join(_segment(name, values) for name, values in segments.items())


def framed(event: str = "A03", **fields: str) -> bytes:
    return frame(adt(event, **fields))


def _segment(name: str, values: dict[int, str]) -> bytes:
    first = 2 if name == "MSH" else 1
    return "|".join([name, *(values.get(number, "") for number in range(first, max(values) + 1))]).encode() + b"\r"

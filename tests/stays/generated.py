"""Stays that the seed's generator wrote, with derived sheets: the seed itself and the shared encounters."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from sandbox_ehr.seed import DISCHARGE_SUMMARY, SEED
from tests.stays.derived.reading import codes
from tests.stays.derived.sheet import sheet
from tests.stays.model import Resource, Stay
from tests.support.ehr import SHARED_ENCOUNTERS


def seed() -> Iterator[Stay]:
    """The stays of the sandbox EHR's seed."""
    for file in sorted(SEED.glob("enc-*.json")):
        yield _from_file(file, "seed")


def seed_ended_on_a_day() -> Iterator[Stay]:
    """The same, where admission and discharge have a day and no time: nothing of these days may be lost."""
    for stay in seed():
        resources = tuple(_ended_on_a_day(one) if one["id"] == stay.encounter else one for one in stay.resources)
        yield replace(stay, name=f"{stay.name}-day", source="seed, days only", resources=resources)


def _ended_on_a_day(encounter: Resource) -> Resource:
    return encounter | {"period": {name: moment[:10] for name, moment in encounter["period"].items()}}


def shared() -> Iterator[Stay]:
    """The shared encounters beside the checkout; none where they are absent."""
    for file in sorted(SHARED_ENCOUNTERS.glob("enc-*.json")):
        if ".discharge." not in file.name:
            yield _from_file(file, "shared encounters")


def _from_file(file: Path, source: str) -> Stay:
    bundle: dict[str, Any] = json.loads(file.read_text())
    resources = tuple(entry["resource"] for entry in bundle["entry"] if not _is_summary(entry["resource"]))
    return Stay(file.stem, source, "written by a program", file.stem, resources, sheet(resources, file.stem))


def _is_summary(resource: Resource) -> bool:
    """The record must not hold what is to be drafted."""
    return isinstance(resource.get("type"), dict) and DISCHARGE_SUMMARY in codes(resource["type"])

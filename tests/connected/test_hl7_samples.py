"""Every wire sample is answered and acted on as its index says: in order and alone, whole and a byte at a time.

COUNTERSIGN_THOROUGH=2 gives each sample a server of its own; otherwise samples of different visits share one.
"""

import json
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from shared.contracts.events import Discharged
from shared.contracts.subjects import CASE_EVENTS
from shared.messaging.stream_pages import read_stream_pages
from tests.connected.test_hl7 import SENDER, Feed, alerts, feed
from tests.support.effort import THOROUGH
from tests.support.ehr import shared_sandbox
from tests.support.hl7 import Sample, sample_files
from tests.support.server import NatsServer

pytestmark = [pytest.mark.connected, pytest.mark.timeout(240)]
Pieces = Callable[[Sample], list[bytes]]
WRITES: dict[str, Pieces] = {"whole": lambda sample: sample.pieces, "byte by byte": lambda sample: sample.bytewise}
EVENTS = {"opens": "discharged", "withdraws": "withdrawn"}


@pytest.mark.parametrize("writes", WRITES)
async def test_every_sample_in_order_has_the_effects_of_its_index(
    nats: NatsServer, tmp_path: Path, writes: str
) -> None:
    settings, samples = sample_files()
    async with feed(nats, shared_sandbox(), settings | SENDER, tmp_path) as adt_feed:
        for sample in samples:
            await send_and_check(adt_feed, nats, sample, WRITES[writes])
        for subject, alert in await alerts(nats):
            assert subject.startswith("alert.warning.adt-")
            assert "POP-" not in json.dumps(alert)


@pytest.mark.parametrize("writes", WRITES)
async def test_every_sample_alone_has_the_effects_of_its_index(tmp_path: Path, writes: str) -> None:
    settings, samples = sample_files()
    known = {sample.name: sample for sample in samples}
    for number, together in enumerate([[sample] for sample in samples] if THOROUGH > 1 else rounds(samples)):
        directory = tmp_path / str(number)
        (directory / "bus").mkdir(parents=True)
        server = NatsServer(directory / "bus")
        server.start()
        try:
            async with feed(server, shared_sandbox(), settings | SENDER, directory) as adt_feed:
                for sample in together:
                    for name in sample.expected.get("after", []):
                        await adt_feed.exchange(known[name].pieces, len(known[name].expected["acks"]))
                    await send_and_check(adt_feed, server, sample, WRITES[writes])
        finally:
            server.kill()


def rounds(samples: Sequence[Sample]) -> list[list[Sample]]:
    """The samples in as few groups as possible in which no two are about the same encounter."""
    known = {sample.name: sample for sample in samples}
    found: list[tuple[set[str], list[Sample]]] = []
    for sample in samples:
        needed = [sample, *(known[name] for name in sample.expected.get("after", []))]
        own = {effect["encounter"] for item in needed for effect in item.expected["effects"] if effect["encounter"]}
        taken, group = next((item for item in found if item[0].isdisjoint(own)), (set[str](), list[Sample]()))
        if not group:
            found.append((taken, group))
        taken.update(own)
        group.append(sample)
    return [group for _, group in found]


async def send_and_check(of: Feed, nats: NatsServer, sample: Sample, writes: Pieces) -> None:
    expected = sample.expected
    encounters = {effect["encounter"] for effect in expected["effects"] if effect["encounter"]}
    before = {encounter: await of.history(encounter) for encounter in encounters}
    events, told = await stored_events(of), len(await alerts(nats))
    answers = [Answer(content) for content in await of.exchange(writes(sample), len(expected["acks"]))]
    assert [answer.code for answer in answers] in [expected["acks"], *expected.get("acks_or", [])], sample.name
    assert [answer.id for answer in answers] == expected.get("ids", []), sample.name
    assert all(answer.error in expected["err"] for answer in answers if answer.code in ("AE", "AR")), sample.name
    for effect in expected["effects"]:
        if effect["encounter"] is not None:
            await check(of, effect, before[effect["encounter"]], sample.name)
    wanted = Counter(EVENTS[effect["effect"]] for effect in expected["effects"] if effect["effect"] in EVENTS)
    assert await stored_events(of) - events == wanted, f"{sample.name}: no other case changes"
    persons = sum("person" in effect.get("told", []) for effect in expected["effects"])
    assert len(await alerts(nats)) - told == persons, sample.name


class Answer:
    """An acknowledgment, in whatever delimiters it is: MSA-1, MSA-2, and the code of ERR-3 (before 2.5: of ERR-1)."""

    def __init__(self, content: bytes) -> None:
        mark, component = content[3:4], content[4:5]
        lines = [line.split(mark) for line in content.split(b"\r")]
        segments = {fields[0]: fields for fields in lines}
        self.code, self.id = segments[b"MSA"][1].decode(), segments[b"MSA"][2].decode()
        error = segments.get(b"ERR", [])
        found = error[3] if len(error) > 3 else error[1].split(component)[3] if error else b""
        self.error = found.decode()


async def stored_events(of: Feed) -> Counter[str]:
    """How often each event was appended, to any case."""
    found = [item async for page in read_stream_pages(of.bus, "DISCHARGE", CASE_EVENTS) for item in page]
    return Counter((item.headers or {})["Nats-Subject"].rpartition(".")[2] for item in found)


async def check(of: Feed, effect: dict[str, Any], before: list[Any], file: str) -> None:
    after = await of.history(effect["encounter"])
    fresh = [event.event for event in after[len(before) :]]
    assert fresh == [EVENTS[effect["effect"]]] if effect["effect"] in EVENTS else fresh == [], file
    if effect["effect"] == "opens":
        event = after[-1]
        assert isinstance(event, Discharged)
        assert event.died == (effect["died"] or None), file
        assert event.occurred_at == datetime.fromisoformat(effect["occurred_at"]), file
        assert await of.department(effect["encounter"]) == effect["department"], file

"""What was erased after a backup was made is erased again before a restored stack starts."""

from functools import partial
from pathlib import Path

import pytest

from cli.backup import erasures as erasing
from cli.backup.endpoints import read_erasures
from cli.errors import CommandError
from shared.contracts.errors import ErasedError
from shared.messaging.artifacts import Artifacts
from tests.support.backup import as_user, back_up, restore_backup, timers
from tests.support.corrections import filed
from tests.support.ehr import sandbox, stays
from tests.support.forging import audit
from tests.support.server import NatsServer
from tests.support.stack import Stack, running, until

pytestmark = pytest.mark.connected


async def erase(stack: Stack, case_id: str) -> None:
    sent = {"ground": "court-order", "reference": "R-1"}
    assert (await stack.call("operator", "POST", f"/v1/cases/{case_id}/erasure", json=sent)).status_code == 202

    async def done() -> bool:
        return "erased" in await stack.events(case_id)

    await until(done, "the texts to be erased")


async def test_erased_keys_do_not_come_back(
    nats: NatsServer, empty: NatsServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One case was filed when the backup was made, one waited for its signature, one is left alone."""
    await nats.provision()
    ehr, folder = sandbox(), tmp_path / "erasures"
    encounters = stays(ehr.style)
    async with running(nats, ehr, erasure_dir=folder) as stack:
        done, kept = await filed(stack, encounters[0]), await filed(stack, encounters[2])
        waiting = await stack.discharge(encounters[1])
        draft = (await stack.reaches(waiting, "awaiting-review"))["events"][-2]["detail"]["draft"]["digest"]
        await back_up(nats, tmp_path / "backup")
        assert (await stack.decide(waiting, "approve")).status_code == 200
        await stack.reaches(waiting, "filed")
        for case_id in (done, waiting):
            await erase(stack, case_id)
    nats.kill()
    listed = tuple(read_erasures(None, folder) or ())
    assert {item.case for item in listed} == {done, waiting}

    real, kills = erasing.repeat_erasures, []

    async def killed_once(*given: object) -> int:
        found = await real(*given)  # type: ignore[arg-type]
        if not kills:
            kills.append(found)
            raise ConnectionResetError("killed")
        return found

    monkeypatch.setattr("cli.backup.restore.repeat_erasures", killed_once)
    with pytest.raises(ConnectionResetError):
        await restore_backup(empty, tmp_path / "backup", erasures=listed)
    restored = await restore_backup(empty, tmp_path / "backup", erasures=listed)
    assert (restored.erased, restored.broken) == (2, 0)
    async with as_user(empty, "admin") as bus:
        for case_id in (done, waiting):
            assert [item.key for item in await Artifacts(bus).keys.generations(case_id)] == [None]
        with pytest.raises(ErasedError):
            await Artifacts(bus).of(waiting).get(draft)
    assert await timers(empty, waiting) == [], "nobody is told of a review that is over"

    async with running(empty, ehr, erasure_dir=folder) as stack:
        for case_id in (done, waiting):
            await until(partial(has_erased, stack, case_id), "the step to say so")
            events = await stack.events(case_id)
            assert (events.count("erasure-ordered"), events.count("erased")) == (1, 1)
            assert (await stack.call("physician", "GET", f"/v1/reviews/{case_id}")).status_code == 410
        assert (await stack.case(waiting))["state"] == "closed"
        assert (await stack.call("physician", "GET", "/v1/reviews")).json()["items"] == []
        assert (await stack.review(kept))["draft"]["text"]
    report = await audit(empty, ehr, done)
    assert (report.verified, report.erased) == (True, 1), report.faults


async def has_erased(stack: Stack, case_id: str) -> bool:
    return "erased" in await stack.events(case_id)


def test_a_list_that_cannot_be_read_stops_the_restore(tmp_path: Path) -> None:
    (tmp_path / "x.erased.json").write_text("{")
    with pytest.raises(CommandError, match="cannot be read"):
        read_erasures(None, tmp_path)
    with pytest.raises(CommandError, match="is not there"):
        read_erasures(None, tmp_path / "none")
    assert read_erasures(tmp_path / "a-new-stack", None) is None, "and the command says so"

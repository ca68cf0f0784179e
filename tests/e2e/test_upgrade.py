"""A stack with data of version 0.1 goes on under this version: streams, consumers, buckets, events, running timers."""

import tarfile
from pathlib import Path

import pytest

from cli.stack.ports import free_port
from tests.e2e.test_command import SCRIPTED, approve, case_in, until
from tests.e2e.test_recovery import told
from tests.support.command import Up, up

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

RECORDED = Path(__file__).parent / "recorded" / "stack-0.1.0.tar.xz"
FILED = ("9218cff5-4557-5fcf-a89c-8b07b2ac1e4b", "e9615163-39a0-567b-a705-d0d1c089181c")
CLOSED = "86cd557c-fded-5872-8a9a-eebdfb6fef1f"
FAILED = "16ad0dec-e566-5464-b628-b6aa022843a9"
WAITING = "792d9fbf-e584-59de-af15-12be8b1f2ffc"  # its first escalation is due in 20 years
OVERDUE = "66701181-62c5-52f0-8208-546571638dd3"  # its first escalation fell due while the stack was down
KILLED = (  # while they were drafted
    "bf091d1b-34fe-5008-a580-f3eb5b870ec7",
    "f854c20d-3475-5595-ae37-5dcf5fdb8144",
    "9ad30fb2-e7fa-5e21-9a50-7fc43885fc65",
)


def escalations(stack: Up, case_id: str) -> int:
    events = stack.call("auditor", "GET", f"/v1/cases/{case_id}").json()["events"]
    return [event["event"] for event in events].count("escalated")


def test_what_version_0_1_began_is_brought_to_its_end(tmp_path: Path) -> None:
    with tarfile.open(RECORDED) as recorded:
        recorded.extractall(tmp_path, filter="data")
    with up(tmp_path, free_port(), *SCRIPTED) as stack:
        for case_id in (WAITING, *KILLED):
            case_in(stack, case_id, "awaiting-review")
        until(lambda: escalations(stack, OVERDUE) == 1, "the supervisor to be notified")
        assert case_in(stack, CLOSED, "closed")["events"][-1]["event"] == "closed"
        letters = told(stack, "dead-letters", "list")
        assert [letter["consumer"] for letter in letters] == ["drafter-extract"]
        assert FAILED in letters[0]["subject"]
        knowledge = told(stack, "knowledge", "status")
        assert knowledge["passages"] == 61
        assert knowledge["live"]["version"] in (1, 2)  # the nightly refresh may have fallen due since the recording
        assert told(stack, "knowledge", "refresh", "--wait")["state"] in ("promoted", "skipped")
        for case_id in (WAITING, OVERDUE, KILLED[0]):
            assert approve(stack, case_id).status_code == 200
            case_in(stack, case_id, "filed")
        assert (escalations(stack, OVERDUE), escalations(stack, WAITING)) == (1, 0)
        proof = told(stack, "audit", "verify")
        assert (proof["verified"], proof["cases"]) == (True, 9)
        assert stack.stop() == 0
    with up(tmp_path, free_port(), *SCRIPTED) as stack:  # nothing is brought to an end a second time
        for case_id in (*FILED, WAITING, OVERDUE, KILLED[0]):
            events = [event["event"] for event in case_in(stack, case_id, "filed")["events"]]
            assert events.count("approved") == events.count("filed") == 1
        assert escalations(stack, OVERDUE) == 1

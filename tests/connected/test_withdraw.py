"""An operator withdraws cases: what ends with one, by API and page, beside a physician who signs."""

import asyncio
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from shared.contracts.envelope import sha256_hex
from tests.connected.test_timers import review_task, timers_left
from tests.support.ehr import sandbox, stays
from tests.support.physician import approval_body
from tests.support.server import NatsServer
from tests.support.stack import Stack, running, until

pytestmark = pytest.mark.connected

WHY = "entered for a test patient"


async def withdraw(stack: Stack, case_id: str, reason: str = WHY, role: str = "operator") -> httpx.Response:
    return await stack.call(role, "POST", f"/v1/cases/{case_id}/withdraw", json={"reason": reason})


async def test_a_withdrawn_case_ends_once_with_everything_that_waits_for_it(nats: NatsServer) -> None:
    await nats.provision()
    async with running(nats, sandbox()) as stack:
        first, second, third = stays()[:3]
        case_id = await stack.discharge(first, occurred_at=(datetime.now(UTC) - timedelta(hours=1)).isoformat())
        await stack.reaches(case_id, "awaiting-review")
        for role in ("physician", "supervisor", "auditor"):
            assert (await withdraw(stack, case_id, role=role)).status_code == 403
        answers = await asyncio.gather(*(withdraw(stack, case_id) for _ in range(3)))
        assert [answer.json() for answer in answers] == [
            {"case_id": case_id, "state": "withdrawn", "by": "demo-operator", "signed": None}
        ] * 3
        other = await withdraw(stack, case_id, "another reason")
        assert (other.status_code, "it is withdrawn" in other.json()["detail"]) == (409, True)
        signed = await stack.decide(case_id, "approve")
        assert (signed.status_code, "withdrawn" in signed.json()["detail"]) == (409, True)
        event = (await stack.case(case_id))["events"][-1]
        assert (event["event"], event["actor"], event["reason"]) == ("withdrawn", "demo-operator", WHY)
        assert event["detail"]["words"] == sha256_hex(WHY.encode())

        async def ended() -> bool:
            return review_task(stack)["status"] == "cancelled" and await timers_left(nats) == 0

        await until(ended, "the Task and the timer of the review to end")
        assert review_task(stack)["businessStatus"]["coding"][0]["code"] == "withdrawn"
        assert (await stack.call("physician", "GET", "/v1/reviews")).json()["items"] == []
        await stack.discharge(first, occurred_at=(datetime.now(UTC) - timedelta(hours=1)).isoformat())  # another route
        assert (await stack.events(case_id)).count("discharged") == 1

        both = await stack.discharge(second)
        await stack.reaches(both, "awaiting-review")
        draft = (await stack.review(both))["draft"]
        approve, headers = f"/v1/reviews/{both}/approve", {"If-Match": draft["digest"]}
        signature, withdrawal = await asyncio.gather(
            stack.call("physician", "POST", approve, json=approval_body(draft), headers=headers), withdraw(stack, both)
        )
        assert sorted((signature.status_code, withdrawal.status_code)) == [200, 409], (signature.text, withdrawal.text)
        loser = signature if signature.status_code == 409 else withdrawal
        assert ("withdrawn" if loser is signature else "signed") in loser.json()["detail"]

        filed = await stack.discharge(third)
        await stack.reaches(filed, "awaiting-review")
        assert (await stack.decide(filed, "approve")).status_code == 200
        await stack.reaches(filed, "filed")
        refused = await withdraw(stack, filed)
        assert (refused.status_code, "retract" in refused.json()["detail"]) == (409, True)

        failed = await stack.discharge("not-there")
        last = (await stack.reaches(failed, "failed"))["events"][-1]
        page = (await stack.call("operator", "GET", f"/cases/{failed}")).text
        assert f'action="/cases/{failed}/withdraw"' in page
        assert "/withdraw" not in (await stack.call("auditor", "GET", f"/cases/{failed}")).text
        assert "/withdraw" not in (await stack.call("operator", "GET", f"/cases/{filed}")).text
        for _ in range(2):
            form = {"reason": WHY, "seen": "2"}
            sent = await stack.call("operator", "POST", f"/cases/{failed}/withdraw", data=form)
            assert (sent.status_code, sent.headers["location"]) == (303, f"/cases/{failed}?done=withdrawn")
        assert (await stack.events(failed))[-2:] == [last["event"], "withdrawn"]
        assert f"“{WHY}”" in (await stack.call("auditor", "GET", f"/cases/{failed}")).text
        (letter,) = (await stack.call("operator", "GET", "/v1/dead-letters?state=all")).json()["items"]
        assert (letter["state"], letter["by"], letter["why"]) == ("discarded", "demo-operator", WHY)

"""People of an identity provider, as browsers and tokens bring them, and what is on the trail about them."""

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

from shared.messaging.access_log import AccessLog
from tests.support.stack import Stack

URL = "http://countersign.test"
DEPARTMENT = "internal-medicine"
SUPERVISOR = {"sub": "boss", "roles": ["supervisor"], "fhirUser": "Practitioner/boss", "name": "The Boss"}
COLLEAGUE = {"sub": "kmosley", "fhirUser": "Practitioner/DR-IM-002", "name": "Kirk Mosley"}


class Clock:
    """The time, which a test may move."""

    def __init__(self) -> None:
        self.ahead = timedelta()

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.ahead


async def sign_in(stack: Stack, after: str = "/", again: bool = False) -> httpx.Response:
    """What a browser does, up to the page that it wanted."""
    left = await stack.http.get("/sign-in/provider", params={"after": after, "again": again})
    assert left.status_code == 303, left.text
    async with httpx.AsyncClient() as outside:
        back = await outside.get(left.headers["location"])
    return await stack.http.get(back.headers["location"])


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


async def access_entries(stack: Stack, case_id: str = "-") -> list[dict[str, Any]]:
    """Entries of the ACCESS stream; of no case in particular, or of one."""
    bus = await stack.server.connect("auditor")
    log = AccessLog(bus, lambda: datetime.now(UTC), lambda: "")
    found = [item.model_dump() for item in await log.of_case(case_id)]
    await bus.close()
    return found


async def open_review_case(stack: Stack) -> str:
    case_id = await stack.discharge()
    await stack.reaches(case_id, "awaiting-review")
    return case_id


async def post(stack: Stack, path: str, **form: Any) -> httpx.Response:
    return await stack.http.post(path, data=form, headers={"Origin": URL})

"""People who correct, append to and retract documents that are filed, through the API."""

from typing import Any

import httpx

from cli.audit import VerificationReport, verify_stored
from tests.support.ehr import client
from tests.support.physician import unconfirmed_sentences
from tests.support.stack import Stack


async def filed(stack: Stack, encounter: str | None = None) -> str:
    """A case whose document is filed; its id."""
    case_id = await stack.discharge(encounter)
    await stack.reaches(case_id, "awaiting-review")
    assert (await stack.decide(case_id, "approve")).status_code == 200
    await stack.reaches(case_id, "filed")
    return case_id


async def document(stack: Stack, case_id: str, role: str = "physician") -> dict[str, Any]:
    """The document as it stands."""
    response = await stack.call(role, "GET", f"/v1/cases/{case_id}/document")
    assert response.status_code == 200, response.text
    found: dict[str, Any] = response.json()
    assert response.headers["etag"] == f'"{found["digest"]}"'
    return found


async def post(
    stack: Stack, case_id: str, what: str, role: str = "physician", seen: str | None = None, **body: Any
) -> httpx.Response:
    """One request of somebody who has seen the document as it stands, or as `seen` says; nothing is confirmed."""
    digest = (await document(stack, case_id))["digest"] if seen is None else seen
    headers = {"If-Match": f'"{digest}"'}
    return await stack.call(role, "POST", f"/v1/cases/{case_id}/{what}", headers=headers, json=body or None)


async def sign(stack: Stack, case_id: str, what: str, role: str = "physician", **body: Any) -> httpx.Response:
    """The same, of somebody who confirms each sentence of their own that the record does not support."""
    body = {"reason": "a test"} | body
    answer = await post(stack, case_id, what, role, **body)
    if own := unconfirmed_sentences(answer):
        answer = await post(stack, case_id, what, role, **body, written=own)
    return answer


async def amend(stack: Stack, case_id: str, line: str = "Seen by the dietician.") -> str:
    """Sign the document with one line more; returns the text once it is filed."""
    text = str((await document(stack, case_id))["text"]).rstrip() + f"\n{line}\n"
    events = len(await stack.events(case_id))
    answer = await sign(stack, case_id, "amendments", text=text)
    assert answer.status_code == 200, answer.text
    await stack.reaches(case_id, "filed", events=events + 2)
    return text


async def addend(stack: Stack, case_id: str, words: str = "The culture grew nothing.") -> None:
    events = len(await stack.events(case_id))
    answer = await sign(stack, case_id, "addenda", text=words)
    assert answer.status_code == 200, answer.text
    await stack.reaches(case_id, "filed", events=events + 2)


async def retract(stack: Stack, case_id: str) -> dict[str, Any]:
    """By two people."""
    asked = await post(stack, case_id, "retraction", reason="another patient's")
    assert asked.status_code == 200, asked.text
    assert (await post(stack, case_id, "retraction/confirm", "supervisor")).status_code == 200
    events = len(await stack.events(case_id))
    return await stack.reaches(case_id, "retracted", events=events)


async def verified(stack: Stack, case_id: str, ehr: Any = None) -> VerificationReport:
    """What `audit verify` finds about the case."""
    bus, journal = await stack.journal()
    try:
        return await verify_stored(await journal.stored(f"discharge.*.{case_id}.*"), ehr or client(stack.ehr))
    finally:
        await bus.close()

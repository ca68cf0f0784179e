"""A signed draft is rated, on the page and by the API: by who signed it, once, and beside everything else."""

import asyncio
from typing import Any

import httpx
import pytest

from shared.contracts.envelope import RecordedEvent
from shared.contracts.ratings import Rated
from tests.connected.test_corrections_page import form, page, send
from tests.support.corrections import amend, filed, verified
from tests.support.stack import Stack

pytestmark = pytest.mark.connected

WORDS = "The course left out Mrs Roe's fall."


async def rate(stack: Stack, case_id: str, role: str = "physician", key: str = "", **body: Any) -> httpx.Response:
    headers = {"Idempotency-Key": key} if key else {}
    return await stack.call(role, "POST", f"/v1/reviews/{case_id}/rating", json=body, headers=headers)


async def history(stack: Stack, case_id: str) -> list[RecordedEvent]:
    bus, journal = await stack.journal()
    try:
        return await journal.find(case_id)
    finally:
        await bus.close()


async def ratings(stack: Stack, case_id: str) -> list[Rated]:
    return [item.body for item in await history(stack, case_id) if isinstance(item.body, Rated)]


async def test_one_tap_after_signing_rates_the_draft(stack: Stack) -> None:
    case_id = await filed(stack)
    path = f"/reviews/{case_id}/rating"
    shown = await page(stack, case_id)
    buttons = shown.xpath(f'//form[@action="{path}"]//button[@name="rating"]/@value')
    assert buttons == ["useful", "edited-much", "useless"]
    sent = await send(stack, path, form(shown, path) | {"rating": "useful"})
    assert (sent.status_code, sent.headers["location"]) == (303, f"/reviews/{case_id}#rating")
    (first,) = await ratings(stack, case_id)
    assert (first.rating, first.words, first.channel) == ("useful", None, "api")
    shown = await page(stack, case_id)
    assert "You rated it Useful" in shown.xpath('//*[@id="rating"]')[0].text_content()
    again = await send(stack, path, form(shown, path) | {"rating": "useless", "words": WORDS})
    assert again.status_code == 303
    shown = await page(stack, case_id)
    assert "You rated it Useless" in shown.xpath('//*[@id="rating"]')[0].text_content()
    assert form(shown, path)["words"] == [WORDS], "the words stay where the rating is changed"
    assert "The draft was rated" in shown.text_content()
    assert (await verified(stack, case_id)).verified


async def test_who_did_not_sign_sees_no_form_and_may_not_rate(stack: Stack) -> None:
    case_id = await filed(stack)
    assert not (await page(stack, case_id, "supervisor")).xpath('//*[@id="rating"]')
    refused = await rate(stack, case_id, "supervisor", rating="useless")
    assert (refused.status_code, refused.json()["detail"]) == (403, "A draft is rated by who has signed it.")
    refused = await send(stack, f"/reviews/{case_id}/rating", {"rating": "useless", "draft": "0" * 64}, "supervisor")
    assert refused.status_code == 403
    for role in ("operator", "auditor"):
        assert (await rate(stack, case_id, role, rating="useless")).status_code == 403
    assert await ratings(stack, case_id) == []


async def test_before_the_signature_there_is_nothing_to_rate(stack: Stack) -> None:
    case_id = await stack.discharge()
    await stack.reaches(case_id, "awaiting-review")
    assert not (await page(stack, case_id)).xpath('//*[@id="rating"]')
    refused = await rate(stack, case_id, rating="useful")
    assert (refused.status_code, refused.json()["title"]) == (409, "No signed draft of this case can be rated")
    late = await send(stack, f"/reviews/{case_id}/rating", {"rating": "useful", "draft": "0" * 64})
    assert late.headers["location"] == f"/reviews/{case_id}?note=not-signed"
    assert "Nothing was rated" in (await page(stack, case_id, note="not-signed")).text_content()
    for body in ({}, {"rating": "good"}, {"rating": "useful", "words": "x" * 4001}, {"rating": "useful", "by": "x"}):
        assert (await rate(stack, case_id, **body)).status_code == 422
    unknown = await rate(stack, "00000000-0000-4000-8000-000000000000", rating="useful")
    assert unknown.status_code == 404


async def test_a_rating_that_is_sent_again_is_one_rating(stack: Stack) -> None:
    case_id = await filed(stack)
    answers = await asyncio.gather(*(rate(stack, case_id, rating="useful", words=WORDS) for _ in range(5)))
    assert [item.status_code for item in answers] == [200] * 5
    assert len(await ratings(stack, case_id)) == 1
    keyed = [await rate(stack, case_id, key="k1", rating="useless") for _ in range(2)]
    assert (await rate(stack, case_id, rating="edited-much")).status_code == 200
    late = await rate(stack, case_id, key="k1", rating="useless")  # its first answer was lost
    assert [item.json()["rating"] for item in (*keyed, late)] == ["useless"] * 3
    other = await rate(stack, case_id, key="k1", rating="useful")
    assert other.status_code == 422
    assert [item.rating for item in await ratings(stack, case_id)] == ["useful", "useless", "edited-much"]


async def test_the_words_are_a_text_of_the_case_and_nowhere_else(stack: Stack) -> None:
    case_id = await filed(stack)
    path = f"/v1/reviews/{case_id}/rating"
    assert (await stack.call("supervisor", "GET", path)).status_code == 404
    assert (await rate(stack, case_id, rating="useless", words=f"  {WORDS} ")).status_code == 200
    (rated,) = await ratings(stack, case_id)
    assert rated.words is not None
    answer = await stack.call("auditor", "GET", f"/v1/cases/{case_id}")
    assert answer.json()["events"][-1]["detail"]["words"] == rated.words
    assert "Roe" not in answer.text
    shown = (await stack.call("supervisor", "GET", path)).json()
    assert (shown["rating"], shown["words"], shown["draft"]) == ("useless", WORDS, rated.draft.digest)
    for role in ("operator", "auditor"):
        assert (await stack.call(role, "GET", path)).status_code == 403
    ordered = await stack.call(
        "operator", "POST", f"/v1/cases/{case_id}/erasure", json={"ground": "patient-request", "reference": "R-1"}
    )
    assert ordered.status_code in (200, 202), ordered.text
    refused = await rate(stack, case_id, rating="useful")
    assert (refused.status_code, len(await ratings(stack, case_id))) == (410, 1)
    await stack.reaches(case_id, "filed", events=9)
    assert (await stack.call("supervisor", "GET", path)).status_code == 410


async def test_a_rating_stands_in_the_way_of_no_filing_and_no_correction(stack: Stack) -> None:
    case_id = await stack.discharge()
    await stack.reaches(case_id, "awaiting-review")
    assert (await stack.decide(case_id, "approve")).status_code == 200
    assert (await rate(stack, case_id, rating="useful")).status_code == 200  # before or after its filing
    await stack.reaches(case_id, "filed")
    await amend(stack, case_id)
    assert (await rate(stack, case_id, rating="useless")).status_code == 200
    assert [item.rating for item in await ratings(stack, case_id)] == ["useful", "useless"]
    assert (await verified(stack, case_id)).verified
    documents = [item for item in stack.in_chart("DocumentReference") if item["status"] == "current"]
    assert len(documents) == 1


async def test_what_was_edited_before_the_signature_is_counted_without_its_words(stack: Stack) -> None:
    case_id = await stack.discharge()
    await stack.reaches(case_id, "awaiting-review")
    text = await stack.text(case_id)
    answer = await stack.decide(case_id, "approve", text=text.rstrip("\n") + "\n  - Seen by the dietician Ada.\n")
    assert answer.status_code == 200, answer.text
    signed = next(item.body for item in await history(stack, case_id) if item.name == "approved")
    counts = signed.edits.counts  # type: ignore[union-attr]
    assert counts is not None
    assert {item.kind for item in counts} == {"fact-added"}
    assert "Ada" not in signed.model_dump_json()

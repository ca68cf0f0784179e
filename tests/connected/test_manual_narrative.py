"""A physician writes the narrative: on the page without a script, and by the API, through the same gate."""

from typing import Any

import lxml.html
import pytest

from shared.contracts import authorship
from shared.contracts.draft import TO_BE_WRITTEN
from shared.messaging.buckets import Bucket
from tests.connected.test_corrections import by_identifier, text_in
from tests.connected.test_corrections_page import form, send
from tests.support.corrections import verified
from tests.support.ehr import stays
from tests.support.physician import unconfirmed_sentences
from tests.support.stack import Stack

pytestmark = pytest.mark.connected

TRUE = "The patient was discharged home."
FALSE = "She was given warfarin 5 mg."


async def open_editor(stack: Stack, case_id: str, note: str = "") -> lxml.html.HtmlElement:
    answer = await stack.call("physician", "GET", f"/reviews/{case_id}/write", params={"note": note})
    assert answer.status_code == 200, answer.text
    return lxml.html.fromstring(answer.text)


def filled(text: str, *words: str) -> str:
    """The text with `words` in its open places; the last of them in all that are left."""
    left = [*words]
    lines = []
    for line in text.splitlines():
        lines.append(f"  {left.pop(0) if len(left) > 1 else left[0]}" if TO_BE_WRITTEN in line else line)
    return "\n".join(lines) + "\n"


def alert(of: lxml.html.HtmlElement) -> str:
    return " ".join(item.text_content() for item in of.xpath('//*[@role="alert"]'))


async def waiting(stack: Stack, encounter: str | None = None) -> str:
    case_id = await stack.discharge(encounter)
    await stack.reaches(case_id, "awaiting-review")
    return case_id


async def test_on_the_page_without_a_script(stack: Stack) -> None:
    case_id = await waiting(stack)
    review = await stack.call("physician", "GET", f"/reviews/{case_id}")
    (link,) = lxml.html.fromstring(review.text).xpath('//a[text()="I write the narrative myself"]/@href')
    assert link == f"/reviews/{case_id}/write"
    path = f"/reviews/{case_id}/approve"
    draft = (await stack.review(case_id))["draft"]
    shown = await open_editor(stack, case_id)
    assert not shown.xpath('//*[contains(@class, "sentence")]'), "no sentence of the draft"
    assert [item.text_content() for item in shown.xpath('//h2[@class=""] | //section[@data-part]/h2')] == [
        part["title"] for part in draft["parts"]
    ]
    fields = form(shown, path)
    assert fields["text"][0] == draft["to_write"]
    nothing = await send(stack, path, fields)
    assert nothing.headers["location"] == f"/reviews/{case_id}/write?note=incomplete"
    assert "write what is still to be written" in alert(await open_editor(stack, case_id, "incomplete"))
    text = filled(fields["text"][0], f"{TRUE} {FALSE}", TRUE)
    looked = await send(stack, f"/reviews/{case_id}/look", fields | {"text": text.replace("\n", "\r\n")})
    assert looked.headers["location"] == f"/reviews/{case_id}/write#signing"
    shown = await open_editor(stack, case_id)
    fields = form(shown, path)
    assert fields["text"][0] == text, "kept"
    asked = shown.xpath('//input[@name="written"]/@value')
    assert "warfarin" in " ".join(item.text_content() for item in shown.xpath('//li[starts-with(@id, "w")]'))
    acknowledged = shown.xpath('//input[@name="acknowledged"]/@value')
    refused = await send(stack, path, fields | {"acknowledged": acknowledged})
    assert refused.headers["location"] == f"/reviews/{case_id}/write?note=unresolved"
    signed = await send(stack, path, fields | {"acknowledged": acknowledged, "written": asked})
    assert signed.headers["location"] == f"/reviews/{case_id}"
    case = await stack.reaches(case_id, "filed")
    (approved,) = [event["detail"] for event in case["events"] if event["event"] == "approved"]
    assert approved["narrative"] == "physician"
    assert set(approved["edits"]["changed"]) == set(range(len(draft["sentences"])))
    assert [item["digest"] for item in approved["written"]] == asked
    filed = by_identifier(stack, case_id)["final"]
    assert text_in(filed) == text
    assert text.splitlines()[-1] == authorship.authorship_line("physician")
    assert [item["code"] for item in filed["meta"]["security"]] == ["CLINAST"]
    assert (await verified(stack, case_id)).verified
    after = await stack.call("physician", "GET", f"/reviews/{case_id}/write")
    assert (after.status_code, after.headers["location"]) == (303, f"/reviews/{case_id}")


async def test_by_the_api(stack: Stack) -> None:
    case_id = await waiting(stack)
    draft = (await stack.review(case_id))["draft"]
    unwritten = await stack.decide(case_id, "approve", text=draft["to_write"])
    assert (unwritten.status_code, unwritten.json()["errors"][0]["field"]) == (422, "text")
    text = filled(draft["to_write"], FALSE)
    refused = await stack.decide(case_id, "approve", text=text, written=[])
    assert refused.status_code == 409
    another = text.replace(authorship.authorship_line("physician"), draft["text"].splitlines()[-1])
    own = unconfirmed_sentences(refused)
    untrue = await stack.decide(case_id, "approve", text=another, written=own)
    assert (untrue.status_code, untrue.json()["title"]) == (
        422,
        "The statement about who wrote the narrative is not true",
    )
    assert (await stack.decide(case_id, "approve", text=text, written=own)).status_code == 200
    await stack.reaches(case_id, "filed")
    assert text_in(by_identifier(stack, case_id)["final"]) == text


async def test_an_untrue_line_is_put_right_and_shown_before_it_is_signed(stack: Stack) -> None:
    """A browser without a script, in which somebody writes over every sentence of the draft."""
    case_id = await waiting(stack)
    path = f"/reviews/{case_id}/approve"
    draft = (await stack.review(case_id))["draft"]
    answer = await stack.call("physician", "GET", f"/reviews/{case_id}")
    fields = form(lxml.html.fromstring(answer.text), path)
    line = draft["text"].splitlines()[-1]
    text = filled(draft["to_write"], TRUE).replace(authorship.authorship_line("physician"), line)
    shown = lxml.html.fromstring(answer.text)
    fields |= {"text": text, "acknowledged": shown.xpath('//input[@name="acknowledged"]/@value')}
    looked = await stack.call("physician", "POST", f"/reviews/{case_id}/working", data=fields)
    found: Any = lxml.html.fragment_fromstring(looked.text)
    assert (found.get("data-line"), found.get("data-line-now")) == (line, authorship.authorship_line("physician")), (
        "for the script"
    )
    own = found.xpath('.//input[@name="written"]/@value')
    refused = await send(stack, path, fields | {"written": own})
    assert refused.headers["location"] == f"/reviews/{case_id}?note=misleading"
    answer = await stack.call("physician", "GET", f"/reviews/{case_id}", params={"note": "misleading"})
    assert "It has been put right" in alert(lxml.html.fromstring(answer.text))
    seen = {"acknowledged": fields["acknowledged"]}  # the boxes stand outside of the form, which lxml does not know
    fields = form(lxml.html.fromstring(answer.text), path) | seen
    assert fields["text"][0] == text.replace(line, authorship.authorship_line("physician"))
    assert (await send(stack, path, fields)).headers["location"] == f"/reviews/{case_id}"
    await stack.reaches(case_id, "filed")


async def test_what_is_written_outlives_a_new_draft_and_its_ticks_do_not(stack: Stack) -> None:
    case_id = await waiting(stack, stays()[2])  # a stay with open points
    fields = form(await open_editor(stack, case_id), f"/reviews/{case_id}/approve")
    text = filled(fields["text"][0], TRUE)
    await send(stack, f"/reviews/{case_id}/look", fields | {"text": text, "acknowledged": ["0"]})
    assert (await open_editor(stack, case_id)).xpath('//input[@name="acknowledged"][@checked]')
    await stack.decide(case_id, "reject", action="redraft", reason="Mention the stairs.")
    await stack.reaches(case_id, "awaiting-review", events=8)
    stale = await send(stack, f"/reviews/{case_id}/approve", fields | {"text": text})
    assert stale.headers["location"] == f"/reviews/{case_id}/write?note=stale"
    shown = await open_editor(stack, case_id, "stale")
    assert "Nothing was signed" in alert(shown)
    kept = form(shown, f"/reviews/{case_id}/approve")
    assert kept["text"][0] == text
    assert kept["digest"] != fields["digest"]
    assert not shown.xpath('//input[@name="acknowledged"][@checked]'), "its points are others"


async def test_who_may_not_decide_is_shown_the_draft(stack: Stack) -> None:
    case_id = await waiting(stack)
    await stack.decide(case_id, "reject", action="close", reason="It is written in the EHR.")
    await stack.reaches(case_id, "closed", events=6)
    answer = await stack.call("physician", "GET", f"/reviews/{case_id}/write")
    assert answer.headers["location"] == f"/reviews/{case_id}"
    assert (await stack.call("auditor", "GET", f"/reviews/{case_id}/write")).status_code == 403


async def test_what_is_saved_after_the_decision_is_not_kept(stack: Stack) -> None:
    """The page saves by itself: a save may arrive after the signature that the same browser has sent."""
    case_id = await waiting(stack)
    fields = form(await open_editor(stack, case_id), f"/reviews/{case_id}/approve")
    copies = Bucket(await stack.server.connect("approval"), "working")
    saved = await stack.call("physician", "POST", f"/reviews/{case_id}/working", data=fields)
    assert saved.status_code == 200
    assert [entry async for entry in copies.scan(case_id)]
    assert (await stack.decide(case_id, "approve")).status_code == 200
    late = await stack.call("physician", "POST", f"/reviews/{case_id}/working", data=fields)
    assert late.status_code == 200
    assert not [entry async for entry in copies.scan(case_id)]

"""In a real browser: a narrative written by hand, and two drafts beside each other."""

import re
from collections.abc import Awaitable, Callable

import pytest
from playwright.async_api import expect

from shared.contracts import authorship
from tests.browser.conftest import PHYSICIAN, Ward
from tests.browser.test_review_page import TEXT, settle
from tests.support.accessibility import assert_accessible
from tests.support.generator import ScriptedGenerator

pytestmark = [pytest.mark.connected, pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

OTHER = TEXT.replace("She was given Ibuprofen 400 mg.", "She was given Ibuprofen 600 mg at night.")


@pytest.mark.parametrize("width", [360, 1440])
async def test_a_physician_writes_the_narrative(make_ward: Callable[..., Awaitable[Ward]], width: int) -> None:
    ward = await make_ward(generator=ScriptedGenerator(TEXT))
    case_id = await ward.case_with_open_points()
    page = await ward.person(PHYSICIAN, viewport={"width": width, "height": 800})
    await page.goto(f"{ward.url}/reviews/{case_id}")
    await page.get_by_role("link", name="I write the narrative myself").click()
    await expect(page.get_by_role("heading", level=1)).to_contain_text("written by hand")
    await expect(page.locator(".sentence")).to_have_count(0)
    await expect(page.get_by_role("button", name="Keep it, and check")).to_have_count(0)
    await assert_accessible(page)
    for tick in await page.get_by_role("checkbox", name="I have seen this").all():
        await tick.check()
    text = page.get_by_role("textbox", name="The document, as it will be signed")
    counter = page.locator("#open-ends")
    await expect(counter).to_have_text("2 need your decision")
    await page.get_by_role("button", name="Countersign").click()
    await expect(text).to_be_focused()  # what is to be written is selected: typing takes its place
    await page.keyboard.type("She was given warfarin 5 mg.")
    await expect(page.get_by_role("heading", name="What you wrote, compared with the record")).to_be_visible()
    await expect(counter).to_have_text("2 need your decision")  # the other place, and what the record does not have
    await page.reload()
    await expect(text).to_have_value(re.compile("warfarin 5 mg"))
    await counter.click()
    await page.get_by_role("checkbox", name="Confirm: it is true").check()
    await expect(counter).to_have_text("1 needs your decision")
    await counter.click()
    await page.keyboard.type("The patient was discharged home.")
    await expect(counter).to_be_hidden()
    await assert_accessible(page)
    await page.get_by_role("button", name="Countersign").click()
    await expect(page.locator(".note.fine")).to_contain_text("Countersigned by Dr. Maxine Gee")
    signed = page.get_by_label("The signed document")
    await expect(signed).to_contain_text(authorship.authorship_line("physician"))
    await expect(signed).not_to_contain_text("Ibuprofen 400 mg")
    case = await ward.stack.reaches(case_id, "filed")
    approved = next(event["detail"] for event in case["events"] if event["event"] == "approved")
    assert (approved["narrative"], len(approved["written"])) == ("physician", 1)
    assert approved["reading"]["seen"] >= 1


async def test_the_line_that_says_who_wrote_it_follows_the_text(make_ward: Callable[..., Awaitable[Ward]]) -> None:
    ward = await make_ward(generator=ScriptedGenerator(TEXT))
    case_id = await ward.case()
    page = await ward.person(PHYSICIAN)
    await page.goto(f"{ward.url}/reviews/{case_id}")
    text = page.get_by_role("textbox", name="The document, as it will be signed")
    await expect(text).to_have_value(re.compile(re.escape(authorship.authorship_line("model"))))
    first = page.locator(".sentence.unsupported").first
    await first.get_by_role("button", name="Remove").click()
    await expect(text).to_have_value(re.compile(re.escape(authorship.authorship_line("model", changed=True))))
    await settle(page)
    await page.get_by_role("button", name="Countersign").click()
    await expect(page.get_by_label("The signed document")).to_contain_text(
        authorship.authorship_line("model", changed=True)
    )


async def test_a_new_draft_stands_beside_the_one_before(make_ward: Callable[..., Awaitable[Ward]]) -> None:
    generator = ScriptedGenerator(TEXT)
    ward = await make_ward(generator=generator)
    case_id = await ward.case()
    page = await ward.person(PHYSICIAN)
    await page.goto(f"{ward.url}/reviews/{case_id}")
    await expect(page.locator("#compared")).to_have_count(0)
    generator.text = OTHER
    await page.get_by_text("Do not sign it").click()
    await page.get_by_label("Why, in your words").fill("<b>Mention</b> the dose at night.")
    await page.get_by_role("button", name="Refuse the draft").click()
    await expect(page.get_by_role("heading", level=1)).to_contain_text("draft 2")
    await page.get_by_role("link", name="Draft 1 beside it").press("Enter")
    await expect(page.locator("#compared")).to_be_focused()
    await expect(page.locator("#compared")).to_contain_text(
        "Dr. Maxine Gee asked for: “<b>Mention</b> the dose at night.”"
    )
    table = page.get_by_role("table", name="Draft 1 and draft 2, side by side")
    row = table.get_by_role("row").filter(
        has=page.get_by_role("rowheader", name=re.compile("changed.*Hospital course"))
    )
    before, after = row.get_by_role("cell").nth(0), row.get_by_role("cell").nth(1)
    await expect(before.locator("del")).to_have_text(["400 mg."])
    await expect(after.locator("ins")).to_have_text(["600 mg at night."])
    one, other = await before.bounding_box() or {}, await after.bounding_box() or {}
    assert one["y"] == other["y"], "side by side"
    await assert_accessible(page)
    struck = "cell => getComputedStyle(cell.querySelector('del, ins')).textDecorationLine"
    assert (await before.evaluate(struck), await after.evaluate(struck)) == ("line-through", "underline")
    for narrow in ("phone", "print"):
        if narrow == "phone":
            await page.set_viewport_size({"width": 360, "height": 740})
            await assert_accessible(page)
        else:
            await page.set_viewport_size({"width": 1000, "height": 740})
            await page.emulate_media(media="print")
        one, other = await before.bounding_box() or {}, await after.bounding_box() or {}
        assert other["y"] >= one["y"] + one["height"], narrow
        said = "cell => getComputedStyle(cell, '::before').content"
        assert await after.evaluate(said) in ('"Draft 2: "', '"Draft 2" ": "', 'attr(data-column) ": "'), narrow

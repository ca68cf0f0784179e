"""The physician's thirty seconds, in a real browser: from the sign-in to the signature, and every way around it."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from playwright.async_api import Page, Route, expect

from shared.runtime.time_zones import TimeZones
from tests.browser.conftest import COLLEAGUE, PHYSICIAN, SUPERVISOR, Ward
from tests.support.accessibility import EVERY_VIEW, assert_accessible
from tests.support.generator import ScriptedGenerator

pytestmark = [pytest.mark.connected, pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

TEXT = (
    "She was admitted with a cerebral infarction. She was given Ibuprofen 400 mg.\n\n"
    "Instructions: Take your medicines as they are listed. Take Ibuprofen 400 mg when it hurts."
)


async def settle(page: Page) -> None:
    """Deal with every open point and every sentence that the record does not support."""
    for tick in await page.get_by_role("checkbox", name="I have seen this").all():
        await tick.check()
    for tick in await page.get_by_role("checkbox", name="Confirm: it is true").all():
        await tick.check()
    await expect(page.locator("#open-ends")).to_be_hidden()


async def open_case(page: Page, case_id: str) -> None:
    await page.locator(f'a[href="/reviews/{case_id}"]').click()
    await expect(page.get_by_role("heading", level=1)).to_contain_text("summary")


async def test_sign_in_open_evidence_edit_approve(make_ward: Callable[..., Awaitable[Ward]]) -> None:
    ward = await make_ward(generator=ScriptedGenerator(TEXT))
    page = await ward.person(PHYSICIAN)
    await expect(page.get_by_text("Nothing waits")).to_be_visible()
    case_id = await ward.case()
    await open_case(page, case_id)  # it came without a reload
    await expect(page.locator(".identity")).to_contain_text("Patient:")
    supported = page.locator(".sentence.supported").first
    await expect(supported.locator(".evidence")).to_be_hidden()
    await supported.locator("summary").click()
    await expect(supported.locator(".evidence")).to_be_visible()
    await settle(page)
    said = await page.locator(".sentence .said").first.inner_text()
    await page.locator(".sentence").first.evaluate("box => box.querySelector('details').open = true")
    await page.locator(".sentence").first.get_by_role("button", name="Change").click()
    await page.get_by_label("Change the sentence").fill("She came with a stroke.")
    await expect(page.locator(".diff ins").first).to_be_visible()
    await page.reload()
    text = page.get_by_role("textbox", name="The document, as it will be signed")
    await expect(text).to_have_value(re.compile("She came with a stroke."))
    await expect(text).not_to_have_value(re.compile(re.escape(said)))
    first = page.locator(".sentence").first  # what would be written there would go nowhere
    await first.evaluate("box => box.querySelector('details').open = true")
    await expect(first.get_by_role("button", name="Change")).to_be_hidden()
    await expect(first.get_by_text("Changed or removed in the document")).to_be_visible()
    await text.fill((await text.input_value()).replace("She came with a stroke.", said))
    await expect(first.get_by_role("button", name="Change")).to_be_visible()
    await text.fill((await text.input_value()).replace(said, "She came with a stroke."))
    await expect(page.locator(".diff ins").first).to_be_visible()
    await page.get_by_role("button", name="Countersign").click()
    await page.locator("#rating").get_by_text("Add why").click()
    await page.locator("#rating-words").fill("Too long.")  # it stays, also when the document is filed in the meantime
    await expect(page.locator(".note.fine")).to_contain_text("Countersigned by Dr. Maxine Gee")
    await expect(page.get_by_label("The signed document")).to_contain_text("She came with a stroke.")
    case = await ward.stack.reaches(case_id, "filed")
    approved = next(event["detail"] for event in case["events"] if event["event"] == "approved")
    assert approved["edits"]["distance"] > 0
    assert 0 in approved["edits"]["changed"]
    assert approved["by"]["method"] == "demo"
    assert approved["reading"]["parts"] == 6
    assert approved["reading"]["seen"] >= 1, "the first part is in view at once"
    await page.locator("#rating").get_by_role("button", name="Edited much").click()
    await expect(page.locator("#rating").get_by_role("status")).to_contain_text("You rated it Edited much")
    await expect(page.locator("#rating-words")).to_have_value("Too long.")


async def test_what_the_record_does_not_support_holds_the_signature_up(
    make_ward: Callable[..., Awaitable[Ward]],
) -> None:
    ward = await make_ward(generator=ScriptedGenerator(TEXT))
    page = await ward.person(PHYSICIAN)
    case_id = await ward.case()
    await open_case(page, case_id)
    await expect(page.locator(".sentence.unsupported").first).to_contain_text(
        re.compile("not in the record|contradicts the record", re.I)
    )
    for tick in await page.get_by_role("checkbox", name="I have seen this").all():
        await tick.check()
    await page.get_by_role("button", name="Countersign").click()
    await expect(page.locator(".sentence.unsupported summary").first).to_be_focused()
    assert (await ward.stack.case(case_id))["state"] == "awaiting-review"
    # A browser that sends it all the same is refused by the server.
    await page.evaluate("document.getElementById('sign').submit()")
    await expect(page.get_by_role("alert")).to_contain_text("Not signed yet")
    for box in await page.locator(".sentence.unsupported").all():
        await box.get_by_role("button", name="Remove").click()
        await expect(box).to_have_class(re.compile("settled"))
    await page.get_by_role("button", name="Countersign").click()
    await expect(page.locator(".note.fine")).to_contain_text("Countersigned by")
    await expect(page.get_by_label("The signed document")).not_to_contain_text("Ibuprofen")


async def test_open_points_hold_the_signature_up_until_each_was_seen(make_ward: Callable[..., Awaitable[Ward]]) -> None:
    ward = await make_ward(generator=ScriptedGenerator(TEXT))
    case_id = await ward.case_with_open_points()
    page = await ward.person(PHYSICIAN)
    await open_case(page, case_id)
    await expect(page.locator(".draft > *").first.get_by_role("heading")).to_contain_text("Before you sign")
    points, ticks = page.locator(".point"), page.get_by_role("checkbox", name="I have seen this")
    count = await points.count()
    assert count > 1
    sentences = await page.locator(".sentence.unsupported").count()
    assert sentences > 0
    counter = page.locator("#open-ends")
    await expect(counter).to_have_text(f"{count + sentences} need your decision")
    await ticks.first.check()
    await expect(points.first).to_have_class(re.compile("settled"))
    await expect(counter).to_have_text(f"{count + sentences - 1} need your decision")
    await page.reload()  # kept with what was typed
    await expect(ticks.first).to_be_checked()
    await expect(ticks.nth(1)).not_to_be_checked()
    await page.get_by_role("button", name="Countersign").click()
    await expect(ticks.nth(1)).to_be_focused()
    assert (await ward.stack.case(case_id))["state"] == "awaiting-review"
    for tick in await page.get_by_role("checkbox", name="Confirm: it is true").all():
        await tick.check()
    await expect(counter).to_have_text(re.compile(f"^{count - 1} needs? your decision$"))
    # A browser that sends it all the same is refused by the server.
    await page.evaluate("document.getElementById('sign').submit()")
    await expect(page.get_by_role("alert")).to_contain_text("Not signed yet: look at every open point")
    text = await points.last.locator("span").inner_text()
    await settle(page)
    await page.get_by_role("button", name="Countersign").click()
    await expect(page.locator(".note.fine")).to_contain_text("Countersigned by")
    await expect(page.get_by_role("heading", name="Open points of the draft")).to_be_visible()
    await expect(ticks).to_have_count(0)
    await expect(page.get_by_label("The signed document")).not_to_contain_text(text)


async def test_a_tick_made_while_the_server_answers_stays(ward: Ward) -> None:
    """The answer to an earlier keystroke arrives after the tick: one press on the button signs all the same."""
    case_id = await ward.case()
    page = await ward.person(PHYSICIAN)
    await page.goto(f"{ward.url}/reviews/{case_id}")
    await settle(page)
    answered = asyncio.Event()

    async def late(route: Route) -> None:
        answer = await route.fetch()
        await answered.wait()
        await route.fulfill(response=answer)

    text = page.get_by_role("textbox", name="The document, as it will be signed")
    await text.fill(await text.input_value() + "\nSeen on the ward round.\n")
    confirm = page.locator('input[name="written"]')
    await expect(confirm).not_to_be_checked()
    await expect(page.get_by_role("status")).to_contain_text("Saved at")
    await page.route("**/working", late)
    async with page.expect_request("**/working"):
        await text.fill(await text.input_value() + "\n")
    await confirm.check()
    await page.get_by_role("button", name="Countersign").click()
    answered.set()
    await expect(page.locator(".note.fine")).to_contain_text("Countersigned by Dr. Maxine Gee")
    await ward.stack.reaches(case_id, "filed")


async def test_medicines_are_a_table_and_lines_on_a_phone(ward: Ward) -> None:
    case_id = await ward.case_with_open_points()
    page = await ward.person(PHYSICIAN)
    await page.goto(f"{ward.url}/reviews/{case_id}")
    table = page.get_by_role("table", name="Medication reconciliation")
    await expect(table.get_by_role("columnheader", name="Change")).to_be_visible()
    row = table.get_by_role("row").filter(has=page.get_by_role("rowheader", name="Celecoxib"))
    await expect(row.get_by_role("cell", name=re.compile("^unclear"))).to_be_visible()
    medicine, change = row.get_by_role("rowheader"), row.get_by_role("cell", name=re.compile("unclear"))
    assert (await medicine.bounding_box() or {})["y"] == (await change.bounding_box() or {})["y"]
    await page.set_viewport_size({"width": 360, "height": 740})
    await expect(table.get_by_role("columnheader")).to_have_count(0)
    await expect(row.get_by_role("cell", name=re.compile("^Change: unclear"))).to_be_visible()
    above, below = await medicine.bounding_box() or {}, await change.bounding_box() or {}
    assert below["y"] >= above["y"] + above["height"]
    assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")


async def test_times_are_the_departments(make_ward: Callable[..., Awaitable[Ward]]) -> None:
    ward = await make_ward(zones=TimeZones(time_zone=ZoneInfo("Asia/Kolkata")))
    case_id = await ward.case()
    page = await ward.person(PHYSICIAN)
    await page.goto(f"{ward.url}/reviews/{case_id}")
    first = (await ward.stack.case(case_id))["events"][0]
    words = f"{datetime.fromisoformat(first['time']).astimezone(ZoneInfo('Asia/Kolkata')):%d %b %Y, %H:%M} IST"
    await expect(page.locator(".timeline li").first).to_contain_text(words)
    await page.get_by_role("textbox", name="The document, as it will be signed").press("End")
    await page.keyboard.type(" ")
    await expect(page.locator("#changes [role=status]")).to_contain_text(re.compile(r"Saved at \d\d:\d\d:\d\d IST"))


async def test_reject_and_redraft(ward: Ward) -> None:
    page = await ward.person(PHYSICIAN)
    case_id = await ward.case()
    await open_case(page, case_id)
    await page.get_by_text("Do not sign it").click()
    await page.get_by_label("Why, in your words").fill("Say more about the follow-up.")
    await page.get_by_role("button", name="Refuse the draft").click()
    await expect(page.get_by_role("heading", level=1)).to_contain_text("draft 2")
    await settle(page)
    await page.get_by_role("button", name="Countersign").click()
    await expect(page.locator(".note.fine")).to_contain_text("Countersigned by")


async def test_reassign(ward: Ward) -> None:
    page, other = await ward.person(PHYSICIAN), await ward.person(COLLEAGUE)
    case_id = await ward.case()
    await open_case(other, case_id)
    await expect(other.get_by_text("You may read this and not decide it")).to_be_visible()
    await expect(other.get_by_role("button", name="Countersign")).to_have_count(0)
    await open_case(page, case_id)
    await page.get_by_text("Give it to somebody else").click()
    await page.get_by_label("Practitioner").fill("Mos")
    await expect(page.locator("#people option")).to_have_attribute("value", "DR-IM-002")
    await page.get_by_label("Practitioner").fill("DR-IM-002")
    await page.get_by_label("Why", exact=True).fill("I am away.")
    await page.get_by_role("button", name="Reassign").click()
    await expect(page.get_by_text("The review was given to somebody else")).to_be_visible()
    await expect(other.get_by_role("button", name="Countersign")).to_be_visible()  # without a reload


async def test_two_at_once(ward: Ward) -> None:
    """One signs; the other is told who did, and sees the signed text."""
    both = [await ward.person(PHYSICIAN), await ward.person(SUPERVISOR)]
    case_id = await ward.case()
    for page in both:
        await open_case(page, case_id)
        await settle(page)
    await asyncio.gather(*(page.evaluate("document.getElementById('sign').requestSubmit()") for page in both))
    for page in both:
        await expect(page.locator(".note.fine")).to_contain_text("Countersigned by")
        await expect(page.get_by_label("The signed document")).to_contain_text("SUMMARY")
    case = await ward.stack.reaches(case_id, "filed")
    (approved,) = [event for event in case["events"] if event["event"] == "approved"]
    for page in both:
        await expect(page.locator(".note.fine")).to_contain_text(approved["detail"]["by"]["name"])


async def test_escalation_is_seen_and_the_supervisor_takes_over(make_ward: Callable[..., Awaitable[Ward]]) -> None:
    ward = await make_ward(escalate_after=tuple(timedelta(seconds=second) for second in (1, 2, 3)))
    boss = await ward.person(SUPERVISOR)
    case_id = await ward.case()
    await expect(boss.locator(".late")).to_contain_text("with the supervisor", timeout=15_000)
    await open_case(boss, case_id)
    await settle(boss)
    await boss.get_by_role("button", name="Countersign").click()
    await expect(boss.locator(".note.fine")).to_contain_text("Countersigned by Supervisor")


async def test_by_keyboard_alone(make_ward: Callable[..., Awaitable[Ward]]) -> None:
    true = TEXT.replace("She was admitted with a cerebral infarction", "The patient was discharged home")
    ward = await make_ward(generator=ScriptedGenerator(true))
    page = await (await ward.context()).new_page()
    await page.goto(ward.url)
    case_id = await ward.case_with_open_points()

    async def tab_to(selector: str, words: str = "") -> None:
        reached = """([wanted, words]) => {
            const now = document.activeElement;
            return now.matches(wanted) && now.textContent.includes(words);
        }"""
        for _ in range(200):
            await page.keyboard.press("Tab")
            if await page.evaluate(reached, [selector, words]):
                return
        raise AssertionError(f"the keyboard does not reach {selector}")

    await tab_to(".people button", PHYSICIAN)
    await page.keyboard.press("Enter")
    await expect(page.locator(".reviews")).to_be_visible()
    await tab_to(f'a[href="/reviews/{case_id}"]')
    await page.keyboard.press("Enter")
    await expect(page.locator(".identity")).to_be_visible()
    for _ in range(await page.locator(".point").count()):
        await tab_to(".point:not(.settled) [name=acknowledged]")
        await page.keyboard.press("Space")
    await tab_to(".supported summary")
    await expect(page.locator(".supported .evidence").first).to_be_visible()
    for _ in range(await page.locator(".unsupported").count()):
        await tab_to(".unsupported:not(.settled) [name=confirmed]")
        await page.keyboard.press("Space")
    await expect(page.locator("#open-ends")).to_be_hidden()
    await tab_to("#sign button.main")
    await page.keyboard.press("Enter")
    await expect(page.locator(".note.fine")).to_contain_text("Countersigned by")


async def test_every_page_holds_wcag_and_fits(make_ward: Callable[..., Awaitable[Ward]]) -> None:
    ward = await make_ward(generator=ScriptedGenerator(TEXT))
    case_id = await ward.case_with_open_points()
    page = await ward.person(PHYSICIAN)
    looked = [f"{ward.url}/", f"{ward.url}/reviews/{case_id}", f"{ward.url}/sign-in", f"{ward.url}/reviews/nothing"]
    for address in looked:
        await page.goto(address)
        if address.endswith(case_id):
            for summary in await page.locator(".side summary").all():
                await summary.click()
        await assert_accessible(page, address, EVERY_VIEW)
    await page.goto(f"{ward.url}/reviews/{case_id}")
    await settle(page)
    await page.get_by_role("button", name="Countersign").click()
    await expect(page.locator(".note.fine")).to_contain_text("Countersigned by")
    await ward.stack.reaches(case_id, "filed")
    page = await page.context.new_page()
    await page.goto(f"{ward.url}/reviews/{case_id}")
    await page.locator("#rating").get_by_text("Add why").click()
    await page.locator("#rating").get_by_label("Why, in your words").fill("The course was short and right.")
    await page.locator("#rating").get_by_role("button", name="Useful").click()
    await expect(page.locator("#rating").get_by_role("status")).to_contain_text("You rated it Useful")
    await assert_accessible(page, "the rating", EVERY_VIEW)


async def test_it_works_without_its_script(ward: Ward) -> None:
    case_id = await ward.case_with_open_points()
    page = await ward.person(PHYSICIAN, java_script_enabled=False)
    await page.locator(f'a[href="/reviews/{case_id}"]').click()
    for tick in await page.locator("[name=acknowledged], [name=confirmed]").all():
        await tick.check()
    await page.get_by_role("button", name="Countersign").click()
    await expect(page.locator(".note.fine")).to_contain_text("Countersigned by")
    case = await ward.stack.reaches(case_id, "filed")
    approved = next(event["detail"] for event in case["events"] if event["event"] == "approved")
    assert "reading" not in approved, "what nobody measured is not on the trail"
    await page.goto(f"{ward.url}/reviews/{case_id}")
    await page.get_by_role("button", name="Edited much").click()
    await expect(page.get_by_role("status").filter(has_text="You rated it")).to_contain_text("Edited much")
    rated = (await ward.stack.case(case_id))["events"][-1]
    assert (rated["event"], rated["detail"]["rating"]) == ("rated", "edited-much")

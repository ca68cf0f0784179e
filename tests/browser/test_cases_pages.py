"""The operator at night: which cases have stopped, why, and back to work; with named searches and without a script."""

import re

import pytest
from playwright.async_api import expect

from tests.browser.conftest import Ward
from tests.support.accessibility import View, assert_accessible
from tests.support.ehr import stays

pytestmark = [pytest.mark.connected, pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

OPERATOR = "Operator of the platform"


async def stopped_case(ward: Ward) -> str:
    """A case that has stopped, as the EHR has no such encounter yet; it has one when this returns."""
    case_id = await ward.stack.discharge("not-there-yet")
    await ward.stack.reaches(case_id, "failed")
    encounter = ward.stack.ehr.store.get("Encounter", stays()[0])
    assert encounter is not None
    ward.stack.ehr.store.put(encounter | {"id": "not-there-yet"})
    return case_id


VIEWS: tuple[View, ...] = ((1440, "light"), (1440, "dark"), (360, "light"))


async def test_an_operator_finds_a_stopped_case_reads_why_and_retries_it(ward: Ward) -> None:
    waits, failed = await ward.case(), await stopped_case(ward)
    page = await ward.person(OPERATOR)
    await expect(page).to_have_url(f"{ward.url}/cases")
    await expect(page.get_by_role("link", name="All 2")).to_have_attribute("aria-current", "page")
    await assert_accessible(page, "cases", VIEWS)
    await page.get_by_role("navigation", name="Views").get_by_role("link", name="Stopped").click()
    await expect(page.get_by_role("row")).to_have_count(2)  # the header, and
    await expect(page.get_by_role("row", name=failed)).to_contain_text("the EHR has no such encounter")
    await expect(page.get_by_text(waits)).to_have_count(0)
    await page.get_by_role("link", name=failed).click()
    await expect(page.get_by_role("heading", name=re.compile("extract.*gave up"))).to_be_visible()
    await expect(page.locator("#failure")).to_contain_text("the EHR has no such encounter")
    await expect(page.get_by_role("link", name="Dead letter 1")).to_have_attribute("href", "/dead-letters/1")
    await assert_accessible(page, "case-stopped", VIEWS)
    why = page.get_by_label("Why it will work now")
    await page.get_by_role("button", name="Retry the step").click()
    await expect(why).to_be_focused()  # the browser asks for the reason
    await why.fill("The encounter is in the EHR now")
    await page.get_by_role("button", name="Retry the step").click()
    await expect(page.locator(".note.fine")).to_contain_text("tried again")
    await ward.stack.reaches(failed, "awaiting-review")
    await page.reload()
    await expect(page.locator(".state .chip")).to_have_text("Waits for a signature")
    await expect(page.locator(".events li").filter(has_text="put the step back to work")).to_contain_text("operator")
    await assert_accessible(page, "case-waits", VIEWS)
    await page.get_by_text("Withdraw the case").click()
    await page.get_by_label("Why no document is needed").fill("The stay was entered for a test")
    confirmed = page.get_by_label("The patient needs no discharge document")
    await page.get_by_role("button", name="Withdraw").click()
    await expect(confirmed).to_be_focused()  # the browser asks for it
    await confirmed.check()
    await assert_accessible(page, "case-withdrawal", VIEWS)
    await page.get_by_role("button", name="Withdraw").click()
    await expect(page.locator(".note.fine")).to_contain_text("withdrawn")
    await expect(page.locator(".events li").first).to_contain_text("The stay was entered for a test")
    await expect(page.get_by_text("Withdraw the case")).to_have_count(0)
    async with page.expect_download() as download:
        await page.get_by_role("link", name="Download as JSON").click()
    assert (await download.value).suggested_filename == f"case-{failed}.json"
    await page.get_by_role("link", name="Cases", exact=True).first.click()
    await expect(page.get_by_role("row")).to_have_count(3)


async def test_a_search_is_narrowed_named_and_found_again(ward: Ward) -> None:
    await ward.case()
    page = await ward.person(OPERATOR, java_script_enabled=False)
    await page.get_by_label("Case or encounter").fill("no-such-encounter")
    await page.get_by_role("button", name="Show").click()
    await expect(page.get_by_text("No case is like that.")).to_be_visible()
    await page.get_by_label("Case or encounter").fill(stays()[0])
    await page.get_by_label("Department").select_option("internal-medicine")
    await page.get_by_role("button", name="Show").click()
    await expect(page.get_by_role("row")).to_have_count(2)
    await page.get_by_text("Saved views").click()
    await page.get_by_label("Name of this search").fill("The one stay")
    await page.get_by_role("button", name="Save it").click()
    await expect(page.get_by_role("status")).to_contain_text("saved")
    await page.goto(f"{ward.url}/cases")
    views = page.get_by_role("navigation", name="Views")
    await views.get_by_role("link", name="The one stay").click()
    await expect(page.get_by_label("Case or encounter")).to_have_value(stays()[0])
    await page.get_by_text("Saved views").click()
    await page.get_by_role("button", name="Remove the view The one stay").click()
    await expect(page.get_by_role("status")).to_contain_text("removed")
    await expect(views.get_by_role("link")).to_have_count(4)


async def test_an_auditor_reads_and_changes_nothing(ward: Ward) -> None:
    failed = await stopped_case(ward)
    page = await ward.person("Auditor")
    await page.goto(f"{ward.url}/cases/{failed}")
    await expect(page.get_by_text("An operator can retry the step.")).to_be_visible()
    await expect(page.get_by_role("button", name="Retry the step")).to_have_count(0)
    await expect(page.get_by_role("link", name="Dead letter 1")).to_have_count(0)

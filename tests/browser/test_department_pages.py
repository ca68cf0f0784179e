"""The supervisor's area in a real browser: who has what open, reminders, reviews given to somebody else, absences."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from playwright.async_api import expect

from sandbox_ehr.seed import demo_encounters
from tests.browser.conftest import SUPERVISOR, Ward
from tests.support.accessibility import assert_accessible
from tests.support.channels import channels, write_directory
from tests.support.stack import until

pytestmark = [pytest.mark.connected, pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

DEPARTMENT = "internal-medicine"


async def cases(ward: Ward, count: int) -> list[str]:
    """Open reviews of the department, of as many stays."""
    stays = [stay for stay in demo_encounters() if stay.department == DEPARTMENT][:count]
    return [
        await ward.case(encounter=stay.encounter, attending=stay.attending, department=DEPARTMENT) for stay in stays
    ]


async def test_reviews_by_attending_given_to_somebody_else_and_what_was_decided_meanwhile(
    ward: Ward,
) -> None:
    first, second, third = await cases(ward, 3)
    page = await ward.person(SUPERVISOR)
    await page.get_by_role("navigation", name="Areas").get_by_role("link", name="Department").click()
    attending = page.get_by_role("table", name="By attending physician")
    await expect(attending.get_by_role("row", name="Dr. Maxine Gee")).to_contain_text("2")
    await assert_accessible(page)
    await page.locator("select[name=attending]").select_option(label="Dr. Maxine Gee")
    await page.get_by_role("button", name="Show").click()
    await expect(page.locator("[name=case]")).to_have_count(2)
    await page.get_by_role("button", name="Reassign…").click()
    await expect(page.get_by_role("alert")).to_contain_text("select at least one review")
    await page.get_by_role("checkbox", name="Select all that are listed").check()
    await page.get_by_role("button", name="Reassign…").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Give 3 reviews to somebody else")
    await assert_accessible(page)
    await ward.stack.decide(first, "approve")
    await page.get_by_label("Practitioner").fill("DR-IM-001")
    await page.get_by_label("Why").fill("Leave")
    await page.get_by_role("button", name="Reassign 3 reviews").click()
    await expect(page.get_by_role("heading", level=1)).to_contain_text("2 of 3 reviews given to Dr.")
    await expect(page.get_by_role("row").filter(has_text="unchanged")).to_contain_text("countersigned")
    await assert_accessible(page)
    await page.reload()
    for case_id in (second, third):
        assert (await ward.stack.events(case_id)).count("reassigned") == 1
    assert "reassigned" not in await ward.stack.events(first)
    await page.get_by_role("link", name="Back to the department").click()
    await expect(page.get_by_role("cell", name="now with").first).to_be_visible()
    await expect(attending.get_by_role("row", name="Dr. Maxine Gee")).to_contain_text("1")


async def test_a_reminder_is_sent_once_and_again_only_after_an_hour(
    make_ward: Callable[..., Awaitable[Ward]], tmp_path: Path
) -> None:
    with channels() as (_, hook):
        ward = await make_ward(directory=write_directory(tmp_path / "directory.yaml", hook.address))
        await cases(ward, 1)
        page = await ward.person(SUPERVISOR)
        await page.goto(f"{ward.url}/department")
        await page.locator("[name=case]").check()
        await page.get_by_role("button", name="Remind the owners").click()
        await expect(page.get_by_role("heading", level=1)).to_have_text("1 of 1 reminder sent")
        await expect(page.get_by_text("Reminder for Dr. Maxine Gee")).to_be_visible()
        await assert_accessible(page)
        await page.get_by_role("link", name="Back to the department").click()
        await expect(page.get_by_role("cell", name="reminded 0 min ago")).to_be_visible()
        await page.locator("[name=case]").check()
        await page.get_by_role("button", name="Remind the owners").click()
        await expect(page.get_by_role("row").filter(has_text="unchanged")).to_contain_text("The next one is possible")

        async def arrived() -> bool:
            return bool(hook.posts)

        await until(arrived, "the reminder to arrive")
        assert len(hook.posts) == 1
        assert "Owner: Practitioner/DR-IM-006" in hook.posts[0]["message"]


async def test_an_absence_is_set_honoured_and_ended(ward: Ward) -> None:
    stays = [stay for stay in demo_encounters() if stay.department == DEPARTMENT][:2]
    (before,) = await cases(ward, 1)
    page = await ward.person(SUPERVISOR)
    await page.goto(f"{ward.url}/department")
    await page.get_by_role("link", name="Absences").click()
    await expect(page.get_by_text("Nobody is away")).to_be_visible()
    now = datetime.now(UTC)
    await page.get_by_label("Who is away").fill("DR-IM-006")
    await page.get_by_label("Who covers").fill("DR-IM-001")
    await page.get_by_label("First day away").fill(f"{now:%Y-%m-%d}")
    await page.get_by_label("Last day away").fill(f"{now - timedelta(days=2):%Y-%m-%d}")
    await page.get_by_role("button", name="Set the absence").click()
    await expect(page.get_by_role("alert")).to_contain_text("The end is not after the start")
    await expect(page.get_by_label("Who covers")).to_have_value("DR-IM-001")
    await page.get_by_label("Last day away").fill(f"{now + timedelta(days=2):%Y-%m-%d}")
    await page.get_by_role("button", name="Set the absence").click()
    await expect(page.get_by_role("status")).to_contain_text("new reviews of Dr. Maxine Gee go to Dr. Jose Tucker")
    await assert_accessible(page)
    after = await ward.case(encounter=stays[1].encounter, attending=stays[1].attending, department=DEPARTMENT)
    assert (await ward.stack.case(after))["owner"] == "Practitioner/DR-IM-001"
    assert (await ward.stack.case(before))["owner"] == "Practitioner/DR-IM-006"
    await page.get_by_role("button", name="Reassign 1 to Dr. Jose Tucker").click()
    await page.get_by_label("Why").fill("Leave")
    await page.get_by_role("button", name="Reassign 1 review").click()
    await expect(page.get_by_role("heading", level=1)).to_contain_text("1 of 1 review given to Dr. Jose Tucker")
    await page.get_by_role("link", name="Back to the department").click()
    row = page.get_by_role("table", name="By attending physician").get_by_role("row", name="Dr. Maxine Gee")
    await expect(row).to_contain_text("covered by Dr. Jose Tucker")
    await assert_accessible(page)
    await page.get_by_role("link", name="Absences").click()
    await page.get_by_text("End it now").click()
    await page.get_by_role("button", name="End the absence of Dr. Maxine Gee").click()
    await expect(page.get_by_role("status")).to_contain_text("go to Dr. Maxine Gee again")
    await expect(page.get_by_text("ended early")).to_be_visible()

"""The auditor's pages in a real browser."""

import asyncio
import os
import zipfile

import pytest
from playwright.async_api import expect

from tests.browser.conftest import PHYSICIAN, Ward
from tests.support.accessibility import View, assert_accessible

pytestmark = [pytest.mark.connected, pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]
AUDITOR = "Auditor"
PHONE_AND_DARK: tuple[View, ...] = ((360, "light"), (1440, "dark"))
PICTURES = os.environ.get("PICTURES")  # a folder for pictures of the pages


async def test_who_looked_at_a_case(ward: Ward) -> None:
    case_id = await ward.case()
    physician = await ward.person(PHYSICIAN)
    await physician.goto(f"{ward.url}/reviews/{case_id}")
    page = await ward.person(AUDITOR)
    await expect(page).to_have_url(f"{ward.url}/access")
    await page.get_by_label("Case id").first.fill(case_id)
    await page.get_by_role("button", name="Search").click()
    await expect(page.locator(".log tbody tr")).to_have_count(1)
    await expect(page.locator(".log tbody tr")).to_contain_text("Looked at a draft")
    await page.locator(".log tbody a").first.click()  # everything of this person
    await expect(page.locator(".log tbody tr")).to_have_count(2)
    async with page.expect_download() as download:
        await page.get_by_role("link", name="CSV").click()
    sheet = await asyncio.to_thread((await (await download.value).path()).read_text)
    assert len(sheet.splitlines()) == 3
    assert case_id in sheet
    await page.goto(f"{ward.url}/access?action=exported")
    await expect(page.locator(".log tbody tr")).to_contain_text("access log as csv")


async def test_cases_of_a_patient_are_found_without_an_id_in_the_address(ward: Ward) -> None:
    case_id = await ward.case()
    encounter = ward.stack.in_chart("Encounter")
    of_case = (await ward.stack.case(case_id))["events"]
    patient = next(item for item in encounter if item["id"] in str(of_case))["subject"]["reference"]
    page = await ward.person(AUDITOR)
    await page.get_by_label("Patient id").fill(patient)
    await page.get_by_role("button", name="Find cases").click()
    await expect(page).to_have_url(f"{ward.url}/access?case={case_id}")
    await page.get_by_label("Patient id").fill("Patient/nobody")
    await page.get_by_role("button", name="Find cases").click()
    await expect(page.get_by_text("No case was found")).to_be_visible()
    assert "nobody" not in page.url


async def test_the_pages_hold_wcag_and_fit(ward: Ward) -> None:
    case_id = await ward.case()
    await ward.stack.call("physician", "GET", f"/v1/reviews/{case_id}")
    await ward.stack.call("auditor", "GET", f"/v1/reviews/{case_id}")  # refused
    page = await ward.person(AUDITOR)
    looked = {"access": "/access", "access-none": "/access?person=nobody", "access-note": "/access?case=x"}
    looked |= {"verification-none": "/verification", "signatures": "/access/signatures"}
    for title, address in looked.items():
        await page.goto(f"{ward.url}{address}")
        if PICTURES:
            await page.screenshot(path=f"{PICTURES}/{title}.png", full_page=True)
        await assert_accessible(page, address, PHONE_AND_DARK)


async def test_a_verification_is_started_and_its_finding_is_shown(ward: Ward) -> None:
    case_id = await ward.case()
    assert (await ward.stack.decide(case_id, "approve")).status_code == 200
    await ward.stack.reaches(case_id, "filed")
    page = await ward.person(AUDITOR)
    await page.get_by_role("link", name="Verification").click()
    await expect(page.get_by_text("Nothing was verified here yet")).to_be_visible()
    await page.get_by_role("button", name="Verify now").click()
    await expect(page.locator("#result + .state")).to_contain_text("Holds")
    await expect(page.get_by_text("not checked", exact=False).first).to_be_visible()
    ward.stack.in_chart("DocumentReference")[0]["content"][0]["attachment"]["data"] = "b3RoZXI="
    await page.get_by_role("button", name="Verify now").click()
    await expect(page.locator("#result + .state")).to_contain_text("finding")
    await expect(page.locator("section[aria-labelledby=findings] tbody tr").first).to_contain_text(case_id)
    await expect(page.locator("section[aria-labelledby=earlier] tbody tr")).to_have_count(2)
    if PICTURES:
        await page.screenshot(path=f"{PICTURES}/verification.png", full_page=True)
    await assert_accessible(page, "the result", ((1440, "light"), (360, "light")))


async def test_an_evidence_pack_is_downloaded_and_a_signature_without_a_view_is_shown(ward: Ward) -> None:
    case_id = await ward.case()
    physician = await ward.person(PHYSICIAN)
    await physician.goto(f"{ward.url}/reviews/{case_id}")
    assert (
        await ward.stack.decide(case_id, "approve")
    ).status_code == 200  # the demo's token: its own view is recorded
    await ward.stack.reaches(case_id, "filed")
    page = await ward.person(AUDITOR)
    await page.get_by_role("link", name="Signed without a view").click()
    await expect(page.get_by_text("0 of 1 approvals")).to_be_visible()
    await page.get_by_role("link", name="All entries").click()
    pack = page.locator("section[aria-labelledby=pack]")
    await pack.get_by_label("Case id").fill("nothing")
    await pack.get_by_role("button").click()
    await expect(page.get_by_role("heading", name="There is no such case")).to_be_visible()
    await page.goto(f"{ward.url}/access")
    await pack.get_by_label("Case id").fill(case_id)
    async with page.expect_download() as download:
        await pack.get_by_role("button").click()
    file = await (await download.value).path()
    with zipfile.ZipFile(file) as archive:
        assert f"evidence-{case_id}/verify.py" in archive.namelist()
    await page.goto(f"{ward.url}/cases/{case_id}")
    async with page.expect_download() as download:
        await page.get_by_role("link", name="Download the evidence pack").click()
    assert (await download.value).suggested_filename == f"evidence-{case_id}.zip"
    await page.get_by_role("link", name="Who looked at it").click()
    await expect(page.locator(".log tbody tr").first).to_contain_text("evidence pack without documents")
    await page.get_by_role("link", name="Open the case").click()
    await expect(page).to_have_url(f"{ward.url}/cases/{case_id}")

"""A physician opens a stay in the EHR: Countersign appears in a frame of its page, and the letter is signed there."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from playwright.async_api import expect

from tests.browser.conftest import Ward
from tests.support.ehr import stays
from tests.support.nginx import NGINX
from tests.support.stack import until

pytestmark = [
    pytest.mark.connected,
    pytest.mark.browser,
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.skipif(not NGINX.exists(), reason="nginx is not here (tools/fetch.sh)"),
]


async def test_a_document_is_signed_in_a_frame_of_the_ehr(make_ward: Callable[..., Awaitable[Ward]]) -> None:
    """The EHR is another site: the frame has a cookie of its own, and every write is still from our own origin."""
    ward = await make_ward(proxied=True, launched=True)
    assert ward.ehr is not None
    encounter = stays()[0]
    case_id = await ward.case(encounter=encounter, attending="Practitioner/DR-IM-006")
    page = await (await ward.context()).new_page()
    await page.goto(ward.ehr.page(encounter, "DR-IM-006"))
    frame = page.frame_locator("iframe")
    await expect(frame.get_by_role("heading", level=1)).to_contain_text("summary")
    cookies = {cookie["name"]: cookie for cookie in await page.context.cookies()}
    session = cookies["__Host-countersign_session"]
    assert (session["sameSite"], session["secure"], session["httpOnly"]) == ("None", True, True)
    for name in ("I have seen this", "Confirm: it is true"):
        for tick in await frame.get_by_role("checkbox", name=name).all():
            await tick.check()
    await expect(frame.locator("#open-ends")).to_be_hidden()
    await frame.get_by_role("button", name="Countersign").click()
    await expect(frame.locator(".note.fine")).to_contain_text("Countersigned by")
    case = await ward.stack.reaches(case_id, "filed")
    approved = next(event["detail"] for event in case["events"] if event["event"] == "approved")
    assert (approved["by"]["method"], approved["by"]["practitioner"]) == ("smart", "Practitioner/DR-IM-006")
    # The declared origin may embed our pages; another one of the same machine may not.
    for root, shown in ((ward.ehr.root, True), (ward.ehr.root.replace("localhost", "127.0.0.1"), False)):
        await page.goto(f"{root}/sandbox/launch?encounter=none&practitioner=none")
        await page.set_content(f'<iframe src="{ward.url}/sign-in"></iframe>')
        if shown:
            await expect(page.frame_locator("iframe").get_by_role("heading", name="Sign in")).to_be_visible()
        else:
            await until(lambda: asyncio.sleep(0, page.frames[-1].url.startswith("chrome-error:")), "a refused frame")

"""Our pages behind nginx, which ends TLS: the browser's story once more, as a hospital runs it."""

import re
from collections.abc import Awaitable, Callable

import pytest
from playwright.async_api import expect

from tests.browser.conftest import PHYSICIAN, Ward
from tests.browser.test_review_page import open_case, settle
from tests.support.nginx import NGINX

pytestmark = [
    pytest.mark.connected,
    pytest.mark.browser,
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.skipif(not NGINX.exists(), reason="nginx is not here (tools/fetch.sh)"),
]


async def test_a_document_is_signed_through_a_proxy_that_ends_tls(
    make_ward: Callable[..., Awaitable[Ward]],
) -> None:
    ward = await make_ward(proxied=True)
    page = await ward.person(PHYSICIAN)
    (cookie,) = await page.context.cookies()
    assert (cookie["name"], cookie["secure"], cookie["httpOnly"]) == ("__Host-countersign_session", True, True)
    case_id = await ward.case()
    await open_case(page, case_id)  # the inbox heard of it: the stream passes the proxy
    await settle(page)
    text = page.get_by_role("textbox", name="The document, as it will be signed")
    await text.fill(await text.input_value() + "\nSeen on the ward round.\n")
    await expect(page.locator(".diff ins").first).to_be_visible()
    await page.reload()
    await expect(text).to_have_value(re.compile("Seen on the ward round."))  # what was typed is kept
    await page.locator('input[name="written"]').check()  # a sentence of their own
    await page.get_by_role("button", name="Countersign").click()
    await expect(page.locator(".note.fine")).to_contain_text("Countersigned by Dr. Maxine Gee")
    await ward.stack.reaches(case_id, "filed")
    await expect(page.get_by_text("Countersigned and filed")).to_be_visible()  # the page has come again by itself
    answer = await page.goto(f"{ward.url}/")
    assert answer is not None
    assert answer.headers["strict-transport-security"] == "max-age=31536000"
    assert answer.headers["cache-control"] == "no-store"
    await page.get_by_role("button", name="Sign out").click()
    await page.wait_for_url(re.compile("/sign-in"))
    assert await page.context.cookies() == []


async def test_a_review_is_given_away_through_the_proxy(make_ward: Callable[..., Awaitable[Ward]]) -> None:
    ward = await make_ward(proxied=True)
    case_id = await ward.case()
    page = await ward.person(PHYSICIAN)
    given = await page.evaluate(
        """async ([path, to]) => (await fetch(path, {
             method: "POST", redirect: "manual", body: new URLSearchParams({ to, reason: "I am away" }),
           })).type""",
        [f"/reviews/{case_id}/reassign", "Practitioner/DR-IM-002"],
    )
    assert given == "opaqueredirect"  # not 403: the page is ours
    listed = (await ward.stack.call("supervisor", "GET", "/v1/reviews")).json()["items"]
    assert [item["owner"] for item in listed] == ["Practitioner/DR-IM-002"]

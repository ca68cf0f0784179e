"""The editor's day in a browser: a refresh, a version held back by a pin, its promotion, search, golden queries."""

import json
import os
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from tests.browser.conftest import SUPERVISOR, Ward
from tests.support.accessibility import assert_accessible
from tests.support.knowledge import Library
from tests.support.stack import until

pytestmark = [
    pytest.mark.connected,
    pytest.mark.browser,
    pytest.mark.timeout(180),
    pytest.mark.asyncio(loop_scope="session"),
]
EDITOR, AUDITOR, PHYSICIAN = "Editor of the knowledge base", "Auditor", "Dr. Maxine Gee"
PICTURES = os.environ.get("KNOWLEDGE_PICTURES")  # a folder


@pytest.fixture
def library(tmp_path: Path) -> Library:
    return Library(tmp_path / "library")


async def look(page: Page, name: str) -> None:
    """Check a page for accessibility; keep a picture where that is asked for."""
    await assert_accessible(page, name)
    if PICTURES:
        for scheme, width in (("light", 1440), ("dark", 1440), ("light", 360)):
            await page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
            await page.set_viewport_size({"width": width, "height": 900})
            await page.screenshot(path=f"{PICTURES}/{name}-{scheme}-{width}.png", full_page=width == 360)
        await page.emulate_media(color_scheme="light")
        await page.set_viewport_size({"width": 1440, "height": 900})


async def tab(page: Page, name: str) -> None:
    await page.get_by_role("navigation", name="Knowledge base").get_by_role("link", name=name).click()


async def refreshed(ward: Ward, page: Page, version: int) -> None:
    """Request a refresh on the page and wait until `version` was evaluated."""
    await page.goto(f"{ward.url}/knowledge")
    await page.get_by_role("button", name="Refresh now").click()
    await expect(page.get_by_role("status")).to_contain_text("requested")

    async def evaluated() -> bool:
        found = (await ward.stack.call("auditor", "GET", "/v1/knowledge")).json()
        return found["refreshing"] is None and (found["newest"] or {}).get("version") == version

    await until(evaluated, f"version {version}")
    await page.goto(f"{ward.url}/knowledge")


async def test_the_editors_day(make_ward: Callable[..., Awaitable[Ward]], library: Library) -> None:
    ward = await make_ward(evaluator=True, knowledge_file=library.file)
    page = await ward.person(EDITOR)
    await expect(page).to_have_url(f"{ward.url}/knowledge")  # where an editor starts
    await expect(page.get_by_text("Nothing is live")).to_be_visible()
    await look(page, "empty")
    (library.documents / "broken.pdf").write_bytes(b"no pdf")
    await refreshed(ward, page, 1)
    await expect(page.locator("section", has=page.locator("#live"))).to_contain_text("Version 1")
    await page.get_by_text("could not be read").click()
    await expect(page.get_by_text("library/broken.pdf")).to_be_visible()
    await look(page, "overview")

    await page.get_by_text("Pin version 1").first.click()
    await page.get_by_label("Why is it pinned?").fill("the audit is today")
    await page.get_by_role("button", name="Pin version 1").click()
    await expect(page.get_by_role("status")).to_contain_text("pinned")
    library.write("gout", "cherries and a diet")
    library.write("dropsy")
    (library.documents / "scurvy.md").unlink()
    library.declare(promotion={"mrr": 0.5, "margin": 1.0})
    await refreshed(ward, page, 2)
    await expect(page.locator("section", has=page.locator("#newest"))).to_contain_text("the audit is today")
    await expect(page.locator("#progress")).to_contain_text("The last refresh was held back")
    await look(page, "pinned")

    await page.get_by_role("link", name="See what it changes").click()
    await expect(page.get_by_text("1 document added, 1 changed, 1 removed compared with version 1")).to_be_visible()
    await expect(page.get_by_role("link", name="Unpin it")).to_be_visible()
    await look(page, "version")
    await page.get_by_role("link", name="library/gout.md").click()
    await expect(page.locator("ins")).to_have_text(["cherries ", "a diet."])
    await expect(page.locator("del")).to_have_text(["rest ", "water."])
    await look(page, "compare")

    await page.goto(f"{ward.url}/knowledge")
    await page.get_by_text("Unpin version 1").first.click()
    await page.get_by_label("Why can it be unpinned?").fill("the audit is over")
    await page.get_by_role("button", name="Unpin version 1").click()
    await page.goto(f"{ward.url}/knowledge/versions/2")
    await page.get_by_role("button", name="Promote version 2").click()  # refused by the browser: no reason
    await expect(page.get_by_role("status")).to_have_count(0)
    await page.get_by_label("Why promote it all the same?").fill("read and agreed")
    await page.get_by_role("button", name="Promote version 2").click()
    await expect(page.get_by_role("status")).to_contain_text("live")
    await page.goto(f"{ward.url}/knowledge/versions/1")
    await expect(page.get_by_text("1 removed compared with version 2, which is live")).to_be_visible()
    await page.get_by_label("Why roll back?").fill("a wrong dose")
    await page.get_by_label("Pin it too").check()
    await look(page, "roll-back")
    await page.get_by_role("button", name="Roll back to version 1").click()
    await page.goto(f"{ward.url}/knowledge")
    told = page.locator("section", has=page.locator("#moves")).get_by_role("listitem")
    await expect(told).to_have_count(4)
    await expect(told.first).to_contain_text("editor rolled back to version 1 and pinned it")
    await tab(page, "Versions")
    await expect(page.get_by_role("row")).to_have_count(3)
    await look(page, "versions")
    library.documents.rename(library.folder / "elsewhere")
    await page.goto(f"{ward.url}/knowledge")
    await page.get_by_role("button", name="Refresh now").click()
    failed = page.locator("#progress").get_by_text("is not there")  # without a reload
    await expect(failed).to_be_visible(timeout=60_000)
    library.file.write_text("sources: 7")
    await page.goto(f"{ward.url}/knowledge")
    await expect(page.get_by_role("alert")).to_contain_text("The knowledge file is invalid")
    await expect(page.get_by_role("button", name="Refresh now")).to_have_count(0)
    await page.goto(f"{ward.url}/knowledge/versions/2")  # a broken file does not prevent a rollback
    await expect(page.get_by_role("link", name="Unpin it")).to_be_visible()


async def test_search_golden_queries_and_documents(make_ward: Callable[..., Awaitable[Ward]], library: Library) -> None:
    ward = await make_ward(evaluator=True, knowledge_file=library.file)
    golden = library.folder / "golden.jsonl"
    wrong = {"id": "wrong", "query": "care of the plague", "relevant": ["plague"]}
    golden.write_text(f"{golden.read_text()}\n{json.dumps(wrong)}")
    (library.documents / "broken.pdf").write_bytes(b"no pdf")
    page = await ward.person(EDITOR)
    await refreshed(ward, page, 1)
    await tab(page, "Golden queries")
    await expect(page.get_by_text("1 query names a document that does not exist")).to_be_visible()
    row = page.get_by_role("row", name="care of the plague")
    await expect(row).to_contain_text("does not exist")
    await expect(row).to_contain_text("Miss")
    await expect(page.get_by_role("row", name="care of gout")).to_contain_text("Hit, rank 1")
    await look(page, "golden")

    await tab(page, "Search")
    await page.get_by_placeholder("Question or name of a problem").fill("care of gout")
    await page.get_by_role("button", name="Search").click()
    await expect(page.get_by_role("heading", name="1. gout")).to_be_visible()
    await page.get_by_label("gout.md answers the question").check()
    await look(page, "search")
    await page.get_by_role("button", name="Use as golden query").click()
    await expect(page.get_by_label("Document 1", exact=True)).to_have_value("gout.md")
    await page.get_by_label("Why?").fill("asked by the ward")
    await page.get_by_role("button", name="Add golden query").click()
    await expect(page.get_by_role("alert")).to_contain_text("There is a golden query of that text")  # the file has it
    text = page.get_by_label("Question, or name of a problem")
    await text.fill("what eases gout")
    await page.get_by_label("Document 2", exact=True).fill("plague")
    await page.get_by_role("button", name="Add golden query").click()
    await expect(page.get_by_role("alert")).to_contain_text("Neither the live nor the newest version has: plague")
    await look(page, "golden-refused")
    await expect(text).to_have_value("what eases gout")
    await page.get_by_label("Document 2", exact=True).fill("library/mumps.md")
    await page.get_by_label("Grade of document 1").select_option("3")
    await page.get_by_role("button", name="Add golden query").click()
    await expect(page.get_by_role("status")).to_contain_text("The golden query was added")
    await expect(page.get_by_text("Version 2 of the set. Save")).to_be_visible()
    row = page.get_by_role("row", name="what eases gout")
    await expect(row).to_contain_text("added here by editor: “asked by the ward”")
    await expect(row).to_contain_text("not evaluated")

    await page.get_by_role("link", name="Edit care of the plague").click()
    await page.get_by_label("Document 1", exact=True).fill("cholera")
    await page.get_by_label("Why?").fill("the document is called so")
    await look(page, "golden-edit")
    await page.get_by_role("button", name="Save").click()
    await expect(page.get_by_role("row", name="care of the plague")).to_contain_text("The file says")
    await page.get_by_role("link", name="Edit what eases gout").click()
    await page.get_by_label("Why is it removed?").fill("not needed")
    await page.get_by_role("button", name="Remove").click()
    await expect(page.get_by_role("row", name="what eases gout")).to_have_count(0)
    history = page.locator("section", has=page.locator("#history")).get_by_role("listitem")
    await expect(history).to_have_count(4)  # the files when they were evaluated, and three edits
    await expect(history.first).to_contain_text("editor removed")
    await look(page, "golden-history")
    library.declare(golden_managed_in="the repository of the pharmacy")
    await tab(page, "Golden queries")
    await expect(page.get_by_text("are managed in the repository of the pharmacy: change them there")).to_be_visible()
    await expect(page.get_by_role("link", name="Add a golden query")).to_have_count(0)

    await tab(page, "Documents")
    await expect(page.get_by_text("21 documents with 40 passages; 1 could not be read")).to_be_visible()
    await look(page, "documents")
    await page.get_by_role("link", name="library/gout.md").click()
    await expect(page.get_by_role("heading", level=2)).to_have_text(["1. Signs", "2. Care"])
    await look(page, "document")


async def test_who_may_read_and_who_may_act(make_ward: Callable[..., Awaitable[Ward]], library: Library) -> None:
    ward = await make_ward(evaluator=True, knowledge_file=library.file)
    for name in (AUDITOR, SUPERVISOR):
        page = await ward.person(name)
        await page.goto(f"{ward.url}/knowledge")
        await expect(page.get_by_role("heading", level=1, name="Knowledge base")).to_be_visible()
        await expect(page.get_by_role("button", name="Refresh now")).to_have_count(0)
        sent = {"form": {"key": "12345678"}, "headers": {"Origin": ward.url}}
        answer = await page.request.post(f"{ward.url}/knowledge/refresh", **sent)  # type: ignore[arg-type]
        assert answer.status == 403
    page = await ward.person(PHYSICIAN)
    for path in ("", "/versions", "/golden", "/search", "/documents"):
        assert (await page.request.get(f"{ward.url}/knowledge{path}")).status == 403
    page = await ward.person(EDITOR)
    for _ in range(2):  # sent twice
        answer = await page.request.post(
            f"{ward.url}/knowledge/refresh", form={"key": "12345678"}, headers={"Origin": ward.url}
        )
        assert answer.ok
    foreign = await page.request.post(
        f"{ward.url}/knowledge/refresh", form={"key": "87654321"}, headers={"Origin": "https://elsewhere.example"}
    )
    assert foreign.status == 403
    found = (await ward.stack.call("auditor", "GET", "/v1/knowledge")).json()
    assert len({found["refreshing"], *found["waiting"]} - {None}) <= 1
    ended = await ward.stack.call("operator", "POST", "/v1/sessions/end", json={"subject": "editor"})
    assert ended.json()["ended"] == 1
    await page.goto(f"{ward.url}/knowledge")
    await expect(page.get_by_role("heading", name="Sign in")).to_be_visible()

"""The ML engineer's console in a real browser: from the live drafter to a candidate that the gate holds back."""

import re
from collections.abc import Awaitable, Callable

import pytest
from playwright.async_api import Page, expect

from services.evaluator.canary import Comparison, OutcomeCounts
from services.evaluator.decision_signals import SIGNALS
from services.evaluator.decision_sums import PartEdits, SignalSum
from shared.contracts.draft import REQUIRED_PARTS
from shared.messaging.buckets import Bucket
from shared.messaging.drafter_registry import DrafterRegistry
from tests.browser.conftest import Ward
from tests.support.accessibility import assert_accessible
from tests.support.drafters import DOCUMENT, start_canary
from tests.support.ehr import stays
from tests.support.examples import T0
from tests.support.server import NatsServer

pytestmark = [pytest.mark.connected, pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

ENGINEER = "Engineer of drafters"
KIND = "Discharge summary"
OPEN = "document.querySelectorAll('main details').forEach(item => { item.open = true })"


async def ward_with_signed_stays(make_ward: Callable[..., Awaitable[Ward]], number: int) -> Ward:
    ward = await make_ward(evaluator=True)
    for encounter in stays()[1 : 1 + number]:
        case_id = await ward.case(encounter=encounter)
        assert (await ward.stack.decide(case_id, "approve")).status_code == 200
        await ward.stack.reaches(case_id, "filed")
    return ward


async def open_live(page: Page) -> None:
    """Open the live configuration of discharge summaries from the list."""
    card = page.get_by_role("region", name=KIND)
    await card.get_by_role("row", name=re.compile("Live")).get_by_role("link").click()
    await expect(page.locator(".chip.good")).to_have_text("Live")


async def save_candidate(page: Page) -> None:
    """From the page of a configuration: edit its prompt in the workbench, look at the difference, save it."""
    await page.get_by_role("link", name="Edit a copy in the workbench").click()
    text = page.get_by_role("textbox", name="Prompt")
    await text.fill(f"Be brief.\n{await text.input_value()}")
    await page.get_by_role("button", name="Show what differs").click()
    await expect(page.get_by_role("heading", name="What differs: prompt")).to_be_visible()
    await expect(page.locator(".prompt-diff ins")).to_have_text(re.compile("Be brief."))
    await page.get_by_label("Why").fill("shorter hospital courses")
    await page.get_by_role("button", name="Save as a candidate").click()
    await expect(page.get_by_role("status")).to_contain_text("It is a candidate now")


async def test_an_engineer_edits_the_live_prompt_saves_a_candidate_and_finds_the_gate_closed(
    make_ward: Callable[..., Awaitable[Ward]],
) -> None:
    ward = await ward_with_signed_stays(make_ward, 2)
    page = await ward.person(ENGINEER)
    assert page.url == f"{ward.url}/drafters"  # where an engineer starts
    await open_live(page)
    await save_candidate(page)
    moves = page.locator("section", has=page.locator("#moves"))
    await expect(moves).to_contain_text("Evaluate it against the live configuration first.")
    await page.get_by_text("Canary", exact=True).click()
    canary = page.locator("#move-canary")
    await expect(canary).to_contain_text("Not evaluated")
    await canary.get_by_label("Why").fill("a tenth of the cases")
    await canary.get_by_role("button", name="Start the canary").click()  # the browser asks for the confirmation first
    await expect(page.locator(".title .chip").first).to_have_text("Candidate")

    evaluate = page.locator("#move-evaluate")
    await evaluate.get_by_label("Why").fill("does it hold?")
    await evaluate.get_by_role("button", name="Evaluate").click()
    await expect(page.get_by_text("2 of 2 stays drafted")).to_be_visible()  # without a reload
    await expect(page.get_by_text("2 stays were judged, 10 are needed")).to_be_visible()
    await expect(page.get_by_role("region", name="Candidate beside live").locator("tbody tr").first).to_be_visible()
    await page.get_by_role("link", name=re.compile("v\\d+")).first.click()
    await expect(moves).to_contain_text("2 stays were judged, 10 are needed")

    await page.get_by_role("link", name="Try it on some stays").click()
    await page.get_by_label("Why").fill("does it name the reason?")
    await page.get_by_role("button", name="Draft them").click()
    await page.get_by_role("link", name=re.compile("beside what was signed")).click()  # it comes without a reload
    for name in ("Candidate", "Live"):
        await expect(page.get_by_role("region", name=name).locator(".sentence").first).to_be_visible()
    await expect(page.get_by_role("region", name="Signed by the physician")).to_contain_text("DISCHARGE SUMMARY")
    await page.get_by_role("navigation", name="Where this page stands").get_by_role("link").nth(1).click()
    await expect(moves).to_contain_text("2 stays were judged, 10 are needed")

    await page.get_by_text("Retire", exact=True).click()
    await page.locator("#move-retire").get_by_label("Why").fill("only tried")
    await page.get_by_role("button", name="Retire it").click()
    await expect(page.get_by_role("status")).to_contain_text("It is retired now.")
    await expect(page.get_by_role("region", name="History")).to_contain_text("Retired: only tried")


async def test_every_page_holds_wcag_and_fits(make_ward: Callable[..., Awaitable[Ward]]) -> None:
    ward = await ward_with_signed_stays(make_ward, 1)
    page = await ward.person(ENGINEER)
    await open_live(page)
    live = page.url
    await save_candidate(page)
    candidate = page.url.partition("?")[0]
    await page.locator("#move-evaluate").get_by_label("Why").fill("does it hold?")
    await page.get_by_role("button", name="Evaluate").click()
    await expect(page.get_by_text("1 of 1 stay drafted")).to_be_visible()
    evaluation = page.url
    await page.goto(f"{ward.url}/drafters/sets")
    await page.get_by_label("Name").fill("icu")
    await page.get_by_label("Kind of document").select_option("discharge-summary")
    await page.get_by_label("Why").fill("long stays")
    await page.get_by_role("button", name="Make the set").click()
    await expect(page.get_by_role("status")).to_contain_text("The set is made")
    made = page.url
    await page.goto(f"{candidate}/trial")
    await page.get_by_label("Why").fill("does it name the reason?")
    await page.get_by_role("button", name="Draft them").click()
    await page.get_by_role("link", name=re.compile("beside what was signed")).click()
    trial = page.url
    looked = [
        f"{candidate}/trial",
        trial,
        f"{ward.url}/drafters",
        live,
        candidate,
        evaluation,
        f"{live}/edit",
        made,
        f"{ward.url}/drafters/sets",
    ]
    for address in looked:
        await page.goto(address)
        await page.evaluate(OPEN)
        await assert_accessible(page, address, ((360, "dark"), (1440, "light")))


async def test_a_canary_beside_live_holds_wcag_and_fits(
    make_ward: Callable[..., Awaitable[Ward]], nats: NatsServer
) -> None:
    """Figures as the projection stores them."""
    ward = await make_ward(evaluator=True)
    page = await ward.person(ENGINEER)
    await open_live(page)
    await save_candidate(page)
    digest = page.url.partition("?")[0].rpartition("/")[2]
    bus = await nats.connect("evaluator")
    registry = DrafterRegistry(bus, "evaluator", lambda: T0)
    await start_canary(registry, digest, 0.25)
    canary = (await registry.state(DOCUMENT)).canary
    assert canary is not None
    signals = {item.name: SignalSum(count=9, total=2.0) for item in SIGNALS}
    parts = {part: PartEdits(drafts=3, edits=9) for part in REQUIRED_PARTS}
    side = OutcomeCounts(decisions=12, rejected=3, edited=5, compared=9, signals=signals, parts=parts)
    compared = Comparison(canary=digest, began=canary.began, worse=6, better=1, same=2, of_canary=side, of_live=side)
    await Bucket(bus, "comparisons").put(digest, compared.model_dump_json().encode(), revision=0)
    await bus.close()
    await page.goto(f"{ward.url}/drafters/{digest}")
    beside = page.get_by_role("region", name="Canary beside live")
    shown = {"Signals": len(SIGNALS), "Edits by part": len(REQUIRED_PARTS)}
    for name, rows in shown.items():
        await expect(beside.get_by_role("table", name=name).locator("tbody tr")).to_have_count(rows)
    await assert_accessible(page, page.url, ((360, "dark"), (1440, "light")))


async def test_it_works_without_scripts(make_ward: Callable[..., Awaitable[Ward]]) -> None:
    ward = await make_ward(evaluator=True)
    page = await ward.person(ENGINEER, java_script_enabled=False)
    await open_live(page)
    await save_candidate(page)

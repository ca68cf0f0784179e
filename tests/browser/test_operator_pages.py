"""The operator's console in a real browser: dead letters in bulk, and the state of the installation."""

from dataclasses import replace

import httpx
import pytest
from playwright.async_api import Page, expect

from services.approval.alerts.prometheus import PrometheusAlerts
from services.approval.dependencies import ApiDependencies
from shared.http import HttpClient
from tests.browser.conftest import Ward
from tests.connected.test_operations import bury_reports, report
from tests.support.accessibility import assert_accessible
from tests.support.alerts import EVERY, alert, answer, rule
from tests.support.stack import until

pytestmark = [pytest.mark.connected, pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

OF_INGEST = "/dead-letters?consumer=ingest-discharged"
OPERATOR = "Operator of the platform"


async def test_an_operator_filters_previews_redrives_and_sees_them_gone(ward: Ward) -> None:
    await bury_reports(ward.stack.server, report(1), b"junk", report(3))
    page = await ward.person(OPERATOR)
    await page.goto(f"{ward.url}/dead-letters")
    await expect(page.get_by_role("heading", name="3 by consumer and reason")).to_be_visible()
    await assert_accessible(page)
    await page.get_by_role("button", name="Preview redrive").click()
    await expect(page.get_by_text("Nothing is selected.")).to_be_visible()
    await page.get_by_role("combobox", name="Consumer").select_option("approval-file")
    await page.get_by_role("button", name="Filter").click()
    await expect(page.get_by_text("No dead letter matches")).to_be_visible()
    await page.get_by_role("link", name="Clear").click()
    await page.get_by_role("combobox", name="Consumer").select_option("ingest-discharged")
    await page.get_by_role("button", name="Filter").click()
    await page.get_by_label("All that match").check()
    await page.get_by_role("button", name="Preview redrive").click()
    await expect(page.get_by_role("heading", name="Redrive 2 dead letters?")).to_be_visible()
    await expect(page.get_by_role("heading", name="Cannot be redriven")).to_be_visible()
    await assert_accessible(page)
    await page.get_by_label("Reason").fill("the EHR is back")
    await page.get_by_role("button", name="Redrive 2").click()
    await expect(page.get_by_role("heading", name="2 of 2 redriven")).to_be_visible()
    await assert_accessible(page)
    await page.goto(f"{ward.url}{OF_INGEST}")  # the cases that they opened have failed since, of stays that are unknown
    await expect(page.get_by_role("heading", name="1 by consumer and reason")).to_be_visible()
    await page.get_by_role("link", name="2", exact=True).click()
    await expect(page.get_by_text("not possible.")).to_be_visible()
    await expect(page.get_by_role("button", name="Redrive")).to_have_count(0)
    await assert_accessible(page)
    await page.get_by_label("Reason").fill("it is no report")
    await page.get_by_role("button", name="Discard").click()
    await expect(page.locator(".note.fine")).to_contain_text("Discarded by operator")
    await page.goto(f"{ward.url}{OF_INGEST}")
    await expect(page.get_by_text("No dead letter matches")).to_be_visible()


def connect(ward: Ward, reply: httpx.Response) -> None:
    """Let approval ask a Prometheus that answers so."""
    alerts = PrometheusAlerts(
        "http://prometheus.test", None, HttpClient(transport=httpx.MockTransport(lambda _: reply))
    )
    provided = ward.stack.app.state.provided
    provided[ApiDependencies] = replace(provided[ApiDependencies], alerts=alerts)


async def look_at_alerts(ward: Ward, page: Page) -> None:
    """What is not known, what fires, and where its link leads."""
    await page.goto(f"{ward.url}/alerts")
    await expect(page.get_by_text("Alerts are not connected.")).to_be_visible()
    await assert_accessible(page)
    connect(ward, httpx.Response(502))
    await page.reload()
    await expect(page.get_by_role("alert")).to_contain_text(
        "Which alerts fire is not known. Prometheus answered HTTP 502."
    )
    await expect(page.get_by_text("No alert fires.")).to_have_count(0)
    firing = rule("CasesStopped", alert(countersign_department="internal-medicine"))
    pending = rule("LagGrows", alert("pending", severity="critical"), health="err")
    connect(ward, httpx.Response(200, content=answer(firing, pending, *EVERY[4:])))
    await page.reload()
    await expect(page.get_by_role("heading", name="Firing: 1")).to_be_visible()
    await expect(page.get_by_role("heading", name="Pending: 1")).to_be_visible()
    await expect(page.get_by_text("Prometheus cannot evaluate these rules: LagGrows.")).to_be_visible()
    await assert_accessible(page)
    await page.set_viewport_size({"width": 360, "height": 800})
    await assert_accessible(page)
    await page.set_viewport_size({"width": 1440, "height": 900})
    await page.get_by_role("link", name="Stopped cases").click()
    await page.wait_for_url("**/cases?state=failed&department=internal-medicine")


async def test_an_operator_sees_alerts_and_consumers_and_holds_decisions_of_the_ehr(ward: Ward) -> None:
    page = await ward.person(OPERATOR)
    await look_at_alerts(ward, page)

    async def measured() -> bool:
        await page.goto(f"{ward.url}/system")
        return await page.get_by_text("service embedder: no process takes its messages").is_visible()

    await until(measured, "the figures of consumers")  # neither the embedder nor the evaluator runs here
    await page.locator("summary", has_text="approval").click()
    row = page.get_by_role("row").filter(has_text="Files signed documents in the chart.")
    await expect(row.locator(".chip")).to_have_text("Served")
    await assert_accessible(page)
    await page.locator("summary", has_text="Hold them").click()
    await page.get_by_label("Reason").fill("after the restore")
    await page.get_by_role("button", name="Hold decisions").click()
    await expect(page.locator("#ehr-decisions .chip")).to_have_text("Held")
    await expect(page.locator("#ehr-decisions")).to_contain_text("by operator: after the restore")
    await page.set_viewport_size({"width": 360, "height": 800})
    await assert_accessible(page)
    await page.get_by_label("Reason").fill("compared")
    await page.get_by_role("button", name="Allow decisions").click()
    await expect(page.locator("#ehr-decisions .chip")).to_have_text("Allowed")

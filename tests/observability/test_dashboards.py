"""Every panel has data, and every alert is understood: the real stack at work, and a real Prometheus."""

import json
import math
import os
import re
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml
from playwright.async_api import Page, expect

from cli.stack.ports import free_port
from sandbox_ehr.seed import demo_encounters
from tests.e2e.test_command import approve, case_in, discharge, until
from tests.support.browser import chromium
from tests.support.channels import channels, write_directory
from tests.support.command import Up, run, up
from tests.support.prometheus import MISSING, RULES, Prometheus, prometheus
from tools.grafana.__main__ import FOLDER, rendered
from tools.grafana.panels import GPU_ONLY
from tools.local_dashboards.pages import without_variables
from tools.local_dashboards.servers import TOOLS

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.timeout(300),
    pytest.mark.xdist_group("dashboards"),  # one stack for all of them
    pytest.mark.skipif(bool(MISSING), reason=f"not here: {', '.join(MISSING)} (tools/fetch.sh)"),
]

ALERTS_PAGE = Path(__file__).parents[2] / "docs/alerts.md"
PATIENCE = 60.0
DECISIONS = "countersign_drafter_decisions_total"
NOT_ON_LOOPBACK = {
    "countersign_nats_certificate_left_seconds",  # an embedded stack speaks plain: tests/connected/test_tls.py
    "countersign_ehr_subscription_silence",  # and declares no Subscription: tests/component/test_subscription_watch.py
    "countersign_ehr_poll_age_seconds",  # the first poll is five minutes after the start
    "countersign_endpoint_spent",  # and declares no endpoint: tests/connected/test_endpoints.py
    "countersign_endpoint_limit",
    "countersign_hl7_silence",  # and has no MLLP listener: tests/unit/test_hl7_listener.py
    "countersign_drafter_rollback_age_seconds",  # and no canary is worse: tests/connected/test_drafter_gauges.py
}
WHILE_FILING = {"countersign_filing_oldest_seconds"}  # there while a document is not in the chart yet


@dataclass(frozen=True)
class Panel:
    board: str
    title: str
    expr: str
    gpu_only: bool


def panels() -> list[Panel]:
    found = []
    for file in sorted(FOLDER.glob("*.json")):
        for panel in json.loads(file.read_text())["panels"]:
            gpu_only = panel["description"].startswith(GPU_ONLY)
            found += [Panel(file.stem, panel["title"], item["expr"], gpu_only) for item in panel["targets"]]
    return found


def rules() -> list[dict[str, Any]]:
    return [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]


def named(expr: str) -> set[str]:
    """Metrics that an expression asks for."""
    names = set()

    def visit(node: Any) -> None:
        if isinstance(node, promql_parser.VectorSelector):
            assert node.name, f"{expr}: name the metric"
            names.add(node.name)
        for name in ("expr", "lhs", "rhs", "vector_selector", "param"):
            if (child := getattr(node, name, None)) is not None:
                visit(child)
        for child in getattr(node, "args", None) or []:
            visit(child)

    visit(promql_parser.parse(expr))
    return names


@pytest.fixture(scope="module")
def observed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """A Prometheus that has seen the whole stack at work."""
    directory = tmp_path_factory.mktemp("observed")
    with prometheus(directory) as found, pytest.MonkeyPatch.context() as patch, channels() as (mailbox, webhook):
        patch.setenv("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", found.otlp)
        patch.setenv("OTEL_METRIC_EXPORT_INTERVAL", "500")
        patch.setenv("COUNTERSIGN_PROMETHEUS_URL", found.url)
        people = write_directory(directory / "people.yaml", mailbox.address, webhook.address)
        arguments = ("--directory", str(people), "--escalate-after", "1s,2s,3s")
        with up(directory / "data", free_port(), *arguments) as stack:
            found.scrape(stack.access["triton_metrics"])
            work(stack, found)
            yield replace(found, stack=stack)


def work(stack: Up, seen: Prometheus) -> None:
    """Twice what a day brings, so that every counter is seen to grow."""
    encounters = [item.encounter for item in demo_encounters()]
    for number, name in enumerate(encounters[:2]):
        run("knowledge", "refresh", "--wait", *(["--full"] if number else []), "--data-dir", str(stack.data_dir))
        one_day(stack, name, encounters[2 + number], f"unknown-{number}")
        until(partial(seen.query, f"sum(countersign_escalations_total) >= {3 * (number + 1)}"), "the day to be seen")
        if not number:
            try_another_drafter(stack, seen)


def one_day(stack: Up, edited: str, refused: str, unknown: str) -> None:
    """One is signed after a change, one is refused after everybody was told, one cannot be drafted."""
    signed, closed, lost = (
        discharge(stack, encounter, department="cardiology") for encounter in (edited, refused, unknown)
    )
    case_in(stack, signed, "awaiting-review")
    signed_answer = approve(stack, signed, added="She left in good health.")
    assert signed_answer.status_code == 200, signed_answer.text
    rated = stack.call("physician", "POST", f"/v1/reviews/{signed}/rating", json={"rating": "useful"})
    assert rated.status_code == 200, rated.text
    case_in(stack, lost, "failed")
    case_in(stack, closed, "awaiting-review")
    until(lambda: len(stack.call("auditor", "GET", f"/v1/cases/{closed}").json()["events"]) >= 7, "three escalations")
    stack.call("physician", "GET", "/")
    case_in(stack, signed, "filed")


def try_another_drafter(stack: Up, seen: Prometheus) -> None:
    """Evaluate a candidate on the stay that was signed, and let it draft half of the cases."""
    until(partial(seen.query, DECISIONS), "the decision to be seen")
    document = seen.query(DECISIONS)[0]["metric"]["countersign_document"]
    options = ("--reason", "another seed", "--data-dir", str(stack.data_dir), "--json")
    added = json.loads(run("drafters", "add", "--document", document, "--seed", "7", *options).stdout)["digest"]
    evaluated = run("drafters", "evaluate", added, "--limit", "1", "--wait", *options)
    assert json.loads(evaluated.stdout)["judged"] == 1, evaluated
    started = run("drafters", "canary", added, "--share", "0.5", "--unevaluated", *options)
    assert started.returncode == 0, started


def has_data(seen: Prometheus, expr: str) -> bool:
    return any(not math.isnan(float(item["value"][1])) for item in seen.query(expr))


@pytest.mark.parametrize("department", [".*", "cardiology"])
def test_every_panel_has_data(observed: Prometheus, department: str) -> None:
    waiting = {panel: without_variables(panel.expr, department) for panel in panels() if not panel.gpu_only}
    deadline = time.monotonic() + PATIENCE
    while waiting:
        waiting = {panel: expr for panel, expr in waiting.items() if not has_data(observed, expr)}
        missing = "\n".join(f"{panel.board}: {panel.title}: {expr}" for panel, expr in waiting.items())
        assert not waiting or time.monotonic() < deadline, f"no data:\n{missing}"


def test_no_panel_and_no_alert_asks_for_a_metric_that_is_not_there(observed: Prometheus) -> None:
    asked = {name for panel in panels() if not panel.gpu_only for name in named(without_variables(panel.expr, ".*"))}
    asked |= {name for rule in rules() for name in named(rule["expr"])}
    assert len(asked) > 30
    assert asked - observed.names() - WHILE_FILING == NOT_ON_LOOPBACK


def test_every_alert_is_understood_and_what_is_wrong_fires(observed: Prometheus) -> None:
    for rule in rules():
        observed.query(rule["expr"])
    until(lambda: "DeadLetters" in observed.firing(), "the dead letters to be told", PATIENCE)
    assert observed.firing() <= {"DeadLetters", "CasesStopped"}
    operators_see_them(observed)


def operators_see_them(observed: Prometheus) -> None:
    """By the command and on the page, from the Prometheus itself."""
    assert observed.stack is not None
    shown = json.loads(run("alerts", "list", "--json", "--data-dir", str(observed.stack.data_dir)).stdout)
    assert (shown["missing_rules"], shown["failing_rules"]) == ([], [])
    letters = [item for item in shown["items"] if item["name"] == "DeadLetters"]
    assert {item["state"] for item in letters} == {"firing"}
    assert all(item["since"] and "gave up on a message" in item["summary"] for item in letters)
    assert "/dead-letters?consumer=drafter-extract" in {link["path"] for item in letters for link in item["links"]}
    page = observed.stack.call("operator", "GET", "/alerts").text
    assert "Firing: " in page
    assert "a message failed for good within the last hour".capitalize() in page


async def shows(page: Page, url: str, board: dict[str, Any]) -> None:
    """The page of a dashboard, with every panel; all but those for a GPU have data."""
    await page.goto(url)
    await expect(page.get_by_role("heading", level=1)).to_have_text(board["title"])
    panels = page.locator(".panel")
    await expect(panels.locator("h2")).to_have_text([panel["title"] for panel in board["panels"]])
    await expect(panels.locator("h2 + p")).to_have_text([panel["description"] for panel in board["panels"]])
    await page.locator("body[data-drawn]").wait_for()
    for panel in board["panels"]:
        shown = panels.filter(has=page.get_by_role("heading", name=panel["title"], exact=True))
        if panel["description"].startswith(GPU_ONLY):
            await expect(shown.get_by_text("no data: it needs a GPU")).to_be_visible()
        elif panel["type"] == "stat":
            await expect(shown.locator(".figure")).to_have_text(re.compile(r"\d"))
        else:
            await expect(shown.locator("td[data-name]").first).to_have_text(re.compile(r"\d"))
            await expect(shown.locator("canvas").first).to_be_visible()
    assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "it runs out at the side"


@pytest.mark.browser
async def test_every_panel_is_on_a_page_with_its_data_and_every_alert(observed: Prometheus) -> None:
    said: list[str] = []
    expect.set_options(timeout=PATIENCE * 1000)
    async with chromium() as browser:
        page = await browser.new_page(viewport={"width": 1280, "height": 900})
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        for file in FOLDER.glob("*.json"):
            await shows(page, f"{observed.url}/user/{file.stem}.html", json.loads(file.read_text()))
        await page.goto(f"{observed.url}/user/")
        await expect(page.get_by_role("heading", level=1)).to_have_text("Discharge cases")
        await expect(page.get_by_role("cell", name="awaiting-review", exact=True)).to_be_visible()
        await expect(page.locator("#alerts a")).to_have_text([rule["alert"] for rule in rules()])
        await expect(page.locator("#alerts a.firing").first).to_be_visible()
        await expect(page.get_by_text("gave up on a message").first).to_be_visible()
    assert said == []


def test_only_panels_that_say_so_need_a_gpu() -> None:
    exempt = {(panel.board, panel.title) for panel in panels() if panel.gpu_only}
    print(f"not evaluated here, for want of a GPU: {sorted(exempt)}")
    assert exempt == {("inference", "GPU utilisation"), ("inference", "GPU memory")}


def test_what_is_committed_is_what_the_code_makes() -> None:
    assert {file.name: file.read_text() for file in FOLDER.glob("*.json")} == rendered(), "run: make dashboards"


def test_alerts_hold_what_their_tests_say_and_have_a_page_each() -> None:
    done = subprocess.run(
        [str(TOOLS / "bin/promtool"), "test", "rules", "alerts_test.yml"],
        cwd=RULES.parent,
        capture_output=True,
        text=True,
        check=False,
        env=os.environ,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    tested = (RULES.parent / "alerts_test.yml").read_text()
    pages = re.findall(r"^## (\w+)", ALERTS_PAGE.read_text(), re.MULTILINE)
    for rule in rules():
        name = rule["alert"]
        assert f"- name: {name} fires" in tested
        assert f"- name: {name} is silent" in tested
        assert rule["annotations"]["runbook_url"].endswith(f"docs/alerts.md#{name.lower()}")
        assert f"| [{name}](#{name.lower()}) | {rule['labels']['severity']} |" in ALERTS_PAGE.read_text()
    assert sorted(pages) == sorted(rule["alert"] for rule in rules())

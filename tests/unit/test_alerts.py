"""Which alerts fire, from Prometheus's answers; what cannot be known is never shown as no alert."""

import asyncio
import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from pydantic import ValidationError
from typer.testing import CliRunner

from cli.commands import alerts as command
from cli.main import app
from services.approval.alerts import prometheus
from services.approval.alerts.catalogue import CATALOGUE, links_for, runbook_of
from services.approval.alerts.prometheus import PrometheusAlerts
from services.approval.alerts.rules import read_rules, visible
from services.approval.settings import check_trace_url
from shared.contracts.errors import TransientError
from shared.http import HttpClient
from shared.runtime.authentication import Caller
from shared.runtime.prometheus_settings import PrometheusSettings
from tests.support.alerts import EVERY, alert, answer, rule

ROOT = Path(__file__).parents[2]
OPERATOR = Caller(subject="o", role="operator")
AUDITOR = Caller(subject="a", role="auditor")
URL = "http://prometheus.test/prefix/"


def test_alerts_are_those_of_our_rules_the_worst_and_oldest_first() -> None:
    others = (rule("NodeDown", alert()), rule("CasesStopped", kind="recording"))
    mine = (
        rule("CasesStopped", alert(countersign_department="surgery"), alert(since="2026-11-30T00:00:00+01:00")),
        rule("TrailBroken", alert(severity="critical")),
        rule("LagGrows", alert("pending", severity="critical")),
    )
    report = read_rules(answer(*others, *mine))
    assert [item.name for item in report.alerts] == ["TrailBroken", "CasesStopped", "CasesStopped", "LagGrows"]
    oldest, surgery = report.alerts[1:3]
    assert (oldest.since, oldest.state, oldest.labels) == (datetime(2026, 11, 29, 23, tzinfo=UTC), "firing", {})
    assert surgery.since == datetime(2026, 11, 30, 1, 0, 0, 123456, UTC)
    assert (surgery.summary, surgery.labels) == ("3 cases wait", {"countersign_department": "surgery"})
    assert len(report.missing) == len(CATALOGUE) - 3
    assert report.failing == ()


def test_an_operator_of_a_department_does_not_see_the_alerts_of_others() -> None:
    report = read_rules(answer(rule("CasesStopped", alert(countersign_department="surgery"), alert())))
    ward = Caller(subject="w", role="operator", departments=("cardiology",))
    assert len(visible(report.alerts, OPERATOR)) == 2
    assert [item.labels for item in visible(report.alerts, ward)] == [{}]


def test_rules_that_cannot_be_evaluated_or_are_not_there_are_named() -> None:
    report = read_rules(answer(*EVERY[1:], rule("LagGrows", health="err")))
    assert (report.alerts, report.missing, report.failing) == ((), (next(iter(CATALOGUE)),), ("LagGrows",))


@pytest.mark.parametrize(
    "body",
    [
        answer(),
        answer(rule("NodeDown", alert())),
        b"<html>",
        b"[]",
        b'{"status": "error"}',
        b'{"data": {"groups": [{"rules": [{"type": "alerting"}]}]}}',
        answer(rule("LagGrows", alert() | {"activeAt": "yesterday"})),
    ],
)
def test_an_answer_without_our_rules_is_not_no_alert(body: bytes) -> None:
    with pytest.raises(TransientError):
        read_rules(body)


async def asked(handler: Any, url: str = URL, token_file: Path | None = None) -> Any:
    alerts = PrometheusAlerts(url, token_file, HttpClient(transport=httpx.MockTransport(handler)))
    try:
        return await alerts.report()
    finally:
        await alerts.close()


async def test_prometheus_is_asked_for_our_rules_with_the_token(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("t0\n")

    def handle(request: httpx.Request) -> httpx.Response:
        assert request.url.path == "/prefix/api/v1/rules"
        assert request.url.params.get_list("rule_name[]") == list(CATALOGUE)
        assert request.headers["authorization"] == "Bearer t0"
        return httpx.Response(200, content=answer(*EVERY))

    assert (await asked(handle, token_file=tmp_path / "token")).missing == ()


async def test_what_prevents_an_answer_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def broken(_: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("x")

    monkeypatch.setattr(prometheus, "MOST_BYTES", 1 << 20)
    large = answer(*EVERY) + b" " * (1 << 20)
    for handler, reason in (
        (broken, "does not answer"),
        (lambda _: httpx.Response(302, headers={"location": "http://elsewhere.test"}), "HTTP 302"),
        (lambda _: httpx.Response(503, content=answer(*EVERY)), "HTTP 503"),
        (lambda _: httpx.Response(200, content=large), "more than 1 MB"),
    ):
        with pytest.raises(TransientError, match=reason):
            await asked(handler)
    with pytest.raises(TransientError, match="token"):
        await asked(broken, token_file=tmp_path / "none")
    with pytest.raises(TransientError, match="COUNTERSIGN_PROMETHEUS_URL is not set"):
        await asked(broken, url="")


async def test_a_server_that_does_not_end_its_answer_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    async def endless(_: httpx.Request) -> httpx.Response:
        await asyncio.Event().wait()
        raise AssertionError

    monkeypatch.setattr(prometheus, "DEADLINE_S", 0.01)
    with pytest.raises(TransientError, match="within"):
        await asked(endless)


def test_links_have_the_labels_of_the_alert_and_lead_where_the_role_may_go() -> None:
    labels = {"countersign_department": "surgery", "messaging_consumer_group_name": "approval-file"}
    paths = [link.path for link in links_for("CasesStopped", labels, OPERATOR)]
    assert paths == ["/cases?state=failed&department=surgery", "/dead-letters?consumer=approval-file"]
    assert [link.path for link in links_for("CasesStopped", {}, AUDITOR)] == ["/cases?state=failed"]
    assert [link.path for link in links_for("TrailBroken", {}, AUDITOR)] == ["/verification"]
    assert links_for("TrailBroken", {}, OPERATOR) == []


def test_the_catalogue_is_that_of_the_rules_and_of_the_runbook() -> None:
    groups = yaml.safe_load((ROOT / "deploy/prometheus/alerts.yml").read_text())["groups"]
    rules = {item["alert"]: item for group in groups for item in group["rules"]}
    assert list(CATALOGUE) == list(rules)
    assert all(runbook_of(name) == item["annotations"]["runbook_url"] for name, item in rules.items())
    table = re.findall(r"^\| \[(\w+)\]\(#\w+\) \| \w+ \| (.*) \|$", (ROOT / "docs/alerts.md").read_text(), re.MULTILINE)
    assert table == [(name, words.meaning) for name, words in CATALOGUE.items()]


@pytest.mark.parametrize(
    "url", ["javascript:alert(1)//{trace_id}", "https://x.test/", "https://{trace_id}/", "/{trace_id}"]
)
def test_a_trace_url_is_an_address_with_a_place_for_the_id(url: str) -> None:
    with pytest.raises(ValueError, match="give"):
        check_trace_url(url)


def test_urls_that_may_be_set() -> None:
    grafana = 'https://grafana.test/explore?left={"queries":[{"query":"{trace_id}"}]}'
    assert check_trace_url(grafana) == grafana
    assert check_trace_url("") == ""
    for wrong in ("file:///etc/passwd", "prometheus:9090", "http://user:secret@prometheus"):
        with pytest.raises(ValidationError):
            PrometheusSettings(url=wrong)


def test_the_command_prints_the_table_and_what_is_not_known(monkeypatch: pytest.MonkeyPatch) -> None:
    item = {"name": "LagGrows", "severity": "warning", "state": "firing", "since": "2026-11-30T01:00:00Z"}
    item |= {"summary": "", "meaning": "messages arrive", "runbook": "https://docs.test/#laggrows"}
    found = {"items": [item], "missing_rules": ["PollFails"], "failing_rules": []}
    monkeypatch.setattr(command, "call_api", lambda _, method, path: {("GET", "/v1/alerts"): found}[method, path])
    shown = CliRunner().invoke(app, ["alerts", "list"], env={"COLUMNS": "200"}).output
    assert "does not have these rules, so whether they fire is not known: PollFails" in shown
    assert "2026-11-30T01:00:00" in shown
    assert json.loads(CliRunner().invoke(app, ["alerts", "list", "--json"]).output) == found

"""REST API of the alerts that fire, for operators and auditors."""

from datetime import datetime
from typing import Literal

from fastapi import APIRouter
from pydantic import BaseModel, Field

from services.approval.alerts.catalogue import CATALOGUE, links_for, runbook_of
from services.approval.alerts.rules import Alert, visible
from services.approval.dependencies import Api, SystemReader
from shared.runtime.api_route import ApiRoute
from shared.runtime.authentication import Caller
from shared.runtime.problems import problem_responses

COMMON = {
    401: "no token, or one that is not valid",
    403: "the token has neither the role operator nor auditor",
    503: "Prometheus does not answer, or `COUNTERSIGN_PROMETHEUS_URL` is not set: which alerts fire is not known",
}

router = APIRouter(tags=["system"], responses=problem_responses(COMMON), route_class=ApiRoute)


class AlertLink(BaseModel):
    """A page on which a person does something about the alert."""

    title: str = Field(description="title of the page")
    path: str = Field(description="its path at this address")


class AlertEntry(BaseModel):
    """An alert of Countersign, as Prometheus has it."""

    name: str = Field(description="name of the alert rule")
    severity: str = Field(description="`critical`, `warning` or `info`")
    state: Literal["firing", "pending"] = Field(
        description="`pending`: its condition holds, and not yet for as long as the rule requires"
    )
    since: datetime | None = Field(description="since when its condition holds")
    meaning: str = Field(description="what it means, in one sentence")
    summary: str = Field(description="of this alert, with its figures")
    labels: dict[str, str] = Field(description="its labels in Prometheus")
    runbook: str = Field(description="URL of the section of the runbook")
    links: list[AlertLink] = Field(description="pages that the caller's roles open")


class AlertList(BaseModel):
    """The alerts that fire or are pending, the worst and oldest first."""

    items: list[AlertEntry]
    missing_rules: list[str] = Field(description="rules of Countersign that Prometheus does not have: never an alert")
    failing_rules: list[str] = Field(description="rules that Prometheus cannot evaluate")


@router.get(
    "/v1/alerts",
    summary="Alerts that fire",
    description="From the Prometheus of `COUNTERSIGN_PROMETHEUS_URL`. Only rules of Countersign. A caller of single "
    "departments does not get the alerts of others.",
)
async def list_alerts(who: SystemReader, api: Api) -> AlertList:
    report = await api.alerts.report()
    return AlertList(
        items=[_entry(alert, who) for alert in visible(report.alerts, who)],
        missing_rules=list(report.missing),
        failing_rules=list(report.failing),
    )


def _entry(alert: Alert, who: Caller) -> AlertEntry:
    return AlertEntry(
        name=alert.name,
        severity=alert.severity,
        state=alert.state,
        since=alert.since,
        meaning=CATALOGUE[alert.name].meaning,
        summary=alert.summary,
        labels=dict(alert.labels),
        runbook=runbook_of(alert.name),
        links=[AlertLink(title=link.words, path=link.path) for link in links_for(alert.name, alert.labels, who)],
    )

"""The page of alerts: what fires, since when, what it means, and where to act."""

from fastapi import APIRouter
from fastapi.responses import Response

from services.approval.alerts.catalogue import CATALOGUE, links_for, runbook_of
from services.approval.alerts.rules import AlertReport, visible
from services.approval.dependencies import Api, SystemReader
from services.approval.operations.outcomes import DOCS
from services.approval.web.render import PageRoute, page
from shared.contracts.errors import TransientError

router = APIRouter(route_class=PageRoute, include_in_schema=False)


@router.get("/alerts")
async def show(who: SystemReader, api: Api) -> Response:
    reason, report = "", AlertReport((), (), ())
    if api.alerts.connected:
        try:
            report = await api.alerts.report()
        except TransientError as failure:
            reason = failure.reason
    alerts = [(alert, links_for(alert.name, alert.labels, who)) for alert in visible(report.alerts, who)]
    return page(
        "alerts.html",
        who=who,
        here="/alerts",
        zone=api.zone_of(""),
        now=api.clock(),
        connected=api.alerts.connected,
        reason=reason,
        firing=[item for item in alerts if item[0].state == "firing"],
        pending=[item for item in alerts if item[0].state == "pending"],
        missing=report.missing,
        failing=report.failing,
        rules=len(CATALOGUE),
        catalogue=CATALOGUE,
        runbook_of=runbook_of,
        docs=DOCS,
    )

"""The auditor's page of verifications: verify now, the last result, its findings, the runs before it."""

from fastapi import APIRouter, Depends
from fastapi.responses import RedirectResponse, Response

from services.approval.dependencies import Api, Auditor, Person
from services.approval.verification.api import all_departments
from services.approval.verification.verification import MAX_FINDINGS, Verification
from services.approval.web.render import PageRoute, page
from shared.runtime.problems import ProblemError
from shared.web.render import span

HERE, SHOWN = "/verification", 10

router = APIRouter(route_class=PageRoute, include_in_schema=False, dependencies=[Depends(all_departments)])


@router.get(HERE)
async def show(_: Auditor, person: Person, api: Api, run: str = "") -> Response:
    """Show a run: the one that is named, else the last. The page of one that is running loads itself again."""
    runs = await api.verifications.latest(SHOWN)
    shown = next((item for item in runs if item.id == run), None) if run else (runs[0] if runs else None)
    if run and shown is None:
        raise ProblemError(404, "There is no such verification")
    now = api.clock()
    return page(
        "verification.html",
        who=person,
        here=HERE,
        zone=api.zone_of(""),
        run=shown,
        runs=runs,
        chip=chip,
        most=MAX_FINDINGS,
        ages={item.id: span((now - (item.ended_at or item.started_at)).total_seconds()) for item in runs},
        took=span((shown.ended_at - shown.started_at).total_seconds()) if shown and shown.ended_at else "",
        running=any(item.state == "running" for item in runs),
    )


@router.post(HERE)
async def start(who: Auditor, api: Api) -> Response:
    """Start a run, or show the one that is running."""
    run = await api.verifications.start(who.subject)
    return RedirectResponse(f"{HERE}?run={run.id}", 303)


def chip(run: Verification) -> tuple[str, str]:
    """Return the CSS class and the words of a run's state."""
    if run.state == "finished":
        unanswered = sum(item.unanswered for item in run.findings)
        if run.verified:
            return "good", "✓ Holds"
        if run.finding_count == unanswered:
            return "bad", "? Not known: no answer"
        return "bad", f"✕ {run.finding_count} finding{'s' if run.finding_count != 1 else ''}"
    return {
        "running": ("", "Running"),
        "failed": ("bad", "✕ Could not be completed"),
        "interrupted": ("bad", "✕ Interrupted"),
    }[run.state]

"""Signed documents that are not in the chart yet, on the inbox page and on the page of a case."""

from datetime import datetime
from typing import Any

from fastapi import APIRouter
from fastapi.responses import RedirectResponse, Response

from services.approval.dependencies import Api, ApiDependencies, Clinician
from services.approval.filing.service import UnfiledEntry
from services.approval.health.rules import ON_ITS_WAY
from services.approval.review.errors import DecisionRefusedError
from services.approval.review.problems import problem_of
from services.approval.web.render import PageRoute
from shared.contracts.envelope import RecordedEvent
from shared.runtime.authentication import Caller
from shared.web.render import span

SHOWN = 50
WHAT = {
    "approved": "Document",
    "amended": "Correction",
    "addended": "Addendum",
    "retracted": "Retraction",
}
NOTES = {
    "not-unfiled": "Nothing was done: the document is in the chart already.",
    "not-by-hand": "Nothing was confirmed: the document is filed without a person, and is on its way.",
}

router = APIRouter(route_class=PageRoute, include_in_schema=False)


@router.post("/reviews/{case_id}/filing/retry")
async def retry(case_id: str, who: Clinician, api: Api) -> Response:
    """File the document again."""
    try:
        await api.chart.release(case_id, who)
    except DecisionRefusedError as refused:
        return _redirect_to_case(case_id, refused)
    return RedirectResponse(f"/reviews/{case_id}", 303)


@router.post("/reviews/{case_id}/filing/confirm")
async def confirm(case_id: str, who: Clinician, api: Api) -> Response:
    """Confirm that the document was transferred by hand."""
    try:
        await api.chart.confirm_transfer(case_id, who)
    except DecisionRefusedError as refused:
        return _redirect_to_case(case_id, refused)
    return RedirectResponse(f"/reviews/{case_id}", 303)


async def shown_unfiled(api: ApiDependencies, who: Caller, now: datetime) -> list[dict[str, Any]]:
    """Return what the inbox shows: not those that were signed a moment ago and are on their way."""
    entries, _ = await api.chart.unfiled(who, SHOWN)
    return [
        _shown(entry, now) for entry in entries if entry.reason != "on-its-way" or now - entry.signed_at > ON_ITS_WAY
    ]


async def unfiled_case(api: ApiDependencies, history: list[RecordedEvent], now: datetime) -> dict[str, Any] | None:
    """Return what the page of a case shows; None where everything signed is in the chart."""
    entry = await api.chart.unfiled_of(history)
    return _shown(entry, now) if entry is not None else None


def _shown(entry: UnfiledEntry, now: datetime) -> dict[str, Any]:
    since = span((now - entry.since).total_seconds())
    words = {
        "on-its-way": "on its way",
        "retrying": f"tried again since {since}: {entry.detail}",
        "held": f"held: {entry.detail}",
        "transfer": "to be transferred to the chart by hand",
    }
    return {
        "entry": entry,
        "what": WHAT[entry.signed],
        "age": span((now - entry.signed_at).total_seconds()),
        "words": words[entry.reason],
        "by_hand": entry.reason in ("held", "transfer"),
    }


def _redirect_to_case(case_id: str, refused: DecisionRefusedError) -> Response:
    if refused.code not in NOTES:
        raise problem_of(refused)
    return RedirectResponse(f"/reviews/{case_id}?note={refused.code}", 303)

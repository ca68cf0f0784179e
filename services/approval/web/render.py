"""Templates of approval's pages, their words, and which of them the EHR may embed."""

from datetime import datetime
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Request, Response

from services.approval.dependencies import ApiDependencies
from services.approval.sign_in.service import is_frame
from shared.runtime.dependencies import provided
from shared.web.local_time import local
from shared.web.render import NO_ANCESTORS, Templates, asset_response, span
from shared.web.render import PageRoute as BasicPageRoute

HERE = Path(__file__).parent
EVENT_LABELS = {
    "preparation-requested": "A draft is to be prepared before the discharge",
    "prepared": "A draft was prepared before the discharge",
    "preparation-ended": "The preparation ended without a discharge",
    "discharged": "The patient was discharged",
    "context-extracted": "The record was read",
    "drafted": "A draft was written",
    "review-requested": "The review was requested",
    "escalated": "Nobody had decided: the supervisor was notified",
    "reassigned": "The review was given to somebody else",
    "approved": "The document was countersigned",
    "filed": "The document was filed in the chart",
    "amended": "A correction was countersigned",
    "addended": "An addendum was countersigned",
    "retraction-requested": "Somebody asked to retract the document",
    "retracted": "A second person confirmed the retraction",
    "retraction-filed": "The document is marked as entered in error in the chart",
    "rejected": "The draft was refused",
    "redraft-requested": "A new draft was asked for",
    "closed": "The case was closed",
    "withdrawn": "The case was withdrawn",
    "failed": "A step gave up",
    "reimported": "What was signed before a restore was taken over from the chart",
    "retried": "An operator put the step back to work",
    "rated": "The draft was rated",
    "hold-placed": "A legal hold keeps its texts",
    "hold-released": "The legal hold was released",
    "erasure-ordered": "Its texts are to be erased",
    "erased": "Texts were erased",
}
STATE_LABELS = {
    "preparing": "Being prepared, not discharged yet",
    "prepared": "Prepared, not discharged yet",
    "drafting": "Being drafted",
    "awaiting-review": "Waits for a signature",
    "approved": "Countersigned",
    "filed": "Countersigned and filed",
    "closed": "Closed without a document",
    "withdrawn": "Withdrawn",
    "retracted": "Retracted: entered in error",
    "failed": "Stopped: an operator has to look",
}

# Icon and label shown next to each sentence of the narrative.
LABELS = {
    "note": ("✓", "supported by a note"),
    "record-and-note": ("✓", "supported by the record and, in part, only by a note"),
    "record": ("✓", "supported by the record"),
    "contradicted": ("✕", "contradicts the record"),
    "not-in-record": ("?", "not in the record"),
}
ORIGINS = {"rules": "composed from the record", "note": "quoted from a note", "model": "written by the model"}


def plain(reference: str | None) -> str:
    """Return what a page shows of a FHIR reference whose name is not known."""
    return (reference or "nobody").rpartition("/")[2].replace("-", " ")


templates = Templates(HERE / "templates")
templates.environment.globals |= {"LABELS": LABELS, "ORIGINS": ORIGINS, "span": span}
templates.environment.filters["object_id"] = id
templates.environment.filters["local"] = local
templates.environment.filters["sentence"] = lambda text: f"{text[:1].upper()}{text[1:]}".rstrip(".") + "."
templates.environment.filters["parse_time"] = datetime.fromisoformat
templates.environment.filters["span"] = span
templates.environment.filters["plain"] = plain
page = templates.page


class PageRoute(BasicPageRoute):
    """A page that the EHR may embed, where it opens Countersign."""

    def get_route_handler(self) -> Any:
        handle = super().get_route_handler()

        async def handle_embedded(request: Request) -> Response:
            return _allow_embedding(request, await handle(request))

        return handle_embedded


def _allow_embedding(request: Request, answer: Response) -> Response:
    """Let the EHR's origins embed a page that the browser loads into a frame; no page is embedded otherwise."""
    policy = answer.headers.get("content-security-policy", "")
    if not is_frame(request) or not policy.endswith(NO_ANCESTORS):
        return answer
    service = provided(request, ApiDependencies).sign_in
    if service.is_embedded(request):
        allowed = f"frame-ancestors {' '.join(service.frame_ancestors)}"
        answer.headers["content-security-policy"] = policy.removesuffix(NO_ANCESTORS) + allowed
    return answer


assets_router = APIRouter(route_class=PageRoute, include_in_schema=False)


@assets_router.get("/assets/inbox.js")
async def script() -> Response:
    return asset_response(HERE / "static", "inbox.js")

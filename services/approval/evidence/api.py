"""REST API of evidence packs."""

from typing import Annotated

from fastapi import APIRouter, Depends
from fastapi.responses import Response

from services.approval.dependencies import Api, allow
from services.approval.review.api import readable
from services.approval.review.authorization import READERS
from services.approval.review.problems import DecisionRoute
from shared.runtime.authentication import Caller
from shared.runtime.problems import problem_responses

COMMON = {
    401: "no token, or one that is not valid",
    403: "the role of the token may not have it",
    404: "there is no such case, or it is of another department",
    503: "NATS or the EHR does not answer: repeat the request",
}
EvidenceReader = Annotated[Caller, Depends(allow("auditor", *READERS))]

router = APIRouter(tags=["audit"], route_class=DecisionRoute, responses=problem_responses(COMMON))


@router.get(
    "/v1/cases/{case_id}/evidence",
    summary="The evidence of a case, which a third party checks offline",
    description="A zip: events, digests, signatures, Provenance, the proof in a signed checkpoint, a verification, and "
    "`verify.py`, which needs Python alone. Auditors get the digests of the signed documents; who may read the drafts "
    "of the case gets the documents, too. Each download is in the access log.",
    response_class=Response,
    responses={200: {"content": {"application/zip": {}}, "description": "the pack"}},
)
async def evidence(case_id: str, who: EvidenceReader, api: Api) -> Response:
    await readable(api.cases, case_id, who)
    headers = {
        "Content-Disposition": f'attachment; filename="evidence-{case_id}.zip"',
        "Cache-Control": "no-store",
        "X-Content-Type-Options": "nosniff",
    }
    return Response(await api.evidence.pack(case_id, who), media_type="application/zip", headers=headers)

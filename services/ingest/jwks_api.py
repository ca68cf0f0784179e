"""Publish the public keys of our client at the EHR, which the EHR fetches to check our assertions (RFC 7517)."""

import asyncio
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Response

from services.ingest.dependencies import JwksFile
from shared.contracts.errors import PermanentError
from shared.oauth.client_keys import JWKS_MAX_AGE_S, parse_published_keys
from shared.runtime.api_route import ApiRoute
from shared.runtime.problems import ProblemError, problem_responses
from shared.runtime.response_headers import with_headers

router = APIRouter(tags=["ingest"], route_class=ApiRoute)


@router.get(
    "/.well-known/jwks.json",
    summary="Public keys of our client at the EHR (SMART Backend Services)",
    responses=with_headers({"Cache-Control": "how long the keys may be kept"})
    | problem_responses({404: "no keys are published"}),
)
async def jwks(response: Response, file: JwksFile) -> dict[str, Any]:
    if file is None:
        raise ProblemError(404, "No keys are published", "Set COUNTERSIGN_EHR_CLIENT_JWKS_FILE.")
    response.headers["Cache-Control"] = f"public, max-age={JWKS_MAX_AGE_S}"
    return await asyncio.to_thread(_read, file)  # read each time, so that a rotated key is published at once


def _read(file: Path) -> dict[str, Any]:
    try:
        return parse_published_keys(file.read_text())
    except (OSError, UnicodeDecodeError, PermanentError):
        raise ProblemError(503, "The published keys cannot be read", headers={"Retry-After": "60"}) from None

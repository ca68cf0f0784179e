"""Builds the FHIR client of a service."""

import httpx
from pydantic import SecretStr

from shared.clinical.fhir import FhirClient
from shared.http import HttpClient

TIMEOUT = httpx.Timeout(15.0, connect=5.0, pool=30.0)


def connect_ehr(url: str, token: SecretStr | None, connections: int) -> FhirClient:
    """A client with at most `connections` open at once; `token` is sent as a bearer token."""
    limits = httpx.Limits(max_connections=connections, max_keepalive_connections=connections)
    http = HttpClient(timeout=TIMEOUT, limits=limits)

    async def authorization() -> str | None:
        return f"Bearer {token.get_secret_value()}" if token is not None else None

    return FhirClient(url, http, authorization)

"""Build the FHIR client of a service."""

from collections.abc import Collection
from pathlib import Path

import httpx
from pydantic import SecretStr

from shared.clinical.authorization import Authorization, StaticToken, TokenFile
from shared.clinical.fhir_client import FhirClient
from shared.clinical.smart.token_source import BackendToken
from shared.http import HttpClient, tls_context
from shared.oauth.client_authentication import ClientAuthentication

# `pool` is shorter than a step's timeout: with all connections in use, the step reports that instead of hanging.
BACKGROUND_TIMEOUT = httpx.Timeout(15.0, connect=5.0, pool=10.0)
# A person waits for the response, and can go on without it.
INTERACTIVE_TIMEOUT = httpx.Timeout(5.0, connect=2.0, pool=1.0)
TOKEN_TIMEOUT = httpx.Timeout(10.0, connect=5.0)


def connect_ehr(
    url: str,
    authorization: Authorization | None,
    connections: int,
    *,
    page_hosts: Collection[str] = (),
    timeout: httpx.Timeout = BACKGROUND_TIMEOUT,
) -> FhirClient:
    """Return a client with at most `connections` open connections. For `page_hosts` see FhirClient."""
    limits = httpx.Limits(max_connections=connections, max_keepalive_connections=connections)
    return FhirClient(url, HttpClient(timeout=timeout, limits=limits), authorization, page_hosts)


def build_authorization(token: SecretStr | None, file: Path | None) -> Authorization | None:
    """Return bearer tokens from the file, else the fixed token; None where neither is set."""
    if file is not None:
        return TokenFile(file)
    return StaticToken(token) if token is not None else None


def build_backend_token(
    url: str, authentication: ClientAuthentication, *, token_url: str | None, scope: str | None
) -> BackendToken:
    """Return access tokens for the FHIR server at `url`, from its token endpoint."""
    return BackendToken(url, authentication, _open_token_client, token_url=token_url, scope=scope)


def _open_token_client() -> httpx.AsyncClient:
    # A client for each request: some minutes lie between them, and there is no connection to close at the end.
    return HttpClient(timeout=TOKEN_TIMEOUT, verify=tls_context())

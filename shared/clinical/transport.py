"""Send authorized requests of a FHIR client and convert failures into our errors."""

from collections.abc import Mapping

import httpx

from shared.clinical import fhir_json
from shared.clinical.authorization import Authorization
from shared.clinical.binaries import request_bounded
from shared.clinical.elements import Resource
from shared.clinical.paging import ServerAddress
from shared.clinical.responses import to_error
from shared.contracts.errors import PermanentError, TransientError
from shared.telemetry import instruments
from shared.telemetry.client_spans import http_client_span

MEDIA_TYPE = "application/fhir+json"


class FhirTransport:
    """Send requests to the server at `address`; `requests` counts them.

    The authorization is sent to the address's own origin only.
    """

    def __init__(self, address: ServerAddress, http: httpx.AsyncClient, authorization: Authorization | None) -> None:
        self._address = address
        self._http = http
        self._authorization = authorization
        self.requests = 0

    async def close(self) -> None:
        await self._http.aclose()

    async def send(
        self,
        method: str,
        url: str,
        interaction: str,
        type: str,
        *,
        resource: Resource | None = None,
        headers: Mapping[str, str] | None = None,
        max_bytes: int | None = None,
    ) -> httpx.Response:
        """Send one interaction, once more with a renewed token where the first was rejected.

        `max_bytes` limits the bytes of the response.
        """
        sent = {"Accept": MEDIA_TYPE} | dict(headers or {})
        content = None
        if resource is not None:
            content = fhir_json.encode(resource)
            sent |= {"Content-Type": MEDIA_TYPE, "Prefer": "return=representation"}
        authorization = self._authorization if self._address.is_same_origin(url) else None
        value = await authorization.value() if authorization is not None else None
        response = await self._request(method, url, interaction, type, content, sent, value, max_bytes)
        if response.status_code == httpx.codes.UNAUTHORIZED and authorization is not None and value is not None:
            await authorization.renew(value)
            renewed = await authorization.value()
            if renewed != value:
                response = await self._request(method, url, interaction, type, content, sent, renewed, max_bytes)
        # Also with 0, so that the first refusal is seen as an increase.
        instruments.increment("countersign.ehr.unauthorized", int(response.status_code == httpx.codes.UNAUTHORIZED))
        if response.is_success:
            return response
        raise to_error(response, interaction)

    async def _request(
        self,
        method: str,
        url: str,
        interaction: str,
        type: str,
        content: bytes | None,
        headers: Mapping[str, str],
        authorization: str | None,
        max_bytes: int | None,
    ) -> httpx.Response:
        sent = dict(headers) | ({"Authorization": authorization} if authorization is not None else {})
        self.requests += 1
        with http_client_span(method, type) as answer:
            try:
                response = await request_bounded(self._http, method, url, content, sent, interaction, max_bytes)
            except httpx.PoolTimeout:
                raise TransientError(f"{interaction}: every connection to the EHR is in use") from None
            except httpx.HTTPError as error:
                raise TransientError(f"{interaction}: {error.__class__.__name__}") from None
            except httpx.InvalidURL:
                raise PermanentError(f"{interaction}: an invalid URL") from None
            answer["http.response.status_code"] = response.status_code
        return response

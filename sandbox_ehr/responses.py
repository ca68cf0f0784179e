"""Responses of the sandbox: resources with their ETag, search entries, OperationOutcomes."""

from starlette.responses import JSONResponse, Response

from sandbox_ehr.store import Resource

MEDIA_TYPE = "application/fhir+json"


class FhirError(Exception):
    """An error response with an OperationOutcome."""

    def __init__(self, status: int, code: str, diagnostics: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(diagnostics)
        self.status, self.code, self.diagnostics, self.headers = status, code, diagnostics, headers


def etag(resource: Resource) -> str:
    return f'W/"{resource["meta"].get("versionId", "0")}"'


def resource_response(resource: Resource, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    sent = dict(headers or {})
    if "versionId" in resource.get("meta", {}):
        sent["ETag"] = etag(resource)
    return JSONResponse(resource, status, sent, media_type=MEDIA_TYPE)


def error_response(refusal: FhirError) -> Response:
    issue = {"severity": "error", "code": refusal.code, "diagnostics": refusal.diagnostics}
    body = {"resourceType": "OperationOutcome", "issue": [issue]}
    return JSONResponse(body, refusal.status, refusal.headers, media_type=MEDIA_TYPE)


def search_entry(base: str, resource: Resource, mode: str) -> Resource:
    url = f"{base}/{resource['resourceType']}/{resource['id']}"
    return {"fullUrl": url, "resource": resource, "search": {"mode": mode}}

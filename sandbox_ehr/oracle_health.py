"""Documents as Oracle Health Millennium takes them: an ASGI layer around the app that refuses what that server refuses.

https://github.com/cerner/fhir.cerner.com (`document_reference.yaml`). Only DocumentReference differs, and types that
such a server does not let a system create.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx
from starlette.types import ASGIApp, Receive, Scope, Send

Resource = dict[str, Any]

PATH = "/fhir/DocumentReference"
NOT_CREATED = ("Device", "Provenance", "Task")
SEARCHES = frozenset({"_id", "patient", "subject", "encounter", "category", "type", "date", "period", "_count"})
KEPT = frozenset(
    {
        *("resourceType", "id", "meta", "status", "docStatus", "type", "category", "subject", "date", "author"),
        *("authenticator", "content", "context"),
    }
)
TEXT_TYPES = ("text/plain", "text/html", "text/rtf", "application/xhtml+xml")


@dataclass(frozen=True, slots=True)
class Refusal(Exception):
    """A request that is refused."""

    status: int
    code: str
    words: str


class OracleDocuments:
    """`app` as a server that takes DocumentReferences the Oracle way."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._transport = httpx.ASGITransport(app)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope["path"].startswith("/fhir"):
            await self._app(scope, receive, send)
            return
        request = await _read(scope, receive)
        try:
            answer = await self._answer(request)
        except Refusal as refusal:
            answer = _outcome(refusal)
        headers = [(name, value) for name, value in answer.headers.raw if name.lower() != b"content-length"]
        headers.append((b"content-length", str(len(answer.content)).encode()))
        await send({"type": "http.response.start", "status": answer.status_code, "headers": headers})
        await send({"type": "http.response.body", "body": answer.content})

    async def _answer(self, request: httpx.Request) -> httpx.Response:
        path, method = request.url.path.rstrip("/"), request.method
        if path == "/fhir/metadata":
            return await self._statement(request)
        if method in ("POST", "PUT") and path.split("/")[2] in NOT_CREATED:
            raise Refusal(403, "forbidden", "the type is not writable for a system")
        if not path.startswith(PATH):
            return await self._forward(request)
        if method == "GET" and path == PATH:
            _check_search(dict(request.url.params))
        if method in ("POST", "PUT"):
            if request.headers.get("if-none-exist"):
                raise Refusal(400, "not-supported", "conditional create is not supported")
            document = _document(json.loads(request.content), created=method == "POST")
            await self._check_author(request, document["author"][0]["reference"])
            if method == "PUT" and "if-match" not in request.headers:
                raise Refusal(412, "conflict", "If-Match is required")
            request = _with_body(request, document)
        answer = await self._forward(request)
        if method in ("POST", "PUT") and answer.is_success:  # the body is empty: the id is in Location
            kept = {name: answer.headers[name] for name in ("location", "etag") if name in answer.headers}
            return httpx.Response(answer.status_code, headers=kept)
        return answer

    async def _check_author(self, request: httpx.Request, reference: str) -> None:
        headers = {name: value for name, value in request.headers.items() if name in ("authorization", "host")}
        url = request.url.copy_with(path=f"/fhir/{reference}", query=None)
        if not (await self._forward(httpx.Request("GET", url, headers=headers))).is_success:
            raise Refusal(422, "business-rule", "author is not known")

    async def _statement(self, request: httpx.Request) -> httpx.Response:
        statement = (await self._forward(request)).json()
        for item in statement["rest"][0]["resource"]:
            if item["type"] in NOT_CREATED:
                item["interaction"] = [one for one in item["interaction"] if one["code"] not in ("create", "update")]
            if item["type"] == "DocumentReference":
                item["conditionalCreate"] = False
                item["searchParam"] = [one for one in item["searchParam"] if one["name"] in SEARCHES]
        return httpx.Response(200, json=statement)

    async def _forward(self, request: httpx.Request) -> httpx.Response:
        answer = await self._transport.handle_async_request(request)
        await answer.aread()
        return answer


def _check_search(params: Mapping[str, str]) -> None:
    if unknown := sorted(params.keys() - SEARCHES):
        raise Refusal(400, "not-supported", f"unknown search parameter: {', '.join(unknown)}")
    if not params.keys() & {"_id", "patient", "subject"}:
        raise Refusal(400, "required", "_id, patient or subject is required")


def _document(sent: Resource, *, created: bool) -> Resource:
    """Return what is stored of a DocumentReference. Raises Refusal."""
    kept = {name: value for name, value in sent.items() if name in KEPT}
    kept["meta"] = {name: value for name, value in sent.get("meta", {}).items() if name in ("versionId", "lastUpdated")}
    if sent.get("docStatus") not in (("final",) if created else ("final", "amended")):
        raise Refusal(422, "business-rule", "docStatus is not supported")
    authors = [item.get("reference", "") for item in sent.get("author") or []]
    if len(authors) != 1 or not authors[0].startswith("Practitioner/"):
        raise Refusal(422, "business-rule", "author must be one Practitioner")
    contents = sent.get("content") or []
    if len(contents) != 1:
        raise Refusal(422, "business-rule", "content must be one")
    _check_attachment(contents[0].get("attachment") or {}, created=created)
    context = sent.get("context") or {}
    if "T" not in str((context.get("period") or {}).get("end", "")):
        raise Refusal(422, "required", "context.period.end with a time is required")
    if len(context.get("encounter") or []) != 1:
        raise Refusal(422, "required", "context.encounter is required")
    return kept


def _check_attachment(attachment: Resource, *, created: bool) -> None:
    type, _, parameters = str(attachment.get("contentType", "")).partition(";")
    if type != "application/pdf" and not (type in TEXT_TYPES and parameters == "charset=utf-8"):
        raise Refusal(422, "business-rule", "contentType is not supported, or has no charset")
    if created and not attachment.get("data"):
        raise Refusal(422, "required", "attachment.data is required")


async def _read(scope: Scope, receive: Receive) -> httpx.Request:
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            break
    query = scope.get("query_string", b"").decode()
    host = next((value.decode() for name, value in scope["headers"] if name == b"host"), "ehr.test")
    url = f"{scope.get('scheme', 'http')}://{host}{scope['path']}" + (f"?{query}" if query else "")
    return httpx.Request(scope["method"], url, headers=scope["headers"], content=body)


def _with_body(request: httpx.Request, body: Resource) -> httpx.Request:
    headers = [(name, value) for name, value in request.headers.raw if name.lower() != b"content-length"]
    return httpx.Request(request.method, request.url, headers=headers, content=json.dumps(body).encode())


def _outcome(refusal: Refusal) -> httpx.Response:
    issue = {"severity": "error", "code": refusal.code, "diagnostics": refusal.words}
    return httpx.Response(refusal.status, json={"resourceType": "OperationOutcome", "issue": [issue]})

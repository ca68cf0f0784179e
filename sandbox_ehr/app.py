"""The sandbox's HTTP API: read, search, create, conditional create, update with If-Match, CapabilityStatement.

https://hl7.org/fhir/R4/http.html
"""

import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any, Literal
from urllib.parse import parse_qsl
from uuid import uuid4

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.types import ASGIApp

from sandbox_ehr.app_launch import AUTHORIZE_PATH, KEYS_PATH, LOGIN_PATH, PAGE_PATH
from sandbox_ehr.capability import capability_statement
from sandbox_ehr.faults import Fault, Faults
from sandbox_ehr.notifications import SubscriptionNotifier
from sandbox_ehr.oracle_health import OracleDocuments
from sandbox_ehr.quirks import Quirks, QuirkState, QuirkyServer
from sandbox_ehr.responses import FhirError, error_response, etag, resource_response
from sandbox_ehr.search import PARAMETERS, REQUIRED
from sandbox_ehr.searchset import Pairs, find, searchset, unknown_parameters
from sandbox_ehr.smart import CONFIGURATION_PATH, TOKEN_PATH, AuthorizationServer
from sandbox_ehr.store import Resource, Store
from sandbox_ehr.subscriptions import Subscriptions
from shared.runtime.request_limits import MB, limit_endpoint

Style = Literal["plain", "opaque"]

CHALLENGE = 'Bearer error="invalid_token"'
# A document with all its renditions; the limit counts where the sandbox shares the services' process.
MAX_BODY_BYTES = 32 * MB
PAGE_SIZES = {"plain": 200, "opaque": 20}


class Sandbox:
    """One FHIR base URL over one store. `opaque` imitates a vendor with UUID ids, opaque ETags and small pages."""

    def __init__(
        self,
        store: Store,
        style: Style = "plain",
        token: str | None = None,
        subscriber: SubscriptionNotifier | None = None,
        quirks: Quirks | None = None,
        authorization: AuthorizationServer | None = None,
        *,
        oracle_documents: bool = False,
        subscriptions: Subscriptions | None = None,
    ) -> None:
        self.store = store
        self.authorization = authorization
        self.quirks = quirks
        self.oracle_documents = oracle_documents
        self.state = QuirkState()
        self._deletes = quirks is not None and quirks.supports_delete
        self.style = style
        self.subscriber, self._subscriptions = subscriber, subscriptions
        self.faults = Faults()
        self._token = token

    @limit_endpoint(MAX_BODY_BYTES)
    async def handle(self, request: Request) -> Response:
        """Handle a request to the FHIR base URL: apply an armed fault, then perform the interaction."""
        type = request.path_params.get("type", "metadata")
        fault = self.faults.consume(request.method, type)
        try:
            self._authorize(request, type)
            if fault is not None and (answer := await _apply_fault(fault)) is not None:
                return answer
            racing = fault is not None and fault.kind == "racing-create"
            response = await self._interact(request, type, request.path_params.get("id"), racing)
        except FhirError as refusal:
            return error_response(refusal)
        if fault is not None and fault.kind == "lost-response":
            raise ConnectionAbortedError("fault: the response is lost")
        return response

    def _authorize(self, request: Request, type: str) -> None:
        if self.authorization is not None and type != "metadata":
            sent, id = request.headers.get("authorization"), request.path_params.get("id")
            status = self.authorization.allows(sent, request.method, type, id)
            if status == 401:
                raise FhirError(401, "login", "a valid token is needed", {"WWW-Authenticate": CHALLENGE})
            if status == 403:
                raise FhirError(403, "forbidden", "the token's scopes do not allow this")
        if self._token is not None and request.headers.get("authorization") != f"Bearer {self._token}":
            raise FhirError(401, "login", "a bearer token is needed", {"WWW-Authenticate": "Bearer"})

    async def _interact(self, request: Request, type: str, id: str | None, racing: bool) -> Response:
        if type == "metadata":
            return resource_response(capability_statement(self.quirks, subscriptions=self._subscriptions is not None))
        if type not in PARAMETERS or (type == "Subscription" and self._subscriptions is None):
            raise FhirError(404, "not-supported", f"resource type {type} is not known here")
        if id == "_search" and request.method == "POST":
            return self._search(request, type, parse_qsl((await request.body()).decode()))
        interactions: dict[tuple[str, bool], Callable[[], Awaitable[Response]]] = {
            ("GET", True): lambda: self._read(type, str(id)),
            ("PUT", True): lambda: self._update(request, type, str(id)),
            **({("DELETE", True): lambda: self._delete(type, str(id))} if self._deletes else {}),
            ("POST", False): lambda: self._create(request, type, racing),
        }
        if request.method == "GET" and id is None:
            return self._search(request, type, request.query_params.multi_items())
        if (interaction := interactions.get((request.method, id is not None))) is None:
            raise FhirError(405, "not-supported", f"{request.method} is not supported here")
        return await interaction()

    async def _read(self, type: str, id: str) -> Response:
        return resource_response(self._stored(type, id))

    def _stored(self, type: str, id: str) -> Resource:
        found = self.store.get(type, id)
        if found is None:
            raise FhirError(404, "not-found", f"there is no such {type}")
        return found

    async def _create(self, request: Request, type: str, racing: bool) -> Response:
        resource = await self._read_body(request, type)
        condition = request.headers.get("if-none-exist")
        if condition and not racing:
            found = find(self.store, type, parse_qsl(condition))
            if len(found) > 1:
                raise FhirError(412, "multiple-matches", "several resources match If-None-Exist")
            if found:
                return resource_response(found[0])
        stored = self._store(resource | {"id": str(uuid4())}, 1)
        return resource_response(stored, 201, {"Location": f"{_base_url(request)}/{type}/{stored['id']}/_history/1"})

    async def _update(self, request: Request, type: str, id: str) -> Response:
        resource = await self._read_body(request, type)
        current = self._stored(type, id)  # PUT does not create
        if resource.get("id") != id:
            raise FhirError(400, "invalid", "the body's id is not the URL's")
        expected = request.headers.get("if-match")
        if expected is not None and expected.strip() != etag(current):
            raise FhirError(412, "conflict", "the resource has changed")
        version = current["meta"].get("versionId", "0")
        return resource_response(self._store(resource, int(version) + 1 if version.isdigit() else 1))

    async def _delete(self, type: str, id: str) -> Response:
        self.store.remove(self._stored(type, id))
        return Response(status_code=204)

    def _store(self, resource: Resource, version: int) -> Resource:
        now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        versioned = {"versionId": str(uuid4()) if self.style == "opaque" else str(version), "lastUpdated": now}
        stored = resource | {"meta": resource.get("meta", {}) | versioned}
        self.store.put(stored)
        if self.subscriber is not None:
            self.subscriber.notify(stored)
        return stored if self._subscriptions is None else self._subscriptions.on_stored(stored)

    async def _read_body(self, request: Request, type: str) -> Resource:
        try:
            resource = json.loads(await request.body())
        except ValueError:
            raise FhirError(400, "structure", "the body is not JSON") from None
        if not isinstance(resource, dict) or resource.get("resourceType") != type:
            raise FhirError(400, "invalid", f"the body is not a {type}")
        missing = [name for name in REQUIRED.get(type, ()) if not resource.get(name)]
        if missing:
            raise FhirError(422, "required", f"missing: {', '.join(missing)}")
        self._check_references(resource)
        return resource

    def _check_references(self, resource: Resource) -> None:
        if self.style == "plain":
            return
        for reference in _references(resource):
            type, _, id = reference.partition("/")
            if type in PARAMETERS and self.store.get(type, id) is None:
                raise FhirError(422, "invariant", "a reference points nowhere")

    def _search(self, request: Request, type: str, pairs: Pairs) -> Response:
        unknown = unknown_parameters(type, pairs)
        if unknown and "handling=lenient" not in request.headers.get("prefer", ""):
            raise FhirError(400, "not-supported", f"unknown search parameter: {', '.join(sorted(unknown))}")
        known = [(name, value) for name, value in pairs if name not in unknown]
        return resource_response(searchset(self.store, _base_url(request), type, known, PAGE_SIZES[self.style]))


def create_app(sandbox: Sandbox, *, faults: bool = False) -> ASGIApp:
    """Return the ASGI app: FHIR under `/fhir`, the token endpoint, and `/sandbox/faults` if `faults`.

    By the last, tests arm faults.
    """
    methods = ["GET", "POST", "PUT", "PATCH", "DELETE"]
    routes: list[Route | Mount] = [
        Route("/metadata", sandbox.handle, methods=["GET"]),
        Route("/{type}", sandbox.handle, methods=methods),
        Route("/{type}/{id}", sandbox.handle, methods=methods),
    ]
    outer: list[Route | Mount] = []
    if (authorization := sandbox.authorization) is not None:
        routes.insert(0, Route(f"/{CONFIGURATION_PATH}", authorization.configuration, methods=["GET"]))
        outer.append(Route(TOKEN_PATH, authorization.token, methods=["POST"]))
        if (apps := authorization.apps) is not None:
            outer += [
                Route(AUTHORIZE_PATH, apps.authorize, methods=["GET"]),
                Route(LOGIN_PATH, apps.login, methods=["POST"]),
                Route(KEYS_PATH, apps.keys, methods=["GET"]),
                Route(PAGE_PATH, apps.page, methods=["GET"]),
            ]
    outer.append(Mount("/fhir", routes=routes))
    if faults:
        outer.append(Route("/sandbox/faults", _faults_endpoint(sandbox.faults), methods=["GET", "POST", "DELETE"]))
    app: ASGIApp = Starlette(routes=outer)
    if sandbox.oracle_documents:
        app = OracleDocuments(app)
    return QuirkyServer(app, sandbox.quirks, sandbox.state) if sandbox.quirks is not None else app


def _faults_endpoint(faults: Faults) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        if request.method == "POST":
            faults.armed.append(Fault.model_validate_json(await request.body()))
        elif request.method == "DELETE":
            faults.armed.clear()
        return JSONResponse([fault.model_dump() for fault in faults.armed])

    return endpoint


async def _apply_fault(fault: Fault) -> Response | None:
    if fault.kind == "delay":
        await asyncio.sleep(fault.seconds)
    if fault.kind != "status":
        return None
    headers = {"Retry-After": fault.retry_after} if fault.retry_after else None
    return error_response(FhirError(fault.status, "transient", "armed fault", headers))


def _base_url(request: Request) -> str:
    return f"{request.url.scheme}://{request.url.netloc}{request.scope.get('root_path', '')}"


def _references(node: Any) -> list[str]:
    if isinstance(node, dict):
        own = [node["reference"]] if isinstance(node.get("reference"), str) else []
        return own + [reference for value in node.values() for reference in _references(value)]
    if isinstance(node, list):
        return [reference for value in node for reference in _references(value)]
    return []

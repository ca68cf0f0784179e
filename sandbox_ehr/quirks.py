"""Quirks of real FHIR servers as options of the sandbox. Each conforms to FHIR or is common, and has broken a client.

They are ASGI middleware around the app: its own behaviour and the stored resources are not changed.
"""

import asyncio
import json
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import httpx
from starlette.types import ASGIApp, Receive, Scope, Send

Clock = Callable[[], float]  # seconds
Body = dict[str, Any]
ReferenceStyle = Literal["relative", "absolute", "versioned", "absolute-versioned"]

MEDIA_TYPE = "application/fhir+json"
REFERENCES = frozenset({"patient", "subject", "encounter", "context", "target", "focus", "owner", "actor"})
ENCOUNTER_KEYS = ("_id", "patient", "subject", "identifier")
PAGE_PATH, PAGE_HOST = "/pages", "pages.ehr.example"


@dataclass(frozen=True, slots=True)
class Quirks:
    """The quirks of a server. By default there are none."""

    # Seconds for which a search result is cached, unless the request has `no-cache` (HAPI: 60).
    cache_seconds: float = 0.0
    max_page_size: int | None = None  # maximum entries of a page, whatever `_count` is (HAPI: 20 by default)
    reference_style: ReferenceStyle = "relative"  # of references in responses
    requires_reference_type: bool = False  # a search by a reference without its type finds nothing (Medplum)
    next_link: Literal["here", "path", "host"] = "here"  # where the link to the next page leads
    # Body of the response to a create (Oracle Health: only the Location header).
    create_response: Literal["whole", "location", "nothing"] = "whole"
    first_create_conflicts: bool = False  # the first conditional create of each type is a 409
    # The first conditional create of each type by an identifier is committed twice, as if two ran at once: both find no
    # match.
    first_create_races: bool = False
    # TYPE or TYPE?PARAMETER → status of its searches (a missing scope; an unsupported parameter)
    refused_searches: Mapping[str, int] = field(default_factory=dict)
    # Encounters are found by these parameters only, and by `status` or `_count` only together with a patient (Oracle
    # Health).
    keyed_encounter_search: bool = False
    incomplete_types: frozenset[str] = frozenset()  # types whose search results are marked as incomplete (Epic)
    # Seconds until the first create of each type is committed, while its client waits. Its condition is evaluated when
    # the request arrives.
    first_create_delay: float = 0.0
    max_contents: int | None = None  # maximum contents of a document; 422 for more (Oracle Health: 1)
    supports_delete: bool = False  # DELETE removes a resource
    token_file: Path | None = None  # a bearer token is required; the file has the valid one
    token_lifetime: float = 300.0  # seconds until the token is replaced


@dataclass(slots=True)
class QuirkState:
    """The state of a server with quirks, shared by several apps over one store."""

    cache: dict[str, tuple[float, httpx.Response]] = field(default_factory=dict)  # URL → expiry, response
    seen_creates: set[tuple[str, str]] = field(default_factory=set)  # quirk, type
    token: str = ""
    token_expires: float = 0.0


class QuirkyServer:
    """`app` with quirks. `clock` returns the seconds by which caches and tokens expire."""

    def __init__(self, app: ASGIApp, quirks: Quirks, state: QuirkState, clock: Clock = time.monotonic) -> None:
        self._app = app
        self._transport = httpx.ASGITransport(app)
        self._quirks = quirks
        self._clock = clock
        self._state = state
        if quirks.token_file is not None:
            self._current_token()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        if not scope["path"].startswith(("/fhir", PAGE_PATH)):
            await self._app(scope, receive, send)  # what tests ask of the sandbox is no server's answer
            return
        request = await _read_request(scope, receive)
        answer = await self._answer(request)
        headers = [(name, value) for name, value in answer.headers.raw if name.lower() != b"content-length"]
        headers.append((b"content-length", str(len(answer.content)).encode()))
        await send({"type": "http.response.start", "status": answer.status_code, "headers": headers})
        await send({"type": "http.response.body", "body": answer.content})

    async def _answer(self, request: httpx.Request) -> httpx.Response:
        request = _from_page_path(request)
        type = request.url.path.rstrip("/").split("/")[2] if request.url.path.count("/") > 1 else ""
        if type != "metadata" and not self._is_authorized(request):
            return _outcome(401, "login", {"WWW-Authenticate": 'Bearer error="invalid_token"'})
        if request.method == "GET" and request.url.path.count("/") == 2 and type != "metadata":
            return await self._search(request, type)
        if request.method == "POST" and request.url.path.count("/") == 2:
            return await self._create(request, type)
        return self._apply_reference_style(await self._forward(request), str(request.url))

    async def _search(self, request: httpx.Request, type: str) -> httpx.Response:
        quirks = self._quirks
        names = [type, *(f"{type}?{name}" for name in request.url.params)]
        refusals = [quirks.refused_searches[name] for name in names if name in quirks.refused_searches]
        if refusals:
            return _outcome(refusals[0], "forbidden" if refusals[0] == httpx.codes.FORBIDDEN else "not-supported")
        if quirks.keyed_encounter_search and type == "Encounter" and not _has_key(frozenset(request.url.params)):
            return _outcome(400, "required")
        fresh = "no-cache" in request.headers.get("cache-control", "")
        known = self._state.cache.get(str(request.url))
        if quirks.cache_seconds and known is not None and not fresh and self._clock() < known[0]:
            return known[1]
        answer = await self._forward(self._limit_page_size(request))
        if answer.status_code == httpx.codes.OK:
            answer = self._apply_search_quirks(answer, request, type)
        self._state.cache[str(request.url)] = (self._clock() + quirks.cache_seconds, answer)
        return answer

    def _limit_page_size(self, request: httpx.Request) -> httpx.Request:
        if self._quirks.max_page_size is None:
            return request
        pairs = parse_qsl(request.url.query.decode(), keep_blank_values=True)
        asked = next(
            (int(value) for name, value in pairs if name == "_count" and value.isdigit()), self._quirks.max_page_size
        )
        kept = [(name, value) for name, value in pairs if name != "_count"]
        return _with_query(request, [*kept, ("_count", str(min(asked, self._quirks.max_page_size)))])

    def _apply_search_quirks(self, answer: httpx.Response, request: httpx.Request, type: str) -> httpx.Response:
        bundle = answer.json()
        pairs = parse_qsl(request.url.query.decode())
        bare = [name for name, value in pairs if name in REFERENCES and "/" not in value]
        if self._quirks.requires_reference_type and bare:
            bundle["entry"], bundle["link"] = [], bundle["link"][:1]
        if type in self._quirks.incomplete_types:
            issue = {"severity": "warning", "code": "incomplete", "diagnostics": "one source did not answer"}
            outcome = {"resourceType": "OperationOutcome", "id": "incomplete", "issue": [issue]}
            bundle["entry"] = [*bundle["entry"], {"resource": outcome, "search": {"mode": "outcome"}}]
        for link in bundle["link"]:
            if link["relation"] == "next":
                link["url"] = _next_page_url(link["url"], self._quirks.next_link)
        return self._apply_reference_style(_with_body(answer, bundle), str(request.url))

    async def _create(self, request: httpx.Request, type: str) -> httpx.Response:
        if type == "DocumentReference" and self._has_too_many_contents(request):
            return _outcome(422, "business-rule")
        condition = request.headers.get("if-none-exist", "")
        if self._quirks.first_create_conflicts and condition and self._is_first_create("contended", type):
            return _outcome(409, "conflict")
        if (
            self._quirks.first_create_delay
            and self._is_first_create("late", type)
            and not await self._condition_matches(request)
        ):
            # The client may have disconnected by then: the write continues, as in a database.
            answer = await asyncio.shield(asyncio.create_task(self._commit_after_delay(_unconditional(request))))
        elif self._quirks.first_create_races and "identifier=" in condition and self._is_first_create("raced", type):
            await self._forward(_unconditional(request))
            answer = await self._forward(_unconditional(request))
        else:
            answer = await self._forward(request)
        if answer.status_code != httpx.codes.CREATED or self._quirks.create_response == "whole":
            return self._apply_reference_style(answer, str(request.url))
        headers = {"location": answer.headers["location"]} if self._quirks.create_response == "location" else {}
        return httpx.Response(201, headers=headers)

    def _has_too_many_contents(self, request: httpx.Request) -> bool:
        """Return whether a document has more contents than this server accepts."""
        return (
            self._quirks.max_contents is not None
            and len(json.loads(request.content)["content"]) > self._quirks.max_contents
        )

    def _is_first_create(self, quirk: str, type: str) -> bool:
        """Return whether `quirk` has not been applied to a create of `type` before."""
        if (quirk, type) in self._state.seen_creates:
            return False
        self._state.seen_creates.add((quirk, type))
        return True

    async def _condition_matches(self, request: httpx.Request) -> bool:
        """Return whether the condition of a create matches a resource now, which is before the create is committed."""
        if "if-none-exist" not in request.headers:
            return False
        url = request.url.copy_with(query=request.headers["if-none-exist"].encode())
        found = await self._forward(httpx.Request("GET", url, headers=_unconditional(request).headers))
        return bool(found.json().get("entry"))

    async def _commit_after_delay(self, request: httpx.Request) -> httpx.Response:
        await asyncio.sleep(self._quirks.first_create_delay)
        return await self._forward(request)

    async def _forward(self, request: httpx.Request) -> httpx.Response:
        answer = await self._transport.handle_async_request(request)
        await answer.aread()
        return answer

    def _apply_reference_style(self, answer: httpx.Response, url: str) -> httpx.Response:
        """Return the response with references in this server's style."""
        ours = answer.headers.get("content-type", "").startswith(MEDIA_TYPE) and "/metadata" not in url
        if self._quirks.reference_style == "relative" or not ours:
            return answer
        base = url.partition("/fhir/")[0] + "/fhir/"
        return _with_body(answer, _with_reference_style(answer.json(), base, self._quirks.reference_style))

    def _is_authorized(self, request: httpx.Request) -> bool:
        wanted = f"Bearer {self._current_token()}"
        return self._quirks.token_file is None or request.headers.get("authorization") == wanted

    def _current_token(self) -> str:
        file = self._quirks.token_file
        state = self._state
        if file is not None and self._clock() >= state.token_expires:
            state.token, state.token_expires = secrets.token_urlsafe(16), self._clock() + self._quirks.token_lifetime
            file.write_text(state.token)
        return state.token


def _has_key(names: frozenset[str]) -> bool:
    """Return whether Oracle Health would answer a search for Encounters by these parameters."""
    by_patient = bool(names & {"patient", "subject"})
    return bool(names & set(ENCOUNTER_KEYS)) and (by_patient or not names & {"status", "_count"})


async def _read_request(scope: Scope, receive: Receive) -> httpx.Request:
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body", False):
            break
    host = dict(scope["headers"]).get(b"host", b"ehr").decode()
    query = f"?{scope['query_string'].decode()}" if scope["query_string"] else ""
    url = f"{scope['scheme']}://{host}{scope['path']}{query}"
    return httpx.Request(scope["method"], url, headers=scope["headers"], content=body)


def _from_page_path(request: httpx.Request) -> httpx.Request:
    parts = urlsplit(str(request.url))
    if not parts.path.startswith(PAGE_PATH):
        return request
    url = urlunsplit(parts._replace(path=parts.path.removeprefix(PAGE_PATH)))
    return httpx.Request(request.method, url, headers=request.headers, content=request.content)


def _with_query(request: httpx.Request, pairs: list[tuple[str, str]]) -> httpx.Request:
    url = request.url.copy_with(query=urlencode(pairs).encode())
    return httpx.Request(request.method, url, headers=request.headers, content=request.content)


def _next_page_url(url: str, where: str) -> str:
    parts = urlsplit(url)
    if where == "path":
        return urlunsplit(parts._replace(path=PAGE_PATH + parts.path))
    return urlunsplit(parts._replace(netloc=PAGE_HOST)) if where == "host" else url


def _unconditional(request: httpx.Request) -> httpx.Request:
    headers = [(name, value) for name, value in request.headers.raw if name.lower() != b"if-none-exist"]
    return httpx.Request(request.method, request.url, headers=headers, content=request.content)


def _with_reference_style(node: Any, base: str, spelling: ReferenceStyle) -> Any:
    if isinstance(node, list):
        return [_with_reference_style(item, base, spelling) for item in node]
    if not isinstance(node, dict):
        return node
    found = {name: _with_reference_style(value, base, spelling) for name, value in node.items()}
    reference = found.get("reference")
    if isinstance(reference, str) and reference.count("/") == 1 and not reference.startswith("#"):
        version = "/_history/1" if spelling in ("versioned", "absolute-versioned") else ""
        found["reference"] = f"{'' if spelling == 'versioned' else base}{reference}{version}"
    return found


def _with_body(answer: httpx.Response, body: Body) -> httpx.Response:
    headers = {name: value for name, value in answer.headers.items() if name != "content-length"}
    return httpx.Response(answer.status_code, headers=headers, content=json.dumps(body).encode())


def _outcome(status: int, code: str, headers: Mapping[str, str] | None = None) -> httpx.Response:
    body = {"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": code}]}
    sent = {"content-type": MEDIA_TYPE} | dict(headers or {})
    return httpx.Response(status, headers=sent, content=json.dumps(body).encode())

"""Quirks of real FHIR servers, as switches of the sandbox: each is legal, or common, and has broken a client somewhere.

They stand around the app as ASGI middleware: what the sandbox itself does, and what is stored, stays as it is.
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
Spelling = Literal["relative", "absolute", "versioned", "absolute-versioned"]

FHIR = "application/fhir+json"
REFERENCES = frozenset({"patient", "subject", "encounter", "context", "target", "focus", "owner", "actor"})
OTHER_PATH, OTHER_HOST = "/pages", "pages.ehr.example"


@dataclass(frozen=True, slots=True)
class Quirks:
    """What a server does its own way. With nothing set, the sandbox answers as it is."""

    cache: float = 0.0  # seconds for which a search is answered as it first was, unless asked for `no-cache` (HAPI: 60)
    page: int | None = None  # entries of a page, at most, whatever `_count` says (HAPI: 20 by default)
    references: Spelling = "relative"  # in what it answers
    typed: bool = False  # a search by a reference without its type finds nothing (Medplum)
    next: Literal["here", "path", "host"] = "here"  # where the link to the next page leads
    created: Literal["whole", "location", "nothing"] = "whole"  # what a create answers (Oracle Health: the location)
    contended: bool = False  # the first conditional create of each type is a 409
    # The first conditional create of each type is one of two that ran at once: each looked before the other committed.
    raced: bool = False
    # TYPE or TYPE?PARAMETER → status of its searches (a scope that is missing; a parameter that is not supported)
    refused: Mapping[str, int] = field(default_factory=dict)
    incomplete: frozenset[str] = frozenset()  # types whose searches say that they are incomplete (Epic)
    # Seconds after which the first create of each type is committed, while its client waits; its condition is looked at
    # when it comes.
    late: float = 0.0
    contents: int | None = None  # a document may have so many contents; one with more is a 422 (Oracle Health: 1)
    deletes: bool = False  # DELETE removes a resource
    token_file: Path | None = None  # a bearer token is needed; the file always has the one that counts
    token_life: float = 300.0  # seconds until the token is another one


@dataclass(slots=True)
class QuirkState:
    """What a server with quirks remembers. Several apps over one store share it, as they are one server."""

    cache: dict[str, tuple[float, httpx.Response]] = field(default_factory=dict)  # URL → when it ends, the answer
    begun: set[tuple[str, str]] = field(default_factory=set)  # quirks of the first create of a type: quirk, type
    token: str = ""
    token_ends: float = 0.0


class QuirkyServer:
    """`app` with quirks. `clock` tells when caches and tokens end."""

    def __init__(self, app: ASGIApp, quirks: Quirks, state: QuirkState, clock: Clock = time.monotonic) -> None:
        self._app = app
        self._inner = httpx.ASGITransport(app)
        self._quirks = quirks
        self._clock = clock
        self._state = state
        if quirks.token_file is not None:
            self._current_token()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        if not scope["path"].startswith(("/fhir", OTHER_PATH)):
            await self._app(scope, receive, send)  # what tests ask of the sandbox is no server's answer
            return
        request = await _request(scope, receive)
        answer = await self._answer(request)
        headers = [(name, value) for name, value in answer.headers.raw if name.lower() != b"content-length"]
        headers.append((b"content-length", str(len(answer.content)).encode()))
        await send({"type": "http.response.start", "status": answer.status_code, "headers": headers})
        await send({"type": "http.response.body", "body": answer.content})

    async def _answer(self, request: httpx.Request) -> httpx.Response:
        request = _from_other_path(request)
        type = request.url.path.rstrip("/").split("/")[2] if request.url.path.count("/") > 1 else ""
        if type != "metadata" and not self._may(request):
            return _outcome(401, "login", {"WWW-Authenticate": 'Bearer error="invalid_token"'})
        if request.method == "GET" and request.url.path.count("/") == 2 and type != "metadata":
            return await self._search(request, type)
        if request.method == "POST" and request.url.path.count("/") == 2:
            return await self._create(request, type)
        return self._written(await self._pass(request), str(request.url))

    async def _search(self, request: httpx.Request, type: str) -> httpx.Response:
        quirks = self._quirks
        names = [type, *(f"{type}?{name}" for name in request.url.params)]
        refusals = [quirks.refused[name] for name in names if name in quirks.refused]
        if refusals:
            return _outcome(refusals[0], "forbidden" if refusals[0] == httpx.codes.FORBIDDEN else "not-supported")
        fresh = "no-cache" in request.headers.get("cache-control", "")
        known = self._state.cache.get(str(request.url))
        if quirks.cache and known is not None and not fresh and self._clock() < known[0]:
            return known[1]
        answer = await self._pass(self._as_paged(request))
        if answer.status_code == httpx.codes.OK:
            answer = self._as_found(answer, request, type)
        self._state.cache[str(request.url)] = (self._clock() + quirks.cache, answer)
        return answer

    def _as_paged(self, request: httpx.Request) -> httpx.Request:
        if self._quirks.page is None:
            return request
        pairs = parse_qsl(request.url.query.decode(), keep_blank_values=True)
        asked = next((int(value) for name, value in pairs if name == "_count" and value.isdigit()), self._quirks.page)
        kept = [(name, value) for name, value in pairs if name != "_count"]
        return _asking(request, [*kept, ("_count", str(min(asked, self._quirks.page)))])

    def _as_found(self, answer: httpx.Response, request: httpx.Request, type: str) -> httpx.Response:
        bundle = answer.json()
        pairs = parse_qsl(request.url.query.decode())
        bare = [name for name, value in pairs if name in REFERENCES and "/" not in value]
        if self._quirks.typed and bare:
            bundle["entry"], bundle["link"] = [], bundle["link"][:1]
        if type in self._quirks.incomplete:
            issue = {"severity": "warning", "code": "incomplete", "diagnostics": "one source did not answer"}
            outcome = {"resourceType": "OperationOutcome", "id": "incomplete", "issue": [issue]}
            bundle["entry"] = [*bundle["entry"], {"resource": outcome, "search": {"mode": "outcome"}}]
        for link in bundle["link"]:
            if link["relation"] == "next":
                link["url"] = _elsewhere(link["url"], self._quirks.next)
        return self._written(_json(answer, bundle), str(request.url))

    async def _create(self, request: httpx.Request, type: str) -> httpx.Response:
        if type == "DocumentReference" and self._too_many(request):
            return _outcome(422, "business-rule")
        conditional = "if-none-exist" in request.headers
        if self._quirks.contended and conditional and self._first("contended", type):
            return _outcome(409, "conflict")
        if self._quirks.late and self._first("late", type) and not await self._holds(request):
            # The client may be gone by then: the write goes on, as it does in a database.
            answer = await asyncio.shield(asyncio.create_task(self._commit_late(_unconditional(request))))
        elif self._quirks.raced and conditional and self._first("raced", type):
            await self._pass(_unconditional(request))
            answer = await self._pass(_unconditional(request))
        else:
            answer = await self._pass(request)
        if answer.status_code != httpx.codes.CREATED or self._quirks.created == "whole":
            return self._written(answer, str(request.url))
        headers = {"location": answer.headers["location"]} if self._quirks.created == "location" else {}
        return httpx.Response(201, headers=headers)

    def _too_many(self, request: httpx.Request) -> bool:
        """Whether a document has more contents than this server takes."""
        return self._quirks.contents is not None and len(json.loads(request.content)["content"]) > self._quirks.contents

    def _first(self, quirk: str, type: str) -> bool:
        """Whether `quirk` has not met a create of `type` before."""
        if (quirk, type) in self._state.begun:
            return False
        self._state.begun.add((quirk, type))
        return True

    async def _holds(self, request: httpx.Request) -> bool:
        """Whether the condition of a create finds something now; when it is committed is another time."""
        if "if-none-exist" not in request.headers:
            return False
        url = request.url.copy_with(query=request.headers["if-none-exist"].encode())
        found = await self._pass(httpx.Request("GET", url, headers=_unconditional(request).headers))
        return bool(found.json().get("entry"))

    async def _commit_late(self, request: httpx.Request) -> httpx.Response:
        await asyncio.sleep(self._quirks.late)
        return await self._pass(request)

    async def _pass(self, request: httpx.Request) -> httpx.Response:
        answer = await self._inner.handle_async_request(request)
        await answer.aread()
        return answer

    def _written(self, answer: httpx.Response, url: str) -> httpx.Response:
        """The answer with references as this server spells them."""
        ours = answer.headers.get("content-type", "").startswith(FHIR) and "/metadata" not in url
        if self._quirks.references == "relative" or not ours:
            return answer
        base = url.partition("/fhir/")[0] + "/fhir/"
        return _json(answer, _spelled(answer.json(), base, self._quirks.references))

    def _may(self, request: httpx.Request) -> bool:
        wanted = f"Bearer {self._current_token()}"
        return self._quirks.token_file is None or request.headers.get("authorization") == wanted

    def _current_token(self) -> str:
        file = self._quirks.token_file
        state = self._state
        if file is not None and self._clock() >= state.token_ends:
            state.token, state.token_ends = secrets.token_urlsafe(16), self._clock() + self._quirks.token_life
            file.write_text(state.token)
        return state.token


async def _request(scope: Scope, receive: Receive) -> httpx.Request:
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


def _from_other_path(request: httpx.Request) -> httpx.Request:
    parts = urlsplit(str(request.url))
    if not parts.path.startswith(OTHER_PATH):
        return request
    url = urlunsplit(parts._replace(path=parts.path.removeprefix(OTHER_PATH)))
    return httpx.Request(request.method, url, headers=request.headers, content=request.content)


def _asking(request: httpx.Request, pairs: list[tuple[str, str]]) -> httpx.Request:
    url = request.url.copy_with(query=urlencode(pairs).encode())
    return httpx.Request(request.method, url, headers=request.headers, content=request.content)


def _elsewhere(url: str, where: str) -> str:
    parts = urlsplit(url)
    if where == "path":
        return urlunsplit(parts._replace(path=OTHER_PATH + parts.path))
    return urlunsplit(parts._replace(netloc=OTHER_HOST)) if where == "host" else url


def _unconditional(request: httpx.Request) -> httpx.Request:
    headers = [(name, value) for name, value in request.headers.raw if name.lower() != b"if-none-exist"]
    return httpx.Request(request.method, request.url, headers=headers, content=request.content)


def _spelled(node: Any, base: str, spelling: Spelling) -> Any:
    if isinstance(node, list):
        return [_spelled(item, base, spelling) for item in node]
    if not isinstance(node, dict):
        return node
    found = {name: _spelled(value, base, spelling) for name, value in node.items()}
    reference = found.get("reference")
    if isinstance(reference, str) and reference.count("/") == 1 and not reference.startswith("#"):
        version = "/_history/1" if spelling in ("versioned", "absolute-versioned") else ""
        found["reference"] = f"{'' if spelling == 'versioned' else base}{reference}{version}"
    return found


def _json(answer: httpx.Response, body: Body) -> httpx.Response:
    headers = {name: value for name, value in answer.headers.items() if name != "content-length"}
    return httpx.Response(answer.status_code, headers=headers, content=json.dumps(body).encode())


def _outcome(status: int, code: str, headers: Mapping[str, str] | None = None) -> httpx.Response:
    body = {"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": code}]}
    sent = {"content-type": FHIR} | dict(headers or {})
    return httpx.Response(status, headers=sent, content=json.dumps(body).encode())

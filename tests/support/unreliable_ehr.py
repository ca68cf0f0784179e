"""The sandbox EHR behind a server with the quirks of real ones: late commits, caches, slow indexes, bare answers."""

import json
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlencode

import httpx

from sandbox_ehr.app import Sandbox, create_app
from sandbox_ehr.capability import capability_statement
from shared.clinical.fhir_client import FhirClient
from tests.support.ehr import BASE, LossyTransport


@dataclass
class UnreliableEhr(httpx.AsyncBaseTransport):
    """What a test sets holds from then on. Types are FHIR types; `seen` are the requests that came."""

    sandbox: Sandbox
    late: set[str] = field(default_factory=set)  # the next create of these is committed by `commit`, its answer lost
    stale: bool = False  # searches answer as they first did, unless they ask not to
    lagging: bool = False  # searches answer as they first did, whatever they ask
    bare: str | None = None  # a create answers without a body: "location" or "nothing"
    puts_create: bool = False
    deletes: bool = False
    lenient: set[str] = field(default_factory=set)  # search parameters that are passed over
    unknown: set[str] = field(default_factory=set)  # search parameters that are refused
    refused: dict[tuple[str, str], int] = field(default_factory=dict)  # method and type → status
    seen: list[httpx.Request] = field(default_factory=list)
    held: list[httpx.Request] = field(default_factory=list)
    _cache: dict[str, httpx.Response] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._inner = LossyTransport(create_app(self.sandbox))

    @property
    def client(self) -> FhirClient:
        return FhirClient(BASE, httpx.AsyncClient(transport=self))

    def chart(self, type: str) -> list[dict[str, Any]]:
        return list(self.sandbox.store.candidates(type, None, None))

    def remove(self, type: str, id: str) -> None:
        """By its id; the sandbox itself deletes nothing unless it is told to."""
        if (found := self.sandbox.store.get(type, id)) is not None:
            self.sandbox.store.remove(found)

    async def commit(self) -> None:
        """What was held is committed, as its conditions were when it came."""
        held, self.held = self.held, []
        for request in held:
            request.headers.pop("If-None-Exist", None)
            await self._inner.handle_async_request(request)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        await request.aread()
        self.seen.append(request)
        _, _, type, *rest = request.url.path.split("/")
        if (status := self.refused.get((request.method, type))) is not None:
            return httpx.Response(status)
        if request.method == "POST" and type in self.late:
            self.late.remove(type)
            self.held.append(request)
            raise httpx.ReadTimeout("the server takes its time", request=request)
        match request.method:
            case "GET" if type == "metadata" and self.puts_create:
                return self._statement()
            case "GET" if not rest:
                return await self._search(request)
            case "DELETE" if self.deletes:
                self.remove(type, rest[0])
                return httpx.Response(204)
            case "PUT" if self.puts_create and self.sandbox.store.get(type, rest[0]) is None:
                return self._made(request)
        if type == "Provenance" and not self._understands_condition(request):
            return httpx.Response(400)
        response = await self._inner.handle_async_request(request)
        if request.method == "POST" and self.bare is not None:
            await response.aread()
            named = response.headers.get("Location") if self.bare == "location" else None  # none of what was there
            headers = {"Location": named} if named is not None else {}
            return httpx.Response(response.status_code, headers=headers)
        return response

    def _understands_condition(self, request: httpx.Request) -> bool:
        """Return whether the parameters of a conditional create are known; removes those that are passed over.

        Only of Provenance: that other types are found by their identifiers is what every profile relies on.
        """
        asked = dict(parse_qsl(request.headers.get("If-None-Exist", "")))
        if self.unknown & asked.keys():
            return False
        if self.lenient & asked.keys():
            kept = {name: value for name, value in asked.items() if name not in self.lenient}
            request.headers["If-None-Exist"] = urlencode(kept)
        return True

    async def _search(self, request: httpx.Request) -> httpx.Response:
        if self.unknown & set(request.url.params):
            return httpx.Response(400)
        for name in self.lenient:
            request.url = request.url.copy_remove_param(name)
        key = str(request.url)
        fresh = "no-cache" in request.headers.get("Cache-Control", "")
        if key in self._cache and (self.lagging or (self.stale and not fresh)):
            return self._copy(self._cache[key])
        response = await self._inner.handle_async_request(request)
        await response.aread()
        if self.lagging or self.stale:
            self._cache[key] = response
        return self._copy(response)

    @staticmethod
    def _copy(response: httpx.Response) -> httpx.Response:
        return httpx.Response(response.status_code, content=response.content)

    def _statement(self) -> httpx.Response:
        statement = capability_statement(self.sandbox.quirks)
        for item in statement["rest"][0]["resource"]:
            item["updateCreate"] = True
        return httpx.Response(200, json=statement)

    def _made(self, request: httpx.Request) -> httpx.Response:
        stored = self.sandbox._store(json.loads(request.content), 1)  # its PUT does not create
        return httpx.Response(201, json=stored)

"""A client registered with the sandbox's authorization server, as the services' settings would build it."""

import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx

from sandbox_ehr.app import Sandbox
from sandbox_ehr.smart import EVERYTHING, AuthorizationServer, RegisteredClient
from sandbox_ehr.store import Store
from shared.clinical.fhir_client import FhirClient
from shared.clinical.smart.token_source import BackendToken
from shared.oauth.client_authentication import PrivateKeyJwt
from shared.oauth.client_keys import ClientKey, dump_keys, generate_key, parse_keys, public_jwks
from tests.support.ehr import BASE, http

CLIENT = "countersign"


class SmartEhr:
    """A sandbox that wants tokens, and the key file of the one client that it knows. `clock` is in seconds."""

    def __init__(
        self,
        directory: Path,
        life: float,
        clock: Callable[[], float],
        store: Store,
        scope: str = EVERYTHING,
        secret: str | None = None,
    ) -> None:
        self.clock = clock
        self.key_file = directory / "ehr-client.keys.json"
        self.write_keys(generate_key("ES384", 0))
        client = RegisteredClient(CLIENT, self._published, secret=secret, scope=scope)
        self.server = AuthorizationServer([client], life=life, clock=clock)
        self.sandbox = Sandbox(store, authorization=self.server)
        self.fetched = 0

    def write_keys(self, *keys: ClientKey) -> None:
        self.keys = keys
        self.key_file.write_text(dump_keys(keys))

    async def _published(self) -> Any:
        self.fetched += 1
        return json.loads(json.dumps(public_jwks(parse_keys(self.key_file.read_text()))))

    def http(self) -> httpx.AsyncClient:
        return http(self.sandbox)

    def token(self, **more: Any) -> BackendToken:
        ids = itertools.count()
        prefix = id(ids)
        authentication = more.pop("authentication", None) or PrivateKeyJwt(
            CLIENT, self.key_file, lambda: f"{prefix}-{next(ids)}"
        )
        return BackendToken(BASE, authentication, self.http, clock=self.clock, now=self.clock, **more)

    def client(self, token: BackendToken | None = None) -> FhirClient:
        return FhirClient(BASE, self.http(), token or self.token())

"""An OpenID Connect provider on loopback: signs in whoever the test says sits there, and holds clients to PKCE."""

import base64
import hashlib
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Annotated, Any
from urllib.parse import urlencode

import uvicorn
from fastapi import FastAPI, Form, Header
from fastapi.responses import JSONResponse, RedirectResponse, Response
from joserfc import jwt
from joserfc.jwk import RSAKey

from cli.stack.ports import free_port

CLIENT = "countersign"
GEE = {
    "sub": "mgee",
    "name": "Maxine Gee",
    "roles": ["physician"],
    "departments": ["internal-medicine"],
    "fhirUser": "https://ehr.example/fhir/Practitioner/DR-IM-006",
    "npi": "1234567893",
}


class OidcServer:
    """`person` are the claims of whoever sits at the browser."""

    def __init__(self, port: int) -> None:
        self.issuer = f"http://127.0.0.1:{port}"
        self.key = RSAKey.generate_key(2048, {"kid": "one", "use": "sig"})
        self.person: dict[str, Any] = dict(GEE)
        self.asked: list[dict[str, Any]] = []  # what browsers were sent with
        self.clock: Callable[[], datetime] = lambda: datetime.now(UTC)
        self.renewals = 0  # times that somebody was asked about again
        self.knows = True  # whether refresh tokens are still good
        self.gives_refresh_tokens = True
        self.unusable = False  # whether its keys verify nothing
        self.token_answer: Response | None = None  # instead of tokens
        self.extra: dict[str, Any] = {}  # answers of further paths
        self._codes: dict[str, dict[str, Any]] = {}
        self._refresh = ""  # good once

    def logout_token(self, **claims: Any) -> str:
        """A logout token of the person; `claims` take the place of the ordinary ones."""
        event = {"http://schemas.openid.net/event/backchannel-logout": {}}
        ordinary = dict.fromkeys(GEE) | {"sub": GEE["sub"], "auth_time": None, "events": event}
        return self.token(**ordinary | {"jti": secrets.token_urlsafe(8)} | claims)

    def token(self, *, key: RSAKey | None = None, **claims: Any) -> str:
        """An access token; `claims` take the place of the ordinary ones."""
        now = int(self.clock().timestamp())
        ordinary = GEE | {"iss": self.issuer, "aud": CLIENT, "iat": now, "exp": now + 300, "auth_time": now}
        found = {name: value for name, value in (ordinary | claims).items() if value is not None}
        return jwt.encode({"alg": "RS256", "kid": "one"}, found, key or self.key)

    def _tokens(self, **claims: Any) -> Response:
        answer = {"access_token": "opaque", "token_type": "Bearer", "id_token": self.token(**(self.person | claims))}
        if self.gives_refresh_tokens:
            self._refresh = secrets.token_urlsafe(24)
            answer["refresh_token"] = self._refresh
        return JSONResponse(answer)

    def _claims_elsewhere(self, app: FastAPI) -> None:
        @app.get("/userinfo")
        async def userinfo() -> Any:
            return self.extra["userinfo"]

        @app.get("/groups")
        async def groups(authorization: Annotated[str, Header()]) -> Any:
            assert authorization == "Bearer opaque"
            return self.extra["groups"]

    def app(self) -> FastAPI:
        app = FastAPI()
        self._claims_elsewhere(app)

        @app.get("/.well-known/openid-configuration")
        async def metadata() -> dict[str, Any]:
            places = {"authorization_endpoint": "authorize", "token_endpoint": "token", "jwks_uri": "keys"}
            more = {"userinfo_endpoint": "userinfo"} if "userinfo" in self.extra else {}
            return {"issuer": self.issuer} | {name: f"{self.issuer}/{path}" for name, path in (places | more).items()}

        @app.get("/keys")
        async def keys() -> dict[str, Any]:
            return {"keys": [] if self.unusable else [self.key.as_dict(private=False)]}

        @app.get("/authorize")
        async def authorize(
            client_id: str,
            redirect_uri: str,
            state: str,
            nonce: str,
            code_challenge: str,
            code_challenge_method: str,
            prompt: str = "",
        ) -> Response:
            assert (client_id, code_challenge_method) == (CLIENT, "S256")
            code = secrets.token_urlsafe(12)
            self._codes[code] = {"challenge": code_challenge, "nonce": nonce, "redirect": redirect_uri}
            self.asked.append({"prompt": prompt})
            return RedirectResponse(f"{redirect_uri}?{urlencode({'code': code, 'state': state})}", 302)

        @app.post("/token")
        async def token(
            grant_type: Annotated[str, Form()],
            code: Annotated[str, Form()] = "",
            code_verifier: Annotated[str, Form()] = "",
            redirect_uri: Annotated[str, Form()] = "",
            refresh_token: Annotated[str, Form()] = "",
        ) -> Response:
            if self.token_answer is not None:
                return self.token_answer
            if grant_type == "refresh_token":
                if not self.knows or refresh_token != self._refresh:
                    return JSONResponse({"error": "invalid_grant"}, 400)
                self.renewals += 1
                return self._tokens()
            found = self._codes.pop(code, None)
            challenge = base64.urlsafe_b64encode(hashlib.sha256(code_verifier.encode()).digest()).rstrip(b"=").decode()
            if found is None or found["challenge"] != challenge or found["redirect"] != redirect_uri:
                return JSONResponse({"error": "invalid_grant"}, 400)
            return self._tokens(nonce=found["nonce"])

        return app


@contextmanager
def oidc_server() -> Iterator[OidcServer]:
    port = free_port()
    found = OidcServer(port)
    server = uvicorn.Server(uvicorn.Config(found.app(), port=port, log_config=None, access_log=False))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    deadline = time.monotonic() + 10
    while not server.started:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    try:
        yield found
    finally:
        server.should_exit = True
        thread.join(10)

"""The sandbox's side of SMART App Launch (EHR launch), as strict as the standard is.

A person opens `/sandbox/launch?encounter=…&practitioner=…`: a page of the EHR with the app in a frame. Whoever is
chosen there is the EHR's user; there are no passwords. Codes and launches are good once and for a minute.
https://hl7.org/fhir/smart-app-launch/app-launch.html
"""

import base64
import hashlib
import html
import re
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from joserfc import jwt
from joserfc.jwk import ECKey, KeySet
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response

from sandbox_ehr.store import Store

AUTHORIZE_PATH, LOGIN_PATH, KEYS_PATH, PAGE_PATH = "/oauth/authorize", "/oauth/login", "/oauth/keys", "/sandbox/launch"
LIFE_S = 60.0  # of a launch and of a code
SCOPES = {"launch", "launch/patient", "launch/encounter", "openid", "fhirUser", "profile", "offline_access"}
_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")
_VERIFIER = re.compile(r"[A-Za-z0-9._~-]{43,128}")


@dataclass(frozen=True, slots=True)
class RegisteredApp:
    """An app that the EHR may open. `redirect_uris` are compared as they are; without `secret` it is public."""

    id: str
    launch_url: str
    redirect_uris: tuple[str, ...]
    secret: str | None = field(default=None, repr=False)
    scope: str = "launch openid fhirUser profile"


@dataclass(frozen=True, slots=True)
class _Launch:
    ends: float
    encounter: str
    practitioner: str


@dataclass(frozen=True, slots=True)
class _Code:
    ends: float
    redirect: str
    challenge: str
    nonce: str | None
    scope: str
    practitioner: str
    auth_time: float
    encounter: str | None


class LaunchError(Exception):
    """A refused request: an OAuth code, and which check failed."""

    def __init__(self, code: str, description: str) -> None:
        super().__init__(description)
        self.code, self.description = code, description


class AppLaunch:
    """Launch one app, authorize it for the EHR's user, and issue ID tokens. `clock` is in seconds since 1970."""

    def __init__(self, store: Store, app: RegisteredApp, clock: Callable[[], float] = time.time) -> None:
        self.app = app
        self._store = store
        self._clock = clock
        self._key = ECKey.generate_key("P-256", {"kid": "sandbox", "use": "sig", "alg": "ES256"})
        self._launches: dict[str, _Launch] = {}
        self._codes: dict[str, _Code] = {}
        self._user = ""  # practitioner who used the EHR last
        self._signed_in = clock()

    def configuration(self, root: str) -> dict[str, Any]:
        """Return what the SMART configuration says about launches."""
        return {
            "issuer": f"{root}/fhir",
            "jwks_uri": f"{root}{KEYS_PATH}",
            "authorization_endpoint": f"{root}{AUTHORIZE_PATH}",
            "code_challenge_methods_supported": ["S256"],
            "capabilities": [
                "launch-ehr",
                "client-public",
                "sso-openid-connect",
                "context-ehr-patient",
                "context-ehr-encounter",
                "authorize-post",
            ],
        }

    async def keys(self, request: Request) -> Response:  # noqa: ARG002
        """Answer the key set that verifies ID tokens."""
        return JSONResponse({"keys": [self._key.as_dict(private=False)]})

    async def page(self, request: Request) -> Response:
        """Show the EHR's page of a stay, with the app in a frame and a link to it."""
        encounter, practitioner = (
            request.query_params.get("encounter", ""),
            request.query_params.get("practitioner", ""),
        )
        if self._store.get("Encounter", encounter) is None or self._store.get("Practitioner", practitioner) is None:
            return HTMLResponse("<h1>There is no such stay or practitioner</h1>", 404)
        if practitioner != self._user:
            self._user, self._signed_in = practitioner, self._clock()
        launch = secrets.token_urlsafe(24)
        now = self._clock()
        self._launches = {key: item for key, item in self._launches.items() if item.ends > now}
        self._launches[launch] = _Launch(now + LIFE_S, encounter, practitioner)
        sent = urlencode({"iss": f"{root_of(request)}/fhir", "launch": launch})
        url = html.escape(f"{self.app.launch_url}?{sent}")
        frame = f'<iframe title="Countersign" src="{url}" width="1200" height="700"></iframe>'
        shown = frame if request.query_params.get("framed", "1") != "0" else f'<a href="{url}">Open Countersign</a>'
        return HTMLResponse(f"<!doctype html><html lang=en><title>Sandbox EHR</title><h1>Sandbox EHR</h1>{shown}")

    async def authorize(self, request: Request) -> Response:
        """Answer the authorization endpoint: a redirect with a code, or with an error."""
        asked = dict(request.query_params)
        if len(asked) != len(request.query_params.multi_items()):
            return _refusal("a parameter repeats")
        # Where app or redirect URI are wrong, the browser is not sent there (RFC 6749, section 4.1.2.1).
        if asked.get("client_id") != self.app.id or asked.get("redirect_uri") not in self.app.redirect_uris:
            return _refusal("client_id or redirect_uri")
        try:
            scope = self._check(asked, root_of(request))
            if "launch" in asked:
                launched = self._launches.pop(asked["launch"], None)
                if launched is None or launched.ends < self._clock():
                    raise LaunchError("invalid_request", "launch")
                return self._redirect(asked, scope, launched.practitioner, launched.encounter)
            if not self._user:
                raise LaunchError("login_required", "nobody uses the EHR")
        except LaunchError as refused:
            sent = {"error": refused.code, "error_description": refused.description, "state": asked.get("state", "")}
            return RedirectResponse(f"{asked['redirect_uri']}?{urlencode(sent)}", 302)
        if asked.get("prompt") == "login":
            return self._login_page(asked)
        return self._redirect(asked, scope, self._user, None)

    async def login(self, request: Request) -> Response:
        """Take the form of the login page: the user has authenticated anew."""
        form = await request.form()
        asked = {name: str(value) for name, value in form.items()}
        if asked.get("client_id") != self.app.id or asked.get("redirect_uri") not in self.app.redirect_uris:
            return _refusal("client_id or redirect_uri")
        try:
            scope = self._check(asked, root_of(request))
        except LaunchError as refused:
            return _refusal(refused.description)
        self._signed_in = self._clock()
        return self._redirect(asked, scope, self._user, None)

    def _check(self, asked: dict[str, str], root: str) -> str:
        """Return the granted scopes. Raises LaunchError naming what is wrong."""
        scopes = asked.get("scope", "").split()
        checks = {
            "response_type": asked.get("response_type") == "code",
            "aud": asked.get("aud") == f"{root}/fhir",
            "state": len(asked.get("state", ""))
            >= 16,  # SMART requires 122 bits of entropy; only the length can be checked
            "code_challenge_method": asked.get("code_challenge_method") == "S256",
            "code_challenge": bool(_CHALLENGE.fullmatch(asked.get("code_challenge", ""))),
            "launch": ("launch" in asked) == ("launch" in scopes),
        }
        for name, holds in checks.items():
            if not holds:
                raise LaunchError("invalid_request", name)
        if not scopes or not set(scopes) <= SCOPES & set(self.app.scope.split()):
            raise LaunchError("invalid_scope", "scope")
        return " ".join(scopes)

    def _login_page(self, asked: dict[str, str]) -> Response:
        hidden = "".join(
            f'<input type="hidden" name="{html.escape(name)}" value="{html.escape(value)}">'
            for name, value in asked.items()
        )
        button = f"<button>Sign in as {html.escape(self._user)}</button>"
        form = f'<form method="post" action="{LOGIN_PATH}">{hidden}{button}</form>'
        return HTMLResponse(f"<!doctype html><html lang=en><title>Sandbox EHR</title><h1>Sign in again</h1>{form}")

    def _redirect(self, asked: dict[str, str], scope: str, practitioner: str, encounter: str | None) -> Response:
        code = secrets.token_urlsafe(24)
        self._codes[code] = _Code(
            self._clock() + LIFE_S,
            asked["redirect_uri"],
            asked["code_challenge"],
            asked.get("nonce"),
            scope,
            practitioner,
            self._signed_in,
            encounter,
        )
        return RedirectResponse(f"{asked['redirect_uri']}?{urlencode({'code': code, 'state': asked['state']})}", 303)

    def redeem(self, form: dict[str, str], client: tuple[str, str] | None, root: str) -> dict[str, Any]:
        """Return the token response for a code, which is then used up. Raises LaunchError."""
        code = self._codes.pop(form.get("code", ""), None)
        id, secret = client or (form.get("client_id", ""), form.get("client_secret", ""))
        if id != self.app.id or not secrets.compare_digest((self.app.secret or "").encode(), secret.encode()):
            raise LaunchError("invalid_client", "client")
        if code is None or code.ends < self._clock():
            raise LaunchError("invalid_grant", "code")
        if form.get("redirect_uri") != code.redirect:
            raise LaunchError("invalid_grant", "redirect_uri")
        verifier = form.get("code_verifier", "")
        digest = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
        if not _VERIFIER.fullmatch(verifier) or digest != code.challenge:
            raise LaunchError("invalid_grant", "code_verifier")
        return self._answer(code, root)

    def _answer(self, code: _Code, root: str) -> dict[str, Any]:
        now, base = int(self._clock()), f"{root}/fhir"
        claims: dict[str, Any] = {
            "iss": base,
            "sub": f"user-{code.practitioner}",
            "aud": self.app.id,
            "iat": now,
            "exp": now + 300,
            "auth_time": int(code.auth_time),
        }
        claims |= {"nonce": code.nonce} if code.nonce else {}
        claims |= {"fhirUser": f"{base}/Practitioner/{code.practitioner}"} if "fhirUser" in code.scope.split() else {}
        answer: dict[str, Any] = {"token_type": "Bearer", "expires_in": 300, "scope": code.scope}
        answer["access_token"] = secrets.token_urlsafe(24)  # it opens nothing: the app reads with its own client
        if "openid" in code.scope.split():
            answer["id_token"] = jwt.encode({"alg": "ES256", "kid": "sandbox"}, claims, KeySet([self._key]))
        if code.encounter is not None:
            stay = self._store.get("Encounter", code.encounter) or {}
            patient = stay.get("subject", {}).get("reference", "").removeprefix("Patient/")
            answer |= {"encounter": code.encounter, "patient": patient, "need_patient_banner": False}
        return answer


def root_of(request: Request) -> str:
    """Return the server's own address, as it was asked by."""
    return f"{request.url.scheme}://{request.url.netloc}"


def _refusal(check: str) -> Response:
    return HTMLResponse(f"<h1>The app is not authorized: {html.escape(check)}</h1>", 400)

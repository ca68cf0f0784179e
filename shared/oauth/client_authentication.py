"""Authenticate our client at a token endpoint: by a signed assertion, or by a client secret.

https://www.rfc-editor.org/rfc/rfc7523, https://www.rfc-editor.org/rfc/rfc6749#section-2.3.1
"""

import asyncio
import base64
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol
from urllib.parse import quote_plus

from joserfc import jwt

from shared.contracts.errors import PermanentError
from shared.oauth.client_certificate import ClientCertificate, read_certificate
from shared.oauth.client_keys import ClientKey, parse_keys, select_key
from shared.oauth.errors import TokenRefusedError

SecretMethod = Literal["client_secret_basic", "client_secret_post"]

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
ASSERTION_LIFE_S = 240  # servers refuse more than five minutes; the rest is for clocks that differ


@dataclass(frozen=True, slots=True)
class ClientCredentials:
    """Headers and form fields that authenticate one token request. They are secrets: never log them."""

    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    form: Mapping[str, str] = field(default_factory=dict, repr=False)


class ClientAuthentication(Protocol):
    """A way to authenticate, named as in RFC 7591 (`token_endpoint_auth_method`)."""

    async def credentials(self, token_url: str, algorithms: Collection[str], now: float) -> ClientCredentials:
        """Return credentials for one request to `token_url` at `now` (seconds since 1970).

        `algorithms` are those that the server accepts; empty where it names none. Raises TokenRefusedError when a
        setting is wrong.
        """


def sign_assertion(
    key: ClientKey, client_id: str, token_url: str, now: float, id: str, jwks_url: str | None = None
) -> str:
    """Return the JWT that proves to `token_url` who we are. `id` must never repeat; `jwks_url` is named if given.

    `aud` is a string, as servers reject a list.
    """
    header = {"alg": str(key.get("alg")), "kid": str(key.kid), "typ": "JWT"}
    if jwks_url:
        header["jku"] = jwks_url
    return _sign(header, key, client_id, token_url, now, id)


def sign_by_certificate(
    certificate: ClientCertificate, algorithm: str, client_id: str, token_url: str, now: float, id: str
) -> str:
    """Return the same JWT for a server that finds our key by a certificate's thumbprint, and knows no `kid`."""
    header = {"alg": algorithm, "typ": "JWT"} | certificate.thumbprints
    return _sign(header, certificate.key, client_id, token_url, now, id)


def _sign(header: dict[str, str], key: ClientKey, client_id: str, token_url: str, now: float, id: str) -> str:
    issued = int(now)
    claims = {"iss": client_id, "sub": client_id, "aud": token_url, "jti": id, "iat": issued}
    return jwt.encode(header, claims | {"exp": issued + ASSERTION_LIFE_S}, key, algorithms=[header["alg"]])


class PrivateKeyJwt:
    """`private_key_jwt`: an assertion signed with a key of `key_file`, which is read for each request.

    A rotated key is therefore used without a restart. `new_id` returns an id that was never used. With
    `certificate_file`, the key is that of the certificate, whose thumbprint the assertion states. `server` and
    `setting` name the server and the file's setting in errors.
    """

    def __init__(
        self,
        client_id: str,
        key_file: Path,
        new_id: Callable[[], str],
        jwks_url: str | None = None,
        *,
        certificate_file: Path | None = None,
        server: str = "EHR",
        setting: str = "COUNTERSIGN_EHR_CLIENT_KEY_FILE",
    ) -> None:
        self._client_id = client_id
        self._key_file = key_file
        self._certificate_file = certificate_file
        self._new_id = new_id
        self._jwks_url = jwks_url
        self._server = server
        self._setting = setting

    async def credentials(self, token_url: str, algorithms: Collection[str], now: float) -> ClientCredentials:
        sign = self._by_certificate if self._certificate_file is not None else self._by_key_set
        assertion = await sign(token_url, algorithms, now)
        return ClientCredentials(form={"client_assertion_type": ASSERTION_TYPE, "client_assertion": assertion})

    async def _by_key_set(self, token_url: str, algorithms: Collection[str], now: float) -> str:
        key = select_key(await self._keys(), algorithms, now)
        if key is None:
            raise self._no_algorithm("add a key of an algorithm that its configuration names (ES384 or RS384)")
        return sign_assertion(key, self._client_id, token_url, now, self._new_id(), self._jwks_url)

    async def _by_certificate(self, token_url: str, algorithms: Collection[str], now: float) -> str:
        certificate = await self._certificate()
        if (algorithm := certificate.algorithm(algorithms)) is None:
            raise self._no_algorithm("use a certificate with an RSA key (PS256, RS256)")
        return sign_by_certificate(certificate, algorithm, self._client_id, token_url, now, self._new_id())

    def _no_algorithm(self, fix: str) -> TokenRefusedError:
        return TokenRefusedError(
            f"the {self._server} accepts none of the signing algorithms of our keys", "algorithm", fix
        )

    async def _certificate(self) -> ClientCertificate:
        assert self._certificate_file is not None  # noqa: S101
        fix = f"check {self._setting} and the certificate's setting"
        try:
            return await asyncio.to_thread(read_certificate, self._certificate_file, self._key_file)
        except (OSError, UnicodeDecodeError) as error:
            reason = f"the file of our client's certificate or keys cannot be read ({type(error).__name__})"
            raise TokenRefusedError(reason, "certificate", fix) from None
        except PermanentError as error:
            raise TokenRefusedError(error.reason, "certificate", fix) from None

    async def _keys(self) -> tuple[ClientKey, ...]:
        fix = f"check {self._setting} (countersign secrets init creates it)"
        try:
            return parse_keys(await asyncio.to_thread(self._key_file.read_text))
        except (OSError, UnicodeDecodeError) as error:
            reason = f"the file of our client's keys cannot be read ({type(error).__name__})"
            raise TokenRefusedError(reason, "key-file", fix) from None
        except PermanentError as error:
            raise TokenRefusedError(error.reason, "key-file", fix) from None


class ClientSecret:
    """`client_secret_basic` or `client_secret_post`. `read` returns the secret for each request.

    `setting` names the file's setting in errors.
    """

    def __init__(
        self,
        client_id: str,
        read: Callable[[], str],
        method: SecretMethod,
        *,
        setting: str = "COUNTERSIGN_EHR_CLIENT_SECRET_FILE",
    ) -> None:
        self._client_id = client_id
        self._read = read
        self._method = method
        self._setting = setting

    async def credentials(
        self,
        token_url: str,  # noqa: ARG002 - a secret is the same for every request
        algorithms: Collection[str],  # noqa: ARG002
        now: float,  # noqa: ARG002
    ) -> ClientCredentials:
        try:
            secret = (await asyncio.to_thread(self._read)).strip()
        except (OSError, UnicodeDecodeError) as error:
            reason = f"the file of our client's secret cannot be read ({type(error).__name__})"
            raise TokenRefusedError(reason, "secret-file", f"check {self._setting}") from None
        if self._method == "client_secret_post":
            return ClientCredentials(form={"client_id": self._client_id, "client_secret": secret})
        # Both parts are form-encoded before base64, so that `:`, `+` and `%` arrive as they are.
        pair = f"{quote_plus(self._client_id)}:{quote_plus(secret)}".encode()
        return ClientCredentials(headers={"Authorization": f"Basic {base64.b64encode(pair).decode()}"})


class PublicClient:
    """A client without credentials (`none`): it only states its id, and PKCE binds the code to it."""

    def __init__(self, client_id: str) -> None:
        self._client_id = client_id

    async def credentials(
        self,
        token_url: str,  # noqa: ARG002 - there is nothing to prove
        algorithms: Collection[str],  # noqa: ARG002
        now: float,  # noqa: ARG002
    ) -> ClientCredentials:
        return ClientCredentials(form={"client_id": self._client_id})

"""Verify the tokens of one issuer: signature, issuer, audience and times."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from joserfc import jwt
from joserfc.errors import JoseError

from shared.oauth.issuer_keys import IssuerKeys, SignatureError
from shared.runtime.authentication import AuthenticationError


class IssuerTokens:
    """Tokens of `issuer`. `leeway` is in seconds, for clocks that differ."""

    def __init__(self, issuer: str, keys: IssuerKeys, clock: Callable[[], datetime], leeway: int) -> None:
        self._issuer = issuer
        self._keys = keys
        self._clock = clock
        self._leeway = leeway

    async def verify(self, token: str, audience: str) -> dict[str, Any]:
        """Return the claims of an ID token or access token for `audience`.

        Raises AuthenticationError, TransientError.
        """
        return await self._verified(token, audience, exp=True, sub=True)

    async def verify_logout(self, token: str, audience: str) -> dict[str, Any]:
        """Return the claims of a logout token, of which `exp` and `sub` may be missing. Raises as `verify` does."""
        return await self._verified(token, audience, exp=False, sub=False)

    async def signed(self, token: str) -> dict[str, Any]:
        """Return the claims of a JWT that the issuer signed, whatever they are. Raises as `verify` does."""
        try:
            return await self._keys.claims(token)
        except SignatureError:
            raise AuthenticationError("the token is not signed by the identity provider") from None

    async def _verified(self, token: str, audience: str, *, exp: bool, sub: bool) -> dict[str, Any]:
        claims = await self.signed(token)
        registry = jwt.JWTClaimsRegistry(
            now=lambda: int(self._clock().timestamp()),
            leeway=self._leeway,
            iss={"essential": True, "value": self._issuer},
            aud={"essential": True, "value": audience},
            exp={"essential": exp},
            sub={"essential": sub},
        )
        try:
            registry.validate(claims)
        except JoseError as error:
            raise AuthenticationError(_describe(error)) from None
        return claims


def _describe(error: JoseError) -> str:
    claim = getattr(error, "claim", None)
    if error.error == "expired_token":
        return "the token has expired"
    if claim == "iss":
        return "the token is of another issuer"
    if claim == "aud":
        return "the token is for somebody else"
    return f"the token is not valid ({error.error})"

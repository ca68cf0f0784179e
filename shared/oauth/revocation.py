"""Revoke tokens: OAuth 2.0 Token Revocation.

https://www.rfc-editor.org/rfc/rfc7009
"""

from typing import Literal

import httpx

from shared.oauth.client_authentication import ClientAuthentication
from shared.oauth.token_endpoint import parse_json, post_form, refusal_of


async def revoke_token(
    http: httpx.AsyncClient,
    url: str,
    authentication: ClientAuthentication,
    now: float,
    token: str,
    hint: Literal["access_token", "refresh_token"],
) -> None:
    """Revoke a token; one that the server does not know counts as revoked. `now` is in seconds since 1970.

    Raises TransientError, TokenRefusedError.
    """
    form = {"token": token, "token_type_hint": hint}
    answer = await post_form(http, url, authentication, (), now, form, "revocation endpoint")
    if not answer.is_success:
        raise refusal_of(answer, parse_json(answer), "revocation endpoint")

"""Look up browser sessions at approval, which signs people in.

Another service's pages stand under the same origin, so the browser sends them approval's cookie. They ask approval who
it is, by `GET /v1/me`, and need no access to the bucket of sessions.
"""

import httpx
from pydantic import ValidationError

from shared.contracts.errors import TransientError
from shared.http import HttpClient
from shared.runtime.authentication import BACKGROUND_HEADER, SESSION_COOKIE, Caller
from shared.runtime.public_origin import PublicOrigin

TIMEOUT_S = 5.0


class RemoteSessions:
    """Implements `shared.runtime.authentication.SessionLookup`. `url` is that of approval inside the installation."""

    def __init__(self, url: str, public: PublicOrigin, http: httpx.AsyncClient | None = None) -> None:
        self._url = f"{url.rstrip('/')}/v1/me"
        self._cookie = public.cookie_name(SESSION_COOKIE)
        self._http = http or HttpClient(timeout=TIMEOUT_S, trust_env=False)

    async def caller(self, id: str, *, touch: bool = True) -> Caller | None:
        """Return who signed in; None when the session does not exist or has timed out.

        `touch` counts the request as activity. Raises TransientError where approval does not answer.
        """
        headers = {"Cookie": f"{self._cookie}={id}"} | ({} if touch else {BACKGROUND_HEADER: "true"})
        try:
            answer = await self._http.get(self._url, headers=headers)
        except httpx.HTTPError as error:
            raise TransientError(f"the sign-in cannot be checked: approval: {type(error).__name__}") from None
        if answer.status_code in (401, 403):
            return None
        if not answer.is_success:
            raise TransientError(f"the sign-in cannot be checked: approval: HTTP {answer.status_code}")
        try:
            return _caller(answer.json())
        except (ValueError, TypeError, KeyError, ValidationError):
            raise TransientError("the sign-in cannot be checked: approval: not an answer of /v1/me") from None

    async def close(self) -> None:
        await self._http.aclose()


def _caller(me: dict[str, object]) -> Caller:
    roles = me["roles"]
    if not isinstance(roles, list) or not roles:
        raise ValueError("no roles")
    return Caller.model_validate(
        {
            "subject": me["subject"],
            "role": roles[0],
            "also": roles[1:],
            "name": me["name"],
            "departments": me["departments"],
            "method": me["method"],
        }
    )

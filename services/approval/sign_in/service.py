"""Sign browsers in and out: the session behind the cookie, and the cookies themselves."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from fastapi.responses import RedirectResponse, Response

from services.approval.sign_in.sessions import SessionStore
from shared.messaging.access_log import AccessLog
from shared.runtime.authentication import SESSION_COOKIE, Caller
from shared.runtime.oidc import OidcProvider, SignInResult
from shared.runtime.public_origin import PublicOrigin


@dataclass(frozen=True, slots=True)
class SignInService:
    """`provider` is the identity provider, if there is one. `people` is set by the embedded stack alone."""

    sessions: SessionStore
    log: AccessLog
    clock: Callable[[], datetime]
    new_secret: Callable[[], str]
    public: PublicOrigin
    provider: OidcProvider | None = None
    people: Sequence[Caller] = ()

    async def open_session(self, previous: str, signed: SignInResult, after: str) -> Response:
        """Open a session and redirect to the path `after`; the browser's `previous` session is closed."""
        if previous:
            await self.sessions.close(previous)
        caller = signed.caller
        await self.log.record("signed-in", detail="", subject=caller.subject, role=caller.role, method=caller.method)
        answer = RedirectResponse(local_path(after), 303)
        self.set_cookie(answer, SESSION_COOKIE, await self.sessions.open(signed))
        return answer

    def set_cookie(self, answer: Response, name: str, value: str, max_age: int | None = None) -> None:
        """Set a cookie for this host alone, which no script may read."""
        answer.set_cookie(
            self.public.cookie_name(name),
            value,
            max_age=max_age,
            httponly=True,
            samesite="lax",
            secure=self.public.secure,
        )

    def delete_cookie(self, answer: Response, name: str) -> None:
        """Delete a cookie. A `__Host-` cookie is only replaced by one that is `Secure` as well."""
        answer.delete_cookie(self.public.cookie_name(name), httponly=True, samesite="lax", secure=self.public.secure)


def local_path(path: str) -> str:
    """Return `path` if it is one of ours, otherwise `/`: a crafted link must not send anybody elsewhere."""
    return path if path.startswith("/") and not path.startswith(("//", "/\\")) else "/"

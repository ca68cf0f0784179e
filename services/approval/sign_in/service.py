"""Sign browsers in and out: the session behind the cookie, and the cookies themselves."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from fastapi import Request
from fastapi.responses import Response

from services.approval.sign_in.launch.client import EhrLaunch
from services.approval.sign_in.sessions import SessionStore
from shared.messaging.access_log import AccessLog
from shared.runtime.authentication import SESSION_COOKIE, Caller
from shared.runtime.oidc import OidcProvider, SignInResult
from shared.runtime.public_origin import PublicOrigin


@dataclass(frozen=True, slots=True)
class SignInService:
    """`provider` is the identity provider, `launch` the EHR that opens Countersign, if there is one.

    `people` is set by the embedded stack alone.
    """

    sessions: SessionStore
    log: AccessLog
    clock: Callable[[], datetime]
    new_secret: Callable[[], str]
    public: PublicOrigin
    provider: OidcProvider | None = None
    people: Sequence[Caller] = ()
    launch: EhrLaunch | None = None

    @property
    def frame_ancestors(self) -> tuple[str, ...]:
        """Origins whose pages may embed ours. Cookies in frames must be `Secure`, so without https there are none."""
        return self.launch.settings.frame_ancestors if self.launch is not None and self.public.secure else ()

    def is_embedded(self, request: Request) -> bool:
        """Return whether the browser loads a page into a frame, where the EHR's origin may do so."""
        return bool(self.frame_ancestors) and is_frame(request)

    async def open_session(
        self, previous: str, signed: SignInResult, answer: Response, *, embedded: bool = False
    ) -> Response:
        """Open a session and add its cookie to `answer`; the browser's `previous` session is closed."""
        if previous:
            await self.sessions.close(previous)
        caller = signed.caller
        await self.log.record("signed-in", detail="", by=caller.actor)
        if self.frame_ancestors:  # otherwise the browser would also send the old (un)partitioned cookie
            self._delete(answer, SESSION_COOKIE, embedded=not embedded)
        self.set_cookie(answer, SESSION_COOKIE, await self.sessions.open(signed), embedded=embedded)
        return answer

    def set_cookie(
        self, answer: Response, name: str, value: str, max_age: int | None = None, *, embedded: bool = False
    ) -> None:
        """Set a cookie for this host alone, which no script may read.

        In a frame of another site the browser only keeps a partitioned cookie, apart for each embedding site.
        https://developer.mozilla.org/docs/Web/Privacy/Guides/Privacy_sandbox/Partitioned_cookies
        """
        answer.set_cookie(
            self.public.cookie_name(name),
            value,
            max_age=max_age,
            httponly=True,
            samesite="none" if embedded else "lax",
            secure=self.public.secure,
        )
        if embedded:  # Starlette sets the attribute from Python 3.14 on
            field, cookie = answer.raw_headers[-1]
            answer.raw_headers[-1] = field, cookie + b"; Partitioned"

    def delete_cookie(self, answer: Response, name: str) -> None:
        """Delete a cookie, also that of a frame. A `__Host-` cookie is only replaced by one that is `Secure` too."""
        self._delete(answer, name, embedded=False)
        if self.frame_ancestors:
            self._delete(answer, name, embedded=True)

    def _delete(self, answer: Response, name: str, *, embedded: bool) -> None:
        self.set_cookie(answer, name, "", max_age=0, embedded=embedded)


def is_frame(request: Request) -> bool:
    """Return whether the browser states that it loads a page into a frame.

    https://www.w3.org/TR/fetch-metadata/#sec-fetch-dest-header
    """
    return request.headers.get("sec-fetch-dest") in ("iframe", "frame")


def local_path(path: str) -> str:
    """Return `path` if it is one of ours, otherwise `/`: a crafted link must not send anybody elsewhere."""
    return path if path.startswith("/") and not path.startswith(("//", "/\\")) else "/"

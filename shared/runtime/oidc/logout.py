"""Check the claims of a logout token (OpenID Connect Back-Channel Logout 1.0). Pure.

https://openid.net/specs/openid-connect-backchannel-1_0.html#Validation
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from shared.runtime.authentication import AuthenticationError

EVENT = "http://schemas.openid.net/event/backchannel-logout"
# Age at which a logout token is refused, in seconds; that long, besides the leeway, its `jti` is remembered.
MAX_AGE_S = 300


@dataclass(frozen=True, slots=True)
class LogoutRequest:
    """Whose sessions end: one session of the provider (`sid`), or all of a person (`subject`)."""

    jti: str
    issued: datetime
    subject: str | None
    sid: str | None


def parse_logout(claims: Mapping[str, Any], now: datetime, leeway: int) -> LogoutRequest:
    """Return the request of verified claims (issuer, audience, signature). Raises AuthenticationError."""
    events, issued, jti = claims.get("events"), claims.get("iat"), claims.get("jti")
    if not isinstance(events, Mapping) or not isinstance(events.get(EVENT), Mapping):
        raise AuthenticationError("the token is no logout token (events)")
    if "nonce" in claims:
        raise AuthenticationError("a logout token has no nonce")
    if not isinstance(jti, str) or not jti:
        raise AuthenticationError("the logout token has no id (jti)")
    if isinstance(issued, bool) or not isinstance(issued, int | float):
        raise AuthenticationError("the logout token has no time (iat)")
    if not now.timestamp() - MAX_AGE_S - leeway <= issued <= now.timestamp() + leeway:
        raise AuthenticationError("the logout token is too old, or of the future (iat)")
    subject, sid = claims.get("sub"), claims.get("sid")
    if not all(value is None or (isinstance(value, str) and value) for value in (subject, sid)):
        raise AuthenticationError("the logout token names nobody (sub, sid)")
    if subject is None and sid is None:
        raise AuthenticationError("the logout token names nobody (sub, sid)")
    return LogoutRequest(jti, datetime.fromtimestamp(issued, UTC), subject, sid)

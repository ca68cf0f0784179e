"""Sign a person in on another device or browser: the OAuth 2.0 Device Authorization Grant.

https://www.rfc-editor.org/rfc/rfc8628
"""

import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from shared.contracts.errors import TransientError
from shared.oauth.errors import SlowDownError, TokenRefusedError
from shared.oauth.token_endpoint import is_secure_url

GRANT_TYPE = "urn:ietf:params:oauth:grant-type:device_code"
PENDING, EXPIRED = "authorization_pending", "expired_token"
DEFAULT_INTERVAL_S = 5.0  # section 3.2
SLOWER_BY_S = 5.0  # section 3.5, for this and all later requests
MAX_INTERVAL_S = 60.0  # of our own backoff, where the server does not answer
MAX_TEXT = 2000  # characters of an address


@dataclass(frozen=True, slots=True)
class DeviceAuthorization:
    """The code that a person enters at `verification_uri`, and for how many seconds it is good.

    `device_code` is a secret. `complete_uri` includes the code, if the server offers that.
    """

    device_code: str = field(repr=False)
    user_code: str
    verification_uri: str
    complete_uri: str | None
    expires_in: float
    interval: float = DEFAULT_INTERVAL_S


def parse_device_authorization(body: Any) -> DeviceAuthorization:
    """Return what the device authorization endpoint answered. Raises TransientError where it cannot be used.

    What is shown on a terminal is ASCII without control characters; addresses are https, or of this machine.
    """
    found = body if isinstance(body, dict) else {}
    texts = {name: found.get(name) for name in ("device_code", "user_code", "verification_uri")}
    lifetime = _seconds(found.get("expires_in"))
    if not all(map(is_printable, texts.values())) or lifetime is None:
        raise TransientError("the device authorization endpoint's answer lacks a code, an address or a lifetime")
    complete = found.get("verification_uri_complete")
    if not is_secure_url(texts["verification_uri"]):
        raise TransientError("the address at which the code is to be entered is not an https address")
    return DeviceAuthorization(
        str(texts["device_code"]),
        str(texts["user_code"]),
        str(texts["verification_uri"]),
        str(complete) if is_printable(complete) and is_secure_url(complete) else None,
        lifetime,
        _seconds(found.get("interval")) or DEFAULT_INTERVAL_S,
    )


def is_printable(value: Any) -> bool:
    """Return whether a value is a text that a terminal shows as it is."""
    return isinstance(value, str) and 0 < len(value) <= MAX_TEXT and value.isascii() and value.isprintable()


def _seconds(value: Any) -> float | None:
    """Return a positive number of seconds; some servers send it as text."""
    try:
        seconds = float(value) if isinstance(value, int | float | str) and not isinstance(value, bool) else 0.0
    except ValueError:
        return None
    return seconds if math.isfinite(seconds) and seconds > 0 else None


async def poll(
    request: Callable[[], Awaitable[dict[str, Any]]],
    device: DeviceAuthorization,
    clock: Callable[[], float],
    sleep: Callable[[float], Awaitable[None]],
) -> dict[str, Any]:
    """Repeat `request`, a token request, until the person has decided; returns its answer.

    `clock` is monotonic, in seconds. Raises TokenRefusedError: `access_denied`, `expired_token`, or our client is
    refused; TransientError where the server did not answer until the code expired.
    """
    interval, ends = device.interval, clock() + device.expires_in
    silent: TransientError | None = None
    while clock() < ends:
        await sleep(min(interval, max(0.0, ends - clock())))
        try:
            return await request()
        except SlowDownError:
            interval, silent = interval + SLOWER_BY_S, None
        except TokenRefusedError as refusal:
            if refusal.code != PENDING:
                raise
            silent = None
        except TransientError as failure:  # section 3.5: back off, as the server may be overloaded
            interval, silent = max(interval, min(2 * interval, MAX_INTERVAL_S)), failure
    raise silent or TokenRefusedError("the code has expired", EXPIRED, "sign in again")

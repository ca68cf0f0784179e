"""Sign messages by Standard Webhooks: HMAC-SHA256 over id, time and body. https://www.standardwebhooks.com"""

import base64
from collections.abc import Sequence
from datetime import UTC, datetime

from standardwebhooks import Webhook as Signer

PREFIX = "whsec_"
SECRET_BYTES = 32


def secret_text(secret: bytes) -> str:
    """Return a secret as it is shown to the integrator, once."""
    return PREFIX + base64.b64encode(secret).decode()


def signed_headers(secrets: Sequence[bytes], id: str, time: datetime, body: bytes) -> dict[str, str]:
    """Return the headers of a message, with one signature for each secret that is valid at the time."""
    at = time.astimezone(UTC)
    signatures = (Signer(secret).sign(id, at, body.decode()) for secret in secrets)
    return {
        "webhook-id": id,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": " ".join(signatures),
    }

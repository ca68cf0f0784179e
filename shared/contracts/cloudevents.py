"""CloudEvents 1.0 in binary mode: the attributes of an event as NATS headers, its data as JSON. Pure.

https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/nats-protocol-binding.md
"""

from datetime import UTC, datetime


def event_headers(
    *, id: str, type: str, source: str, time: datetime | None = None, subject: str | None = None
) -> dict[str, str]:
    """Return the headers of an event of `source`, one of our services.

    The digest of a case's event covers them, so that neither their names nor the form of the time may ever change.
    """
    headers = {
        "ce-specversion": "1.0",
        "ce-id": id,
        "ce-type": type,
        "ce-source": f"countersign/{source}",
    }
    if time is not None:
        headers["ce-time"] = time.astimezone(UTC).isoformat(timespec="microseconds")
    if subject is not None:
        headers["ce-subject"] = subject
    return headers | {"content-type": "application/json"}

"""Headers of successful answers, as the `responses` of a route for OpenAPI."""

from typing import Any


def with_headers(headers: dict[str, str], status: int = 200) -> dict[int | str, dict[str, Any]]:
    """Return the answer `status`, which always has `headers`: their descriptions by name."""
    described = {
        name: {"description": text, "required": True, "schema": {"type": "string"}} for name, text in headers.items()
    }
    return {status: {"headers": described}}


def with_etag(meaning: str) -> dict[int | str, dict[str, Any]]:
    """Return the answer 200 with an ETag."""
    return with_headers({"ETag": meaning})

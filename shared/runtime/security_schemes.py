"""Security schemes of OpenAPI, by which callers authenticate: https://spec.openapis.org/oas/v3.1.0#security-scheme-object"""

from typing import Any

SecuritySchemes = dict[str, dict[str, Any]]  # by their names in the document

BEARER: SecuritySchemes = {
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "description": "a token of the tokens file, or an access token of the identity provider",
    }
}


def session_scheme(cookie: str) -> SecuritySchemes:
    """Return the scheme of a browser's session in `cookie`."""
    return {
        "session": {
            "type": "apiKey",
            "in": "cookie",
            "name": cookie,
            "description": "the session of a browser; other requests than GET and HEAD need the `Origin` of our pages",
        }
    }

"""Read a person's groups from an endpoint, where a token leaves them out because there are too many.

Entra ID does so from 200 groups on. The endpoint is a setting: the one that a token names is never asked.
https://learn.microsoft.com/en-us/graph/api/user-list-transitivememberof
"""

from typing import Any
from urllib.parse import urlsplit

import httpx

from shared.contracts.errors import TransientError
from shared.oauth.token_endpoint import parse_json
from shared.runtime.authentication import AuthenticationError

MAX_PAGES = 20


async def read_groups(http: httpx.AsyncClient, url: str, access_token: str) -> list[str]:
    """Return the names or ids of the groups: `{"value": [{"id": …}, …]}` as Microsoft Graph, or `{"groups": […]}`.

    Raises AuthenticationError, TransientError.
    """
    if not url:
        raise AuthenticationError(
            "the identity provider left out your groups, as they are too many for a token (groups overage); an "
            "administrator must set COUNTERSIGN_OIDC_GROUPS_URL, or assign roles of the application instead of groups"
        )
    found: list[str] = []
    place: str | None = url
    for _ in range(MAX_PAGES):
        body = await _page(http, str(place), access_token)
        found += _names(body)
        place = body.get("@odata.nextLink")
        if not place:
            return found
        if not isinstance(place, str) or urlsplit(place)[:2] != urlsplit(url)[:2]:
            raise TransientError(
                "the next page of the list of groups is on another host, to which the token is not sent"
            )
    raise AuthenticationError(f"the list of your groups has more than {MAX_PAGES} pages (COUNTERSIGN_OIDC_GROUPS_URL)")


async def _page(http: httpx.AsyncClient, url: str, access_token: str) -> dict[str, Any]:
    try:
        answer = await http.get(url, headers={"Authorization": f"Bearer {access_token}"}, follow_redirects=False)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise TransientError(f"the endpoint of groups does not answer ({type(error).__name__})") from None
    if answer.status_code in (401, 403):
        raise AuthenticationError("the identity provider does not let Countersign read your groups")
    body = parse_json(answer)
    if not answer.is_success or not isinstance(body, dict):
        raise TransientError(f"the endpoint of groups does not answer properly (HTTP {answer.status_code})")
    return body


def _names(body: dict[str, Any]) -> list[str]:
    items = body.get("value", body.get("groups"))
    if not isinstance(items, list):
        raise TransientError("the endpoint of groups returns no list")
    names = (item.get("id") if isinstance(item, dict) else item for item in items)
    return [name for name in names if isinstance(name, str)]

"""What a physician who has read everything says of a draft."""

from typing import Any

import httpx


def own_sentences(refused: httpx.Response) -> list[str]:
    """Digests of the sentences of one's own that a refused approval asks to confirm."""
    errors = refused.json().get("errors", ()) if refused.status_code == 409 else ()
    return [error["digest"] for error in errors if error["field"] == "written"]


def settled(draft: dict[str, Any]) -> dict[str, Any]:
    """The body of an approval that confirms every sentence and has seen every point of `draft`, as the API shows it."""
    unsupported = [index for index, sentence in enumerate(draft["sentences"]) if not sentence["supported"]]
    return {
        "resolutions": [{"sentence": index, "how": "confirmed"} for index in unsupported],
        "acknowledged": list(range(len(draft["open_points"]))),
    }

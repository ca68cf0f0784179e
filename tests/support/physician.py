"""Bodies of approvals by a physician who has read the whole draft."""

from typing import Any

import httpx


def unconfirmed_sentences(refused: httpx.Response) -> list[str]:
    """Digests of the physician's own sentences that a refused approval asks to confirm."""
    errors = refused.json().get("errors", ()) if refused.status_code == 409 else ()
    return [error["digest"] for error in errors if error["field"] == "written"]


def approval_body(draft: dict[str, Any]) -> dict[str, Any]:
    """The body of an approval that confirms every sentence and acknowledges every point.

    `draft` is in the form that the API returns.
    """
    unsupported = [index for index, sentence in enumerate(draft["sentences"]) if not sentence["supported"]]
    return {
        "resolutions": [{"sentence": index, "how": "confirmed"} for index in unsupported],
        "acknowledged": list(range(len(draft["open_points"]))),
    }

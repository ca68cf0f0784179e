"""Pages of a list in memory: `limit` lines behind a cursor, which is the position of the last line before them."""

import base64
import binascii
import json
from collections.abc import Callable, Iterable
from typing import Annotated, TypeVar

from fastapi import Query
from pydantic import Field

from shared.runtime.problems import ProblemError

Item = TypeVar("Item")
Position = tuple[float | str, ...]  # of a line in its list, unique; times are seconds since the epoch

After = Annotated[str | None, Query(max_length=200, description="cursor from `next`")]
Next = Annotated[str | None, Field(description="cursor of the page after it; null: this is the end")]


def page_of(
    lines: Iterable[Item], position: Callable[[Item], Position], after: str | None, limit: int
) -> tuple[list[Item], str | None]:
    """Return the page behind `after` of `lines`, in the order of their positions, and the cursor of the next one.

    Lines that come or go between two pages move no other line to another page. Raises ProblemError 422 for a cursor of
    something else.
    """
    found = sorted(lines, key=position)
    if after is not None:
        start = _parse(after)
        try:
            found = [line for line in found if position(line) > start]
        except TypeError:  # a cursor of another list
            raise not_a_cursor() from None
    return found[:limit], _cursor(position(found[limit - 1])) if len(found) > limit else None


def not_a_cursor() -> ProblemError:
    """Return the answer to a cursor of another list, or one that somebody made up."""
    return ProblemError(422, "The request is not valid", "after is not a cursor of this list.")


def _cursor(position: Position) -> str:
    return base64.urlsafe_b64encode(json.dumps(position).encode()).decode().rstrip("=")


def _parse(cursor: str) -> Position:
    try:
        found = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (binascii.Error, ValueError):
        raise not_a_cursor() from None
    if not isinstance(found, list) or not all(isinstance(item, float | str) for item in found):
        raise not_a_cursor()
    return tuple(found)

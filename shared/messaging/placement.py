"""Parse the setting that says on which servers each stream may be stored. Pure.

`region:eu, DISCHARGE=storage:worm, KNOWLEDGE=*` keeps everything on servers with the tag region:eu, DISCHARGE on those
of them that also have storage:worm, and KNOWLEDGE anywhere. A stream's own tags are added to the general ones, so more
tags never allow more servers; only the star does.
"""

import re
from collections.abc import Mapping

from shared.messaging.declared_buckets import BUCKETS
from shared.messaging.topology import STREAMS

ANYWHERE = "*"
NAMES = (*(item.name for item in STREAMS), *(f"KV_{name}" for name in BUCKETS))

Tags = Mapping[str, tuple[str, ...]]  # stream or bucket → the tags that each of its servers carries; none: anywhere


def read_placement(setting: str) -> Tags:
    """Return the tags of every stream and bucket by name; empty if not set: then placement is not changed.

    `setting` is a list, separated by commas or spaces, of `TAG`, `STREAM=TAG` and `STREAM=*`. Raises ValueError with
    the reason.
    """
    general: list[str] = []
    own: dict[str, list[str]] = {name: [] for name in NAMES}
    parts = [part for part in re.split(r"[,\s]+", setting) if part]
    for part in parts:
        name, named, tag = part.rpartition("=")
        if named and name not in own:
            raise ValueError(f"there is no stream {name or '(no name)'}; there are {', '.join(NAMES)}")
        if not tag:
            raise ValueError(f"{part} names no tag; {part}{ANYWHERE} is any server")
        (own[name] if named else general).append(tag)
    return {name: _together(general, tags) for name, tags in own.items()} if parts else {}


def _together(general: list[str], own: list[str]) -> tuple[str, ...]:
    every = own if ANYWHERE in own else [*general, *own]
    return tuple(dict.fromkeys(tag for tag in every if tag != ANYWHERE))

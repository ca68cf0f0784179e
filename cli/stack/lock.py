"""Lock a data directory, so that one stack runs on it."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def try_lock(directory: Path) -> Iterator[bool]:
    """Lock the directory while the block runs; yields False when another process holds the lock.

    Raises OSError when it cannot be used.
    """
    with (directory / "lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True

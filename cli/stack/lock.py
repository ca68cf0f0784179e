"""One stack a data directory."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def try_lock(directory: Path) -> Iterator[bool]:
    """Whether the directory is ours alone for as long as the block runs; False when another process has it.

    Raises OSError when it cannot be used.
    """
    with (directory / "lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True

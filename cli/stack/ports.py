"""Choose free ports for servers that are started a moment later."""

import itertools
import secrets
import socket

from cli.errors import CommandError

# Below the ephemeral ports of outgoing connections (Linux from 32768, others from 49152), which may be taken between
# the check and the start of the server.
FIRST, LAST = 15_000, 32_767
ATTEMPTS = 100

# A process goes through the range from a random start. With random ports, one would sometimes be chosen twice before
# the first server has bound it.
_candidates = itertools.cycle(range(FIRST, LAST + 1))
next(itertools.islice(_candidates, secrets.randbelow(LAST - FIRST + 1), None))


def free_port() -> int:
    """Return a free loopback port that no other caller in this process gets. Raises OSError after 100 taken ones."""
    for port in itertools.islice(_candidates, ATTEMPTS):
        if _free(port):
            return port
    raise OSError(f"no free port on loopback among {ATTEMPTS} between {FIRST} and {LAST}")


def require_free(port: int, option: str) -> None:
    """Raise CommandError when the loopback port given with `option` is taken."""
    if not _free(port):
        raise CommandError(f"Port {port} is taken. Choose another with {option}.")


def _free(port: int) -> bool:
    with socket.socket() as probe:
        # As servers bind: connections in TIME_WAIT do not count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True

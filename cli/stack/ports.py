"""Ports for servers that somebody else starts a moment later."""

import itertools
import secrets
import socket

from cli.errors import CommandError

# Below what systems give to outgoing connections (Linux from 32768, others from 49152): there, a port that was free
# when it was looked at is somebody's end of a connection when the server asks for it.
FIRST, LAST = 15_000, 32_767
ATTEMPTS = 100

# A process goes through the range from a place of its own: chosen at random each time, one port would now and then
# be given twice before the first server has taken it.
_candidates = itertools.cycle(range(FIRST, LAST + 1))
next(itertools.islice(_candidates, secrets.randbelow(LAST - FIRST + 1), None))


def free_port() -> int:
    """A loopback port nobody listens on right now, that no connection and no other caller here will be given.

    Raises OSError after a hundred that are taken.
    """
    for port in itertools.islice(_candidates, ATTEMPTS):
        if _free(port):
            return port
    raise OSError(f"no free port on loopback among {ATTEMPTS} between {FIRST} and {LAST}")


def require_free(port: int, option: str) -> None:
    """Raises CommandError where somebody listens on a loopback port that was asked for with `option`."""
    if not _free(port):
        raise CommandError(f"Port {port} is taken. Choose another with {option}.")


def _free(port: int) -> bool:
    with socket.socket() as probe:
        # As the servers ask for it: connections that are closing do not count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True

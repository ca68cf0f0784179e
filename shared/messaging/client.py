"""nats-py's client, with the errors that it expects of a connection under uvloop too."""

from collections.abc import Iterable

from nats import errors
from nats.aio.client import Client
from nats.aio.transport import TcpTransport, Transport


class ConnectionLostError(errors.Error, ConnectionResetError):
    """The connection to NATS is closed: an error of the network for nats-py, and one of nats-py for its callers."""


class ResetTransport(TcpTransport):
    """Raises ConnectionLostError where the connection has been closed.

    uvloop raises RuntimeError. nats-py takes that for the end of the event loop: its task that sends ends without a
    reconnection, and what is published until the server is missed raises RuntimeError too.
    """

    def write(self, payload: bytes) -> None:
        try:
            super().write(payload)  # type: ignore[no-untyped-call]
        except RuntimeError:
            raise ConnectionLostError("the connection to NATS is closed") from None

    def writelines(self, payload: Iterable[bytes]) -> None:
        try:
            super().writelines(payload)  # type: ignore[no-untyped-call]
        except RuntimeError:
            raise ConnectionLostError("the connection to NATS is closed") from None


class NatsClient(Client):
    """A client whose TCP connections are `ResetTransport`s; nats-py makes them itself and takes no others."""

    _tcp: Transport | None = None

    @property
    def _transport(self) -> Transport | None:
        return self._tcp

    @_transport.setter
    def _transport(self, made: Transport | None) -> None:
        self._tcp = ResetTransport() if type(made) is TcpTransport else made  # type: ignore[no-untyped-call]

"""Connections that end as they begin, on the event loop that the services run on."""

import asyncio
import socket
import struct
import threading
import time
from collections.abc import Iterator

import httpx
import pytest
import uvloop

from shared.http import HttpClient

RESET = struct.pack("ii", 1, 0)  # SO_LINGER with no time to linger: close sends RST
REQUESTS = 200


@pytest.fixture
def resetting() -> Iterator[str]:
    """A server that takes connections and resets each; yields its address."""
    with socket.create_server(("127.0.0.1", 0), backlog=100) as listening:

        def serve() -> None:
            while True:
                try:
                    connection, _ = listening.accept()
                except OSError:
                    return
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
                connection.close()

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/"
        listening.shutdown(socket.SHUT_RDWR)
    thread.join()


async def failures_of(url: str) -> set[type[Exception]]:
    found: set[type[Exception]] = set()

    async def ask(http: httpx.AsyncClient) -> None:
        for _ in range(REQUESTS // 10):
            try:
                await http.get(url)
            except Exception as error:  # noqa: BLE001 - which ones come is what is asked
                found.add(type(error))
            time.sleep(0.0005)  # noqa: ASYNC251 - a busy loop learns of the reset and of the connection in one turn

    async with HttpClient(trust_env=False) as http:
        await asyncio.gather(*(ask(http) for _ in range(10)))
    return found


def test_a_connection_that_is_reset_as_it_is_made_is_an_error_of_the_network(resetting: str) -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        found = runner.run(failures_of(resetting))
    assert found
    assert all(issubclass(kind, httpx.HTTPError) for kind in found), found


async def test_other_errors_stay_what_they_are() -> None:
    def broken(_: httpx.Request) -> httpx.Response:
        raise AttributeError("a bug", name="other")

    async with HttpClient(transport=httpx.MockTransport(broken)) as http:
        with pytest.raises(AttributeError):
            await http.get("http://ehr.example/")

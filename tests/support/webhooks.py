"""Endpoints of integrators on loopback: a scripted one, and the receiver of the how-to as its own process."""

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock, Thread

from cli.stack.ports import free_port

HOST = "127.0.0.1"
GUIDE = Path(__file__).parents[2] / "docs" / "how-to" / "webhooks.md"


@dataclass(frozen=True, slots=True)
class Post:
    """A request as it arrived."""

    path: str
    headers: dict[str, str]  # names in lower case
    body: bytes

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]


class Receiver:
    """Records posts. `answer` says the status of each, and may do something before; `headers` go with it."""

    def __init__(self, port: int | None = None) -> None:
        self.port = port or free_port()
        self.posts: list[Post] = []
        self.answer: Callable[[Post], int] = lambda _: 204
        self.headers: dict[str, str] = {}
        self._lock = Lock()
        self._server: ThreadingHTTPServer | None = None

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}/hook"

    @property
    def ids(self) -> list[str]:
        return [post.id for post in self.posts]

    def start(self) -> None:
        self._server = ThreadingHTTPServer((HOST, self.port), self._handler())
        Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                post = Post(self.path, {name.lower(): value for name, value in self.headers.items()}, body)
                with receiver._lock:
                    receiver.posts.append(post)
                status = receiver.answer(post)
                self.send_response(status)
                for name, value in receiver.headers.items():
                    self.send_header(name, value)
                self.end_headers()

            do_GET = do_POST

            def log_message(self, format: str, *args: object) -> None:
                return

        return Handler


@contextmanager
def receiver(port: int | None = None) -> Iterator[Receiver]:
    found = Receiver(port)
    found.start()
    try:
        yield found
    finally:
        found.stop()


def receiver_of_the_guide() -> str:
    """Return the program that the how-to shows."""
    found = re.search(r"```python\n(.*?)```", GUIDE.read_text(), re.DOTALL)
    assert found is not None
    return "\n".join(line[3:] for line in found[1].splitlines())


@contextmanager
def running_receiver_of_the_guide(directory: Path, port: int, *secrets: str) -> Iterator[Path]:
    """Run it; yields the file with what it prints."""
    program, printed = directory / "receiver.py", directory / "receiver.log"
    program.write_text(receiver_of_the_guide())
    environment = os.environ | {"PORT": str(port), "WEBHOOK_SECRET": " ".join(secrets)}
    with printed.open("wb") as log:
        process = subprocess.Popen([sys.executable, str(program)], stdout=log, stderr=log, env=environment)
    try:
        yield printed
    finally:
        process.kill()
        process.wait()

"""Where escalations arrive in tests: a real SMTP server and a webhook, both on loopback, both able to be down."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from email import message_from_bytes
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock, Thread
from typing import Any

import yaml
from aiosmtpd.controller import Controller

from cli.stack.ports import free_port

HOST = "127.0.0.1"


class Mailbox:
    """Mails as an SMTP server took them. While `refuses`, it answers as one whose disk is full."""

    def __init__(self) -> None:
        self.port = free_port()
        self.mails: list[Message] = []
        self.refuses = False
        self._controller = Controller(self, hostname=HOST, port=self.port)

    @property
    def address(self) -> str:
        sender, reader = "countersign@example.org", "lead@example.org"
        return f"mailto://{HOST}:{self.port}?from={sender}&to={reader}&mode=insecure"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        if self.refuses:
            return "452 insufficient system storage"
        self.mails.append(message_from_bytes(envelope.content))
        return "250 OK"

    @property
    def subjects(self) -> list[str]:
        return [str(mail["Subject"]) for mail in self.mails]

    def start(self) -> None:
        self._controller.start()

    def stop(self) -> None:
        self._controller.stop()


class Webhook:
    """What was posted to it, its path first. While `down`, it answers 503; posts that it refused are counted."""

    def __init__(self) -> None:
        self.posts: list[dict[str, Any]] = []
        self.refused = 0
        self.down = False
        self._lock = Lock()
        self._server = ThreadingHTTPServer((HOST, 0), self._handler())
        self._thread = Thread(target=self._server.serve_forever, daemon=True)

    @property
    def address(self) -> str:
        return f"json://{HOST}:{self._server.server_port}/a-secret-path"

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        hook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                with hook._lock:
                    down = hook.down
                    hook.refused += down
                    if not down:
                        hook.posts.append(body)
                self.send_response(503 if down else 200)
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:
                return

        return Handler

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@contextmanager
def channels() -> Iterator[tuple[Mailbox, Webhook]]:
    """Both, running."""
    mailbox, webhook = Mailbox(), Webhook()
    mailbox.start()
    webhook.start()
    try:
        yield mailbox, webhook
    finally:
        mailbox.stop()
        webhook.stop()


def write_directory(path: Path, *addresses: Any, **more: Any) -> Path:
    """A directory file whose `*` names a boss, a deputy and these channels."""
    entry = {"supervisor": "Practitioner/boss", "deputies": ["Practitioner/deputy"], "channels": list(addresses)}
    path.write_text(yaml.safe_dump({"departments": {"*": entry | more}}))
    return path

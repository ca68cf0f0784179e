"""Somebody adds a webhook by the guide alone: every command of it, in its order, as it is written there.

Only what stands for something of one's own is replaced: addresses, the token, the secret and ids.
"""

import json
import os
import re
import signal
import subprocess
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from cli.stack.ports import free_port
from tests.support.command import COUNTERSIGN
from tests.support.remote import ROOT, Remote, until
from tests.support.webhooks import GUIDE, HOST, receiver

pytestmark = [pytest.mark.connected, pytest.mark.system, pytest.mark.timeout(240), pytest.mark.xdist_group("remedies")]

TEXT = GUIDE.read_text()
BLOCKS = [
    (language, textwrap.dedent(block))
    for language, block in re.findall(r"^ *```(\w*)\n(.*?)^ *```", TEXT, re.DOTALL | re.MULTILINE)
]
# Commands in the sentences of the guide, after its blocks.
ENABLE, REDRIVE, REDELIVER, ROTATE = re.findall(r"`(countersign (?:webhooks|dead-letters) [a-z]+[^`]*)`", TEXT)


class Reader:
    """Who follows the guide: a shell in a folder, and what stands for what."""

    def __init__(self, installation: Remote, folder: Path) -> None:
        self.folder, self.port = folder, free_port()
        self.replaced = {
            "https://integrator.example/countersign": f"http://{HOST}:{self.port}",
            "https://summaries.hospital.example": installation.urls["approval"],
            "8000": str(self.port),
        }
        path = f"{COUNTERSIGN.parent}:{os.environ['PATH']}"
        token = {"TOKEN": installation.tokens["operator"]}
        self.environment = os.environ | {"PATH": path, "PYTHONPATH": str(ROOT)} | token
        self.environment.pop("COLUMNS", None)

    def words(self, line: str) -> str:
        for what, own in self.replaced.items():
            line = line.replace(what, own)
        assert "…" not in line, line
        return line

    def run(self, line: str, stdin: str = "") -> str:
        done = subprocess.run(
            ["bash", "-c", self.words(line)],
            input=stdin,
            env=self.environment,
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, (line, done.stdout, done.stderr)
        return done.stdout

    @contextmanager
    def running(self, line: str, ends: signal.Signals = signal.SIGTERM) -> Iterator[Path]:
        """What runs until it is ended; yields the file with what it prints."""
        printed = self.folder / "printed.log"
        with printed.open("wb") as log:
            process = subprocess.Popen(
                ["bash", "-c", self.words(line)],
                env=self.environment,
                cwd=self.folder,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=heed_interrupts,
            )
        try:
            yield printed
        finally:
            os.killpg(process.pid, ends)
            process.wait(20)

    def deliveries(self, list_them: str) -> list[dict[str, Any]]:
        return list(json.loads(self.run(f"{list_them} --json")))


def heed_interrupts() -> None:
    """A test run that was started in the background ignores Ctrl-C, and so would whatever it starts."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def messages(printed: Path) -> list[tuple[str, dict[str, Any]]]:
    """What the receiver printed: ids and data."""
    lines = [line.partition(" ") for line in printed.read_text().splitlines() if "case_id" in line]
    return [(id, json.loads(data)) for id, _, data in lines]


def arrives(printed: Path, event: str, case_id: str | None = None) -> str:
    """Wait for an event; returns the id of its message."""

    def there() -> str | None:
        found = [id for id, data in messages(printed) if data["event"] == event and case_id in (None, data["case_id"])]
        return found[-1] if found else None

    return str(until(there, f"{event} to arrive"))


def test_a_webhook_is_added_by_the_guide_alone(installation: Remote, tmp_path: Path) -> None:
    (_, program), (_, add), (_, start), (_, try_it), (_, message), (_, follow) = BLOCKS
    reader = Reader(installation, tmp_path)
    (tmp_path / "receiver.py").write_text(program)
    printed = reader.run(add)
    webhook, secret = (re.search(rf"^{name} +(\S+)$", printed, re.MULTILINE)[1] for name in ("webhook", "secret"))  # type: ignore[index]
    reader.replaced |= {"WEBHOOK_SECRET=whsec_…": f"WEBHOOK_SECRET={secret}", " WEBHOOK": f" {webhook}"}
    test, list_them = try_it.splitlines()
    with reader.running(start) as seen:
        until(lambda: reader_listens(reader), "the receiver to listen")
        assert reader.run(test).startswith("delivered: HTTP 204, ")
        until(lambda: json.dumps({"webhook": webhook}) in seen.read_text(), "the test to arrive")
        case_id = installation.sign(installation.stay("by-the-guide"))
        ids = [arrives(seen, event, case_id) for event in ("approved", "filed")]
        (sent,) = [data for id, data in messages(seen) if id == ids[1]]
        assert sent.keys() == json.loads(message)["data"].keys()
        until(
            lambda: {item["id"] for item in reader.deliveries(list_them) if item["outcome"] == "delivered"} >= {*ids},
            "the list",
        )
        assert "delivered" in reader.run(list_them)
        redeliver = REDELIVER.replace(" DELIVERY", f" {ids[0]}")
        before = len(messages(seen))
        reader.run(redeliver)
        until(lambda: [id for id, _ in messages(seen)[before:]] == [ids[0]], "the same id again")
    repair(installation, reader)
    rotate(installation, reader, start, test, secret)
    follow_the_events(reader, follow, sent)


def reader_listens(reader: Reader) -> bool:
    return subprocess.run(["bash", "-c", f"exec 3<>/dev/tcp/{HOST}/{reader.port}"], capture_output=True).returncode == 0


def repair(installation: Remote, reader: Reader) -> None:
    """The endpoint answered 410 by mistake: what was not delivered is redriven once it is enabled again."""
    with receiver(reader.port) as mistaken:
        mistaken.answer = lambda _: 410
        installation.sign(installation.stay("gone"))
        show = ENABLE.replace(" enable ", " show ")
        until(lambda: "disabled (gone)" in reader.run(show), "the webhook to be disabled")
        mistaken.answer = lambda _: 204
        assert ", enabled" in reader.run(ENABLE)
        refused = set(mistaken.ids)
        before = len(mistaken.posts)
        reader.run(REDRIVE.replace("…", "'it answered 410 by mistake'"), stdin="y\n")
        until(lambda: refused & set(mistaken.ids[before:]), "what was refused to arrive")


def rotate(installation: Remote, reader: Reader, start: str, test: str, old: str) -> None:
    """For a day both secrets sign: a receiver that knows either of them takes what is sent."""
    found = re.search(r"^secret +(\S+)$", reader.run(ROTATE), re.MULTILINE)
    assert found is not None
    for known in (old, found[1], f"'{old} {found[1]}'"):
        reader.replaced["WEBHOOK_SECRET=whsec_…"] = f"WEBHOOK_SECRET={known}"
        with reader.running(start):
            until(lambda: reader_listens(reader), "the receiver to listen")
            assert reader.run(test).startswith("delivered: HTTP 204, ")


def follow_the_events(reader: Reader, follow: str, sent: dict[str, Any]) -> None:
    """By the command and by any client of server-sent events, from the position that is named."""
    reader.replaced |= {"4711": str(sent["sequence"] - 1), "department=cardiology": f"department={sent['department']}"}
    for line, wanted in zip(follow.splitlines(), (sent["event"], '"event":"approved"'), strict=True):
        line = line.replace("?type", "?after=0&type")  # what happened before is not sent without a position
        with reader.running(line, signal.SIGINT) as printed:
            until(lambda: wanted in printed.read_text().replace(" ", "").replace(": ", ":"), f"{wanted} of {line}")  # noqa: B023

"""Every option and argument of every command is given nonsense, while no installation can be reached.

A command has to end with a code of its own and a sentence: no stack trace, no file outside of the folder it runs in.
"""

import io
import os
import shlex
import socket
import ssl
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from cli.contexts import VARIABLES, choose_context
from cli.errors import CommandError
from cli.examples import EXAMPLES
from cli.runtime import error_boundary
from shared.messaging.connection import open_client
from tests.support.hl7 import adt
from tests.support.serving import CommandResult, run_command
from tests.unit.test_common_options import COMMANDS, ROOT

pytestmark = [pytest.mark.slow, pytest.mark.timeout(60)]

NOWHERE = "http://127.0.0.1:1"  # tcpmux: nothing listens there
TRUST = ssl.create_default_context()
CODES = (0, 1, 2)
TRACES = ("Traceback (most recent call last)", "Error:", 'File "', "site-packages")
NONSENSE = {
    "empty": "",
    "blank": " ",
    "long": "x" * 20_000,
    "long path": "x/" * 3_000,
    "control characters": "\x1b[31mred\x07\r\n\x7f",
    "not a number": "many",
    "fraction": "1.5",
    "negative": "-7",
    "huge": "9" * 400,
    "overflow": "1e999",
    "not a finite number": "nan",
    "no such file": "nowhere/at/all",
    "directory": ".",
    "file below a file": "junk.bin/x",
    "binary file": "junk.bin",
    "date": "2026-02-30T25:61:00",
    "first date": "0001-01-01T00:00:00+14:00",
    "last date": "9999-12-31T23:59:59-14:00",
    "duration": "999999d",
    "address": "http://[::1",
    "port of an address": "https://host.example:99999/x",
    "scheme": "file:///etc/hostname",
    "closed port": NOWHERE,
    "JSON": '{"a": [',
    "YAML": "junk.yaml",
    "brackets": "[/red] [bold]x[/] {0} %s ${HOME} `id`",
    "path of an address": "../../v1/me?x=1#y",
    "not ASCII": "Ä ß 日本 \u202e\u0661",
    "not UTF-8": os.fsdecode(b"\xff\xfe"),  # as the bytes of an argument arrive
}
# Options that most commands have are read in one way: of each kind of nonsense that differs there, one.
COMMON = {
    "--data-dir": ("empty", "long", "binary file", "brackets", "not UTF-8"),
    "--output": ("empty", "brackets", "not UTF-8"),
    "--watch": ("not a number", "negative", "overflow", "not a finite number"),
}
# Words that take the place of the example's, so that what is fed is reached.
BASES = {
    "audit check-proof": "audit check-proof junk.json --key secrets/checkpoint.pub",
    "audit checkpoint": "audit checkpoint --to checkpoints --key secrets/checkpoint.key",
    "audit proof": "audit proof CASE --checkpoints checkpoints",
    "audit verify": "audit verify",
    "backup": "backup --into backups",
    "cases reimport": "cases reimport",
    "context add": f"context add prod --url {NOWHERE} --token-file token",
    "drafters add": "drafters add --document discharge-summary --reason 'shorter courses'",
    "drafters canary": "drafters canary CONFIGURATION --share 0.1 --reason 'a tenth'",
    "ehr subscribe": f"ehr subscribe --endpoint {NOWHERE}/v1/fhir/notifications --token-file token",
    "hl7 explain": "hl7 explain message.hl7",
    "hl7 listen": "hl7 listen --port {busy}",
    "hl7 send": "hl7 send message.hl7 --port 1",
    "kinds of": f"kinds of ENCOUNTER --ehr-url {NOWHERE}/fhir",
    "login": f"login --url {NOWHERE} --name prod --no-browser",
    "provision": "provision --nats-url nats://127.0.0.1:1 --seed-file secrets/admin.seed",
    "restore": "restore --from backups/2026-11-24",
    "secrets init": "secrets init secrets",
    "up": "up",
}
# They do not work by HTTP: no context is active.
ON_THE_MACHINE = ("audit", "backup", "cases reimport", "doctor", "ehr subscribe", "kinds of", "restore")


class Writes:
    """Files that are opened for writing, made or removed outside of a folder while `allowed` is set."""

    EVENTS = frozenset(("open", "os.mkdir", "os.remove", "os.rmdir", "os.rename", "os.link", "os.symlink", "os.chmod"))

    def __init__(self) -> None:
        self.allowed: Path | None = None
        self.found: list[str] = []
        sys.addaudithook(self._hook)

    def _hook(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self.allowed is None or event not in self.EVENTS or not isinstance(arguments[0], str | bytes | os.PathLike):
            return
        if event == "open" and not (arguments[2] or 0) & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
            return
        path = Path(os.path.abspath(os.fsdecode(arguments[0])))  # noqa: PTH100 - links stay as they are
        # Modules that are imported for the first time are compiled; sockets of the loop are no files.
        if not path.is_relative_to(self.allowed) and "__pycache__" not in path.parts and path.parts[1] != "dev":
            self.found.append(f"{event} {path}")

    @contextmanager
    def only_below(self, folder: Path) -> Iterator[None]:
        self.allowed, self.found = folder, []
        try:
            yield
        finally:
            self.allowed = None


WRITES = Writes()


def run(*words: str) -> CommandResult:
    """Run the command as `main` does, with output that takes UTF-8 alone, as a terminal's."""
    out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8", errors) for errors in ("strict", "backslashreplace"))
    code = 0
    with redirect_stdout(out), redirect_stderr(err), patch.object(sys, "stdin", io.StringIO("token\n")):
        try:
            with error_boundary("countersign"):
                ROOT(list(words))
        except SystemExit as end:
            code = int(end.code or 0)
        out.flush()
        err.flush()
    return CommandResult(code, *(stream.buffer.getvalue().decode() for stream in (out, err)))


def variants(name: str, base: list[str]) -> Iterator[tuple[str, list[str]]]:
    """Yield the words of the command with each value of each option and argument replaced, and what it is."""
    command = COMMANDS[name]
    flags = {flag for item in command.params if getattr(item, "is_flag", False) for flag in item.opts}
    places = [
        index
        for index, word in enumerate(base)
        if index >= len(name.split())
        and not word.startswith("-")
        and (not base[index - 1].startswith("-") or base[index - 1] in flags)
    ]
    arguments = [item for item in command.params if item.param_type_name == "argument"]
    for what, value in NONSENSE.items():
        for number in range(len(arguments)):
            place = places[number] if number < len(places) else len(base)
            yield f"argument {number + 1}: {what}", [*base[:place], value, *base[place + 1 :]]
        for item in command.params:
            if item.param_type_name == "option" and not item.is_flag and what in COMMON.get(item.opts[0], NONSENSE):
                yield f"{item.opts[0]}: {what}", [*base, f"{item.opts[0]}={value}"]


def ends_the_watch(_: float) -> None:
    raise KeyboardInterrupt


async def connect_once(*arguments: Any, **options: Any) -> Any:
    return await open_client(*arguments, **options | {"reconnect_time_wait": 0})


async def not_started(*_: object) -> None:
    raise CommandError("Its options are valid.")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the commands run, with files that are valid and such that are not."""
    found = tmp_path_factory.mktemp("nonsense")
    assert run_command("secrets", "init", str(found / "secrets")).code == 0
    (found / "token").write_text("secret-token\n")
    (found / "message.hl7").write_bytes(adt("A08"))
    (found / "junk.bin").write_bytes(bytes(range(256)))
    (found / "junk.json").write_text("[]")
    (found / "junk.yaml").write_text("a: [*b")
    return found


@pytest.fixture
def busy() -> Iterator[int]:
    """A port that somebody listens on: no command can."""
    with socket.create_server(("", 0)) as taken:
        yield int(taken.getsockname()[1])


@pytest.fixture(autouse=True)
def machine(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No installation: an empty home, a closed port, and nothing that is started once its options are valid."""
    for name in [name for name in os.environ if name.startswith("COUNTERSIGN_")] + [*VARIABLES]:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(folder / "home"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(folder / "config"))
    monkeypatch.chdir(folder)
    monkeypatch.setattr("cli.common.time.sleep", ends_the_watch)
    monkeypatch.setattr("cli.client.PAUSE_S", 0)
    monkeypatch.setattr("cli.client.authorities", lambda _: TRUST)  # they take long to read
    monkeypatch.setattr("shared.messaging.connection.open_client", connect_once)
    monkeypatch.setattr(os, "fsync", lambda _: None)
    monkeypatch.setattr("cli.stack.ehr_client.client_key_files", lambda *_, **__: {})  # RSA keys take long to make
    monkeypatch.setattr("cli.stack.embedded.run", not_started)
    monkeypatch.setattr("cli.demo.Demo.run", not_started)
    choose_context(None)


def problem_of(done: CommandResult) -> str | None:
    if done.code not in CODES:
        return f"exit code {done.code}"
    if done.code == 2 and not done.err.strip():
        return "no reason"
    if any(trace in line and not line.startswith("│") for line in done.err.splitlines() for trace in TRACES):
        return done.err
    return None


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_nonsense_is_refused_with_a_reason(name: str, folder: Path, busy: int, monkeypatch: pytest.MonkeyPatch) -> None:
    if not name.startswith(ON_THE_MACHINE) or name in ("audit access",):
        monkeypatch.setenv("COUNTERSIGN_URL", NOWHERE)
        monkeypatch.setenv("COUNTERSIGN_TOKEN_FILE", str(folder / "token"))
    base = shlex.split(BASES.get(name, EXAMPLES[name]).format(busy=busy))
    problems = {}
    for what, words in variants(name, base):
        choose_context(None)
        with WRITES.only_below(folder):
            try:
                found = problem_of(run(*words))
            except Exception as error:  # noqa: BLE001 - what would be a stack trace
                found = f"{type(error).__name__}: {str(error)[:200]}"
        if found or WRITES.found:
            problems[what] = found or str(WRITES.found)
    assert not problems, "\n".join(f"{what} -> {found}" for what, found in problems.items())

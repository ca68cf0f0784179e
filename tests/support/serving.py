"""An application on a loopback port, and the command as somebody runs it who reaches it by HTTP alone."""

import asyncio
import contextlib
import io
import json
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

import uvicorn
from fastapi import FastAPI

from cli.main import app as command
from cli.runtime import error_boundary
from cli.stack.nats_config import Tls
from cli.stack.ports import free_port


@asynccontextmanager
async def served(app: FastAPI, tls: Tls | None = None, port: int | None = None) -> AsyncIterator[str]:
    """Serve an application that has been started already; yields its address."""
    port = port or free_port()
    files = {"ssl_certfile": tls.certificate, "ssl_keyfile": tls.key} if tls else {}
    config = uvicorn.Config(app, "127.0.0.1", port, log_level="warning", lifespan="off", **files)
    server = uvicorn.Server(config)
    task = asyncio.create_task(server.serve())
    while not server.started:
        assert not task.done(), "the server does not start"
        await asyncio.sleep(0.01)
    yield f"{'https' if tls else 'http'}://127.0.0.1:{port}"
    server.should_exit = True
    await task


@dataclass(frozen=True, slots=True)
class CommandResult:
    """How a command ended."""

    code: int
    out: str
    err: str


def run_command(*words: str, stdin: str = "") -> CommandResult:
    """Run the command in this process, with its error boundary; raises what would be a stack trace."""
    with _streams(stdin) as (out, err):
        try:
            with error_boundary("countersign"):
                command(list(words))
        except SystemExit as end:
            return CommandResult(int(end.code or 0), out.getvalue(), err.getvalue())
    return CommandResult(0, out.getvalue(), err.getvalue())


@contextmanager
def _streams(stdin: str) -> Iterator[tuple[io.StringIO, io.StringIO]]:
    out, err, sent = io.StringIO(), io.StringIO(), patch.object(sys, "stdin", io.StringIO(stdin))
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), sent:
        yield out, err


async def run_beside(*words: str) -> CommandResult:
    """Run the command in a thread, while this loop serves what it asks for."""
    return await asyncio.to_thread(run_command, *words)


async def command_json(*words: str, code: int = 0) -> Any:
    """Run the command with `--json` and return what it prints; it has to end with `code`."""
    done = await run_beside(*words, "--json")
    assert done.code == code, done
    return json.loads(done.out)

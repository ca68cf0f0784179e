"""A supervised child process: restarted when it dies, stopped with the parent, never outlives it."""

import asyncio
import ctypes
import logging
import os
import signal
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from cli.errors import CommandError

logger = logging.getLogger(__name__)

PR_SET_PDEATHSIG = 1  # linux/prctl.h
RESTART_WAIT = 0.5
RESTART_WAIT_CAP = 10.0

# Variables that a child inherits by default; the others may hold secrets of the services.
INHERITED_VARIABLES = ("HOME", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "PATH", "TMPDIR", "TZ")

# Files of children, and the shared memory of the model server, are for this user alone.
OWNER_ONLY_UMASK = 0o077

_libc = ctypes.CDLL(None, use_errno=True)


def inherited_environment(*more: str) -> dict[str, str]:
    """Return the inherited environment without secrets, with `more` variables."""
    return {name: os.environ[name] for name in (*INHERITED_VARIABLES, *more) if name in os.environ}


def die_with_parent(sent: signal.Signals) -> Callable[[], None]:
    """Return a `preexec_fn` that has the kernel send `sent` when the parent dies, also by SIGKILL."""
    parent = os.getpid()

    def arrange() -> None:
        _libc.prctl(PR_SET_PDEATHSIG, sent)
        if os.getppid() != parent:  # the parent died before the call
            os._exit(1)

    return arrange


def _with_umask(arrange: Callable[[], None]) -> Callable[[], None]:
    """Return `arrange` with an owner-only umask. (uvloop has no `umask` option.)"""

    def both() -> None:
        _libc.umask(OWNER_ONLY_UMASK)
        arrange()

    return both


class SupervisedProcess:
    """One process. `ready` is called until it returns that the process serves."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        log: Path,
        ready: Callable[[], Awaitable[bool]],
        environment: Mapping[str, str] | None = None,
        directory: Path | None = None,
        stop_signal: signal.Signals = signal.SIGTERM,
        timeout_s: float = 60.0,
    ) -> None:
        self.name = name
        self._command = list(command)
        self._log = log
        self._ready = ready
        self._directory = directory
        self._environment = dict(inherited_environment() if environment is None else environment)
        self._stop_signal = stop_signal
        self._timeout_s = timeout_s
        self._process: asyncio.subprocess.Process | None = None
        self._watcher: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    async def start(self) -> None:
        """Start, wait until ready, then watch.

        Raises CommandError with the last line of its log when it exits or does not become ready.
        """
        process = await self._spawn()
        try:
            await asyncio.wait_for(self._until_ready(process), self._timeout_s)
        except TimeoutError:
            await self.stop()
            raise CommandError(f"{self.name} was not ready after {self._timeout_s:g} s. {self._last_words()}") from None
        self._watcher = asyncio.create_task(self._watch())

    async def stop(self, grace: float = 10.0) -> None:
        """Send the stop signal, and kill the process after `grace` seconds."""
        if self._watcher is not None:
            self._watcher.cancel()
            self._watcher = None
        process = self._process
        if process is None or process.returncode is not None:
            return
        with suppress(ProcessLookupError):
            process.send_signal(self._stop_signal)
        try:
            await asyncio.wait_for(process.wait(), grace)
        except TimeoutError:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    async def _spawn(self) -> asyncio.subprocess.Process:
        with self._log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *self._command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self._environment,
                cwd=self._directory,
                preexec_fn=_with_umask(die_with_parent(signal.SIGTERM)),  # only system calls: safe after fork
                start_new_session=True,  # the parent handles Ctrl-C, to stop in order
            )
        return self._process

    async def _until_ready(self, process: asyncio.subprocess.Process) -> None:
        while not await self._ready():
            if process.returncode is not None:
                raise CommandError(f"{self.name} exited with code {process.returncode}. {self._last_words()}")
            await asyncio.sleep(0.05)

    async def _watch(self) -> None:
        wait = RESTART_WAIT
        while self._process is not None:
            started = asyncio.get_running_loop().time()
            code = await self._process.wait()
            if asyncio.get_running_loop().time() - started > RESTART_WAIT_CAP:
                wait = RESTART_WAIT
            logger.warning("%s exited with code %s; restarting it in %.1f s", self.name, code, wait)
            await asyncio.sleep(wait)
            wait = min(wait * 2, RESTART_WAIT_CAP)
            await self._spawn()

    def _last_words(self) -> str:
        try:
            lines = self._log.read_text(errors="replace").strip().splitlines()
        except OSError:
            return ""
        return f"Its log ({self._log}) ends: {lines[-1][:300]}" if lines else f"Its log is {self._log}."

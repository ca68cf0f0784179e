"""Temporal: its dev server on a durable sqlite (WAL, synchronous FULL), its Python SDK, signal and timers."""

import sys
from pathlib import Path

from temporalio.client import Client

from bench.system import SystemUnderTest, bytes_in, listen, main, until
from bench.systems.temporal_worker import QUEUE, Case
from cli.stack.ports import free_port


class Temporal(SystemUnderTest):
    """`local`: the no-op steps as local activities, which saves the server their scheduling."""

    def __init__(self, directory: Path, *, local: bool) -> None:
        super().__init__(directory)
        self._local = local

    async def start(self) -> None:
        port = free_port()
        server = [
            *(str(Path(sys.executable).with_name("temporal")), "server", "start-dev", "--headless"),
            *("--ip", "127.0.0.1", "--port", str(port), "--ui-port", str(free_port())),
            *("--db-filename", str(self.directory / "temporal.db")),
            *("--sqlite-pragma", "journal_mode=WAL", "--sqlite-pragma", "synchronous=FULL"),
            *("--log-level", "error"),
        ]
        await self.spawn(server)
        address = f"127.0.0.1:{port}"
        await until(lambda: self._connects(address), "the Temporal server")
        reports = await listen(self)
        await self.spawn([sys.executable, "-m", "bench.systems.temporal_worker", address, str(reports)])

    async def _connects(self, address: str) -> bool:
        try:
            self._client = await Client.connect(address)
        except RuntimeError:
            return False
        return True

    async def begin(self, case: str) -> None:
        await self._client.start_workflow(Case.run, args=[case, self._local], id=case, task_queue=QUEUE)

    async def approve(self, case: str) -> None:
        await self._client.get_workflow_handle(case).signal(Case.approve)

    async def stop(self) -> None:
        await self.end_all()

    def stored(self) -> int:
        return bytes_in(self.directory)


if __name__ == "__main__":
    local_activities = "--local" in sys.argv
    sys.argv = [item for item in sys.argv if item != "--local"]
    main(lambda directory: Temporal(directory, local=local_activities))

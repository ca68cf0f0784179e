"""Restate: its server (which syncs its log), its Python SDK behind hypercorn, a durable promise and timers."""

import sys
from pathlib import Path

import aiohttp
import psutil

from bench.system import SystemUnderTest, bytes_in, listen, main, until
from cli.stack.ports import free_port

SERVER = Path(__file__).parents[1] / "node_modules" / "@restatedev" / "restate-server-linux-x64" / "bin"


class Restate(SystemUnderTest):
    """`inactivity`: after how long a waiting workflow is suspended."""

    def __init__(self, directory: Path, *, inactivity: str) -> None:
        super().__init__(directory)
        self._inactivity = inactivity

    async def start(self) -> None:
        self._http = aiohttp.ClientSession()
        ingress, admin, service = free_port(), free_port(), free_port()
        self._ingress = f"http://127.0.0.1:{ingress}"
        await self.spawn(
            [str(next(SERVER.glob("restate-server*")))],
            {
                "RESTATE_BASE_DIR": str(self.directory / "restate"),
                "RESTATE_BIND_IP": "127.0.0.1",
                "RESTATE_LOG_FILTER": "error",
                "RESTATE_INGRESS__BIND_ADDRESS": f"127.0.0.1:{ingress}",
                "RESTATE_ADMIN__BIND_ADDRESS": f"127.0.0.1:{admin}",
                "RESTATE_BIND_ADDRESS": f"127.0.0.1:{free_port()}",
                "RESTATE_WORKER__INVOKER__INACTIVITY_TIMEOUT": self._inactivity,
                "RESTATE_DISABLE_TELEMETRY": "true",
            },
        )
        await until(lambda: self._answers(f"http://127.0.0.1:{admin}/health"), "the Restate server")
        reports = await listen(self)
        bind = f"127.0.0.1:{service}"
        hypercorn = str(Path(sys.executable).with_name("hypercorn"))
        worker = await self.spawn(
            [hypercorn, "bench.systems.restate_worker:app", "--bind", bind, "--worker-class", "uvloop"],
            {"BENCH_REPORTS": str(reports)},
        )
        await until(lambda: self._register(f"http://127.0.0.1:{admin}", f"http://{bind}"), "the Restate service")
        self.processes += psutil.Process(worker.pid).children(recursive=True)

    async def _answers(self, url: str) -> bool:
        try:
            async with self._http.get(url) as answer:
                return answer.ok
        except aiohttp.ClientError:
            return False

    async def _register(self, admin: str, service: str) -> bool:
        try:
            async with self._http.post(f"{admin}/deployments", json={"uri": service}) as answer:
                return answer.ok
        except aiohttp.ClientError:
            return False

    async def begin(self, case: str) -> None:
        await self._post(f"{self._ingress}/case/{case}/run/send")

    async def approve(self, case: str) -> None:
        await self._post(f"{self._ingress}/case/{case}/approve")

    async def _post(self, url: str) -> None:
        async with self._http.post(url, skip_auto_headers=["Content-Type"], raise_for_status=True):
            pass

    async def stop(self) -> None:
        await self._http.close()
        await self.end_all()

    def stored(self) -> int:
        return bytes_in(self.directory / "restate")


if __name__ == "__main__":
    timeout = next((item.partition("=")[2] for item in sys.argv if item.startswith("--inactivity=")), "20s")
    sys.argv = [item for item in sys.argv if not item.startswith("--inactivity=")]
    main(lambda directory: Restate(directory, inactivity=timeout))

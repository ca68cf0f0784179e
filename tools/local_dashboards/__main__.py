"""`make local-dashboards`: run the embedded stack, Prometheus and the dashboards as pages, until Ctrl-C."""

import argparse
import asyncio
import json
import logging
import os
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from pathlib import Path

import httpx
from rich.console import Console

from cli.errors import CommandError
from cli.runtime import error_boundary, run_async
from cli.stack.access import default_data_dir
from cli.stack.embedded import StackOptions, running_stack
from cli.stack.lock import try_lock
from cli.stack.ports import free_port, require_free
from cli.stack.process import SupervisedProcess
from cli.stack.signals import run_until_signal
from shared.runtime.logs import configure_logging
from tools.local_dashboards import servers
from tools.local_dashboards.demo_load import DemoLoad
from tools.local_dashboards.pages import write_pages

ESCALATIONS = (timedelta(hours=24), timedelta(hours=72), timedelta(days=7))
INTERVAL_S = 5  # seconds from report to report, and from reading to reading: a page shows within ten what has happened

console = Console(stderr=True)


def answers(url: str) -> Callable[[], Awaitable[bool]]:
    async def ready() -> bool:
        async with httpx.AsyncClient(timeout=1, trust_env=False) as http:
            try:
                return (await http.get(url)).is_success
            except httpx.HTTPError:
                return False

    return ready


def prepare_folder(data_dir: Path, port: int, stack: AsyncExitStack) -> servers.ServerFiles:
    """Lock and fill the folder of both servers in `data_dir`. Raises CommandError."""
    if missing := servers.missing():
        raise CommandError(f"Missing: {', '.join(missing)}. Run: make local-dashboards")
    place = servers.ServerFiles(data_dir / "watch", free_port(), port)
    try:
        for directory in (data_dir, place.directory):
            directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        ours = stack.enter_context(try_lock(place.directory))
    except OSError as error:
        raise CommandError(f"The data directory {data_dir} cannot be used: {error.strerror}.") from None
    if not ours:
        raise CommandError(f"The dashboards are already running on {data_dir}.")
    require_free(port, "--dashboards-port")
    shutil.rmtree(place.directory / "receiver", ignore_errors=True)  # metrics of processes that ended
    write_pages(place.pages, servers.TOOLS / "share/javascript")
    place.targets.write_text("[]")
    config = servers.config(place, f"{INTERVAL_S}s", silent=f"{6 * INTERVAL_S}s")
    (place.directory / "prometheus.yml").write_text(json.dumps(config))  # JSON is YAML
    return place


@asynccontextmanager
async def running_servers(data_dir: Path, port: int) -> AsyncIterator[servers.ServerFiles]:
    """Run Prometheus with the pages on `port`, and the OTLP receiver. Data of earlier runs stays in `data_dir`."""
    async with AsyncExitStack() as stack:
        place = prepare_folder(data_dir, port, stack)
        log = place.directory / "servers.log"
        receiver_ready, prometheus_ready = map(answers, servers.health(place))
        for child in (
            SupervisedProcess("The receiver", servers.receiver(place), log=log, ready=receiver_ready),
            SupervisedProcess("Prometheus", servers.prometheus(place), log=log, ready=prometheus_ready),
        ):
            stack.push_async_callback(child.stop)
            await child.start()
        yield place


async def run_dashboards(options: StackOptions, dashboards_port: int, patients: int) -> None:
    """Run until cancelled. Raises CommandError when something is missing."""
    with console.status("starting …") as status:
        async with running_servers(options.data_dir, dashboards_port) as place:
            os.environ["OTEL_EXPORTER_OTLP_METRICS_ENDPOINT"] = place.otlp
            os.environ["COUNTERSIGN_PROMETHEUS_URL"] = place.url
            os.environ["OTEL_METRIC_EXPORT_INTERVAL"] = str(INTERVAL_S * 1000)
            async with running_stack(options, lambda text: status.update(f"{text} …")) as access:
                place.targets.write_text(json.dumps([{"targets": [access.triton_metrics]}]))
                status.stop()
                print(f"ready {place.url}/user/", flush=True)
                console.print(f"  dashboards    {place.url}/user/   (stop with Ctrl-C)")
                console.print(f"  review pages  {access.base_url}/   (tokens: {options.data_dir}/access.json)")
                await DemoLoad(access, place.url, lambda text: console.print(f"  {text}", highlight=False)).run(
                    patients
                )
                await asyncio.Event().wait()


def main() -> None:
    parser = argparse.ArgumentParser(description="Run the stack with dashboards and alerts, without containers.")
    parser.add_argument("--port", type=int, default=8080, help="loopback port of the API and the review pages")
    parser.add_argument("--dashboards-port", type=int, default=9090, help="loopback port of Prometheus and the pages")
    parser.add_argument("--data-dir", type=Path, default=default_data_dir(), help="data directory")
    parser.add_argument("--drafter-model", default="drafter", help="Triton model that writes the drafts")
    parser.add_argument("--patients", type=int, default=5, help="number of discharges; the sandbox has eight patients")
    chosen = parser.parse_args()
    configure_logging(logging.WARNING)
    options = StackOptions(chosen.data_dir.absolute(), chosen.port, ESCALATIONS, drafter_model=chosen.drafter_model)
    with error_boundary("local-dashboards"):
        run_async(run_until_signal(run_dashboards(options, chosen.dashboards_port, chosen.patients)))


if __name__ == "__main__":
    main()

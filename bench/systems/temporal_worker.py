"""The worker for Temporal: the case as a workflow, its five steps as activities that do nothing."""

import asyncio
import socket
import sys
from contextlib import suppress
from datetime import timedelta

from temporalio import activity, workflow
from temporalio.client import Client
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

QUEUE = "discharge"
POLLERS = 10
CACHED = 5000
DEADLINES = (timedelta(hours=24), timedelta(hours=72), timedelta(days=7))
LIMIT = timedelta(seconds=30)

_reports = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)


@activity.defn
async def take_in(case: str) -> str:
    return case


@activity.defn
async def extract(case: str) -> str:
    return case


@activity.defn
async def draft(case: str) -> str:
    return case


@activity.defn
async def request_review(case: str) -> str:
    _reports.send(f"review {case}".encode())
    return case


@activity.defn
async def file(case: str) -> str:
    _reports.send(f"filed {case}".encode())
    return case


@workflow.defn
class Case:
    def __init__(self) -> None:
        self._approved = False

    @workflow.run
    async def run(self, case: str, local: bool) -> None:
        execute = workflow.execute_local_activity if local else workflow.execute_activity
        await execute(take_in, case, start_to_close_timeout=LIMIT)
        await execute(extract, case, start_to_close_timeout=LIMIT)
        await execute(draft, case, start_to_close_timeout=LIMIT)
        timers = [asyncio.create_task(asyncio.sleep(wait.total_seconds())) for wait in DEADLINES]
        await execute(request_review, case, start_to_close_timeout=LIMIT)
        await workflow.wait_condition(lambda: self._approved)
        for timer in timers:
            timer.cancel()
        await execute(file, case, start_to_close_timeout=LIMIT)

    @workflow.signal
    async def approve(self) -> None:
        self._approved = True


async def main(address: str, reports: int) -> None:
    _reports.connect(("127.0.0.1", reports))
    client = await Client.connect(address)
    worker = Worker(
        client,
        task_queue=QUEUE,
        workflows=[Case],
        activities=[take_in, extract, draft, request_review, file],
        workflow_runner=UnsandboxedWorkflowRunner(),
        max_cached_workflows=CACHED,
        max_concurrent_workflow_task_polls=POLLERS,
        max_concurrent_activity_task_polls=POLLERS,
    )
    with suppress(asyncio.CancelledError):
        await worker.run()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))

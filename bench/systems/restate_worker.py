"""The service for Restate: the case as a workflow, its steps as durable side effects that do nothing."""

import os
import socket
from datetime import timedelta

import restate

DEADLINES = (timedelta(hours=24), timedelta(hours=72), timedelta(days=7))

_reports = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
_reports.connect(("127.0.0.1", int(os.environ["BENCH_REPORTS"])))

case = restate.Workflow("case")


def _nothing() -> str:
    return "done"


def _report(what: str, key: str) -> str:
    _reports.send(f"{what} {key}".encode())
    return "done"


@case.main()
async def run(ctx: restate.WorkflowContext) -> str:
    key = ctx.key()
    await ctx.run_typed("take-in", _nothing)
    await ctx.run_typed("extract", _nothing)
    await ctx.run_typed("draft", _nothing)
    timers = {f"t{index}": ctx.sleep(wait) for index, wait in enumerate(DEADLINES)}
    await ctx.run_typed("request-review", lambda: _report("review", key))
    await restate.select(approved=ctx.promise("approved").value(), **timers)
    await ctx.run_typed("file", lambda: _report("filed", key))
    return "filed"


@case.handler()
async def approve(ctx: restate.WorkflowSharedContext) -> None:
    await ctx.promise("approved").resolve("yes")


app = restate.app(services=[case])

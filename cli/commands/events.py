"""`countersign events`: follow case events as they happen."""

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Annotated, Any

import typer

from cli.client import Api, run_with_api
from cli.errors import UnreachableError
from cli.options import DataDir

RECONNECT_DELAY_S = 2.0


def events(
    department: Annotated[str | None, typer.Option("--department", help="only events of this department")] = None,
    types: Annotated[
        list[str] | None, typer.Option("--type", help="only events of this name, such as approved; repeatable")
    ] = None,
    case_id: Annotated[str | None, typer.Option("--case", help="only events of this case")] = None,
    after: Annotated[
        int | None, typer.Option("--after", min=0, help="begin behind this sequence; 0: with the first event")
    ] = None,
    limit: Annotated[int | None, typer.Option("--limit", min=1, help="end after so many events")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print each as a CloudEvent in one line of JSON")] = False,
    data_dir: DataDir = None,
) -> None:
    """Print case events as they happen, until Ctrl-C. After an interruption it continues where it was."""
    query = {"department": department, "type": types or None, "case_id": case_id, "after": after}
    wanted = {name: value for name, value in query.items() if value is not None}

    async def follow(api: Api) -> None:
        count = 0
        async with aclosing(_received(api, wanted)) as received:
            async for event in received:
                _print(event, as_json)
                count += 1
                if count == limit:
                    return

    run_with_api(data_dir, follow)


async def _received(api: Api, query: dict[str, Any]) -> AsyncGenerator[dict[str, Any]]:
    """Yield events, over as many connections as it takes. Raises CommandError where there is none at the start."""
    position = ""
    while True:
        block: dict[str, str] = {}
        headers = {"Last-Event-ID": position} if position else {}
        try:
            async with aclosing(api.lines("/v1/events", params=query, headers=headers)) as lines:
                async for line in lines:
                    if line:
                        name, _, value = line.partition(": ")
                        block[name] = value
                        continue
                    position = block.get("id", position)
                    if "data" in block:
                        yield json.loads(block["data"])
                    block = {}
        except UnreachableError:
            if not position:
                raise
        await asyncio.sleep(RECONNECT_DELAY_S)


def _print(event: dict[str, Any], as_json: bool) -> None:
    data = event["data"]
    line = f"{data['sequence']:>8}  {event['time'][:19]}  {data['department']:20}  {data['case_id']}  {data['event']}"
    print(json.dumps(event) if as_json else line, flush=True)

"""The attackers' process: reads from stdin what they know, attacks for a time, prints what became of each attack."""

import asyncio
import json
import os
import random
import sys
from collections import Counter
from collections.abc import Sequence
from typing import Any

import uvloop

from bench.hostile.attacks import PLANS, Plan, Target
from bench.hostile.raw_http import Address
from tests.support import malicious_input


def share(plans: Sequence[Plan], connections: int) -> dict[Plan, int]:
    """How many connections each has; at least one."""
    whole = sum(plan.share for plan in plans)
    return {plan: max(1, connections * plan.share // whole) for plan in plans}


async def one(plan: Plan, target: Target, counts: Counter[str]) -> None:
    """One connection after the other, until it is cancelled."""
    while True:
        await asyncio.sleep(target.chance.uniform(0, plan.pause))
        try:
            outcome = await plan.attack(target)
        except OSError as error:
            outcome = type(error).__name__
        counts[f"{plan.attack.__name__}: {outcome}"] += 1


async def attack(target: Target, plans: Sequence[Plan], connections: int, seconds: float) -> dict[str, int]:
    counts: Counter[str] = Counter()
    tasks = [
        asyncio.create_task(one(plan, target, counts))
        for plan, number in share(plans, connections).items()
        for _ in range(number)
    ]
    done, _ = await asyncio.wait(tasks, timeout=seconds, return_when="FIRST_EXCEPTION")
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    for task in done:
        task.result()  # a fault of the attack itself, which would make it look as if all held
    return dict(sorted(counts.items()))


def target_of(sent: dict[str, Any]) -> Target:
    return Target(
        approval=Address(sent["approval"]),
        ingest=Address(sent["ingest"]),
        tokens=sent["tokens"],
        cookie=sent["cookie"],
        cases=[(case, digest) for case, digest in sent["cases"]],
        chance=random.Random(sent["seed"]),
        documents=[make() for make in malicious_input.DOCUMENTS.values()],
    )


def main() -> None:
    # Attackers have machines of their own: they take no turn of a processor that services or honest clients wait for.
    os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    sent = json.load(sys.stdin)
    plans = [plan for plan in PLANS if not sent["only"] or plan.attack.__name__ in sent["only"]]
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        print(json.dumps(runner.run(attack(target_of(sent), plans, sent["connections"], sent["seconds"]))))


if __name__ == "__main__":
    main()

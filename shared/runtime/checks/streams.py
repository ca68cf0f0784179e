"""Compare streams, buckets and consumers with the topology. Pure."""

from typing import Any

from nats.js.api import Placement

from shared.messaging.provision import differs
from shared.messaging.replica_status import ReplicaStatus
from shared.runtime.checks.findings import Group


def compare(
    group: Group, kind: str, expected: dict[str, Any], found: dict[str, Any], provision: str, *, of: str = ""
) -> None:
    """Compare the expected with the found configurations, by name. Pure."""
    where = f" on {of}" if of else ""
    missing = expected.keys() - found.keys()
    for name in sorted(missing):
        group.fault(f"{kind} {name}", f"it is missing{where}", provision)
    good = 0
    for name in sorted(expected.keys() & found.keys()):
        wrong = differs(found[name], expected[name])
        good += not wrong
        if wrong:
            values = ((field, getattr(found[name], field), getattr(expected[name], field)) for field in wrong)
            says = ", ".join(
                f"{field} is {_formatted(is_)}, expected {_formatted(want)}" for field, is_, want in values
            )
            group.fault(f"{kind} {name}", says, provision)
    if good and good == len(expected):
        group.ok(f"{kind}s{where}", f"{good} as expected")
    if of:  # other streams of the account are not ours
        for name in sorted(found.keys() - expected.keys()):
            do = f"if nothing uses it, remove it: nats consumer rm {of} {name}"
            group.warning(f"{kind} {name}", f"unknown durable consumer{where}", do)


def assess_replicas(group: Group, found: list[ReplicaStatus]) -> None:
    """Assess whether streams are in sync on all of their servers. Pure."""
    moving = sorted(item.stream for item in found if item.moving)
    if moving:
        group.warning("placement", f"moving to other servers: {', '.join(moving)}", "wait, then run the doctor again")
    for server in sorted({server for item in found for server in item.behind}):
        late = ", ".join(sorted(item.stream for item in found if server in item.behind))
        group.warning(
            f"server {server}", f"it has not caught up on {late}", "check that it runs; wait, then run the doctor again"
        )


def _formatted(value: Any) -> str:
    if isinstance(value, Placement):
        value = value.tags or None
    if value is None:
        return "none"
    return ", ".join(sorted(map(str, value))) if isinstance(value, list) else str(getattr(value, "value", value))

"""Check what the drafting endpoints have spent today against their limits."""

from datetime import UTC, datetime

from cli.doctor.census import least_tokens
from cli.doctor.target import DoctorTarget
from services.drafter.budget import Spent, against_limits, spent_today
from shared.contracts.errors import CountersignError
from shared.messaging.connection import NatsConnection
from shared.runtime.checks.findings import Group
from shared.runtime.generation_endpoints import Limits

WARNING_SHARE = 0.8  # of a limit; as the alert EndpointBudgetNearLimit has it
RAISE = "find out what asks so often (docs/alerts.md#endpointbudgetnearlimit), or raise `limits` of the endpoint"


async def check_spend(bus: NatsConnection, group: Group, target: DoctorTarget, now: datetime) -> None:
    """Check each endpoint with limits for a day. A file of endpoints that is wrong is reported with the connections."""
    try:
        endpoints = target.generation.read()
        for name, item in endpoints.items():
            if item.limits.of_day:
                assess_spend(group, name, await spent_today(bus, name, now.astimezone(UTC)), item.limits)
    except CountersignError as failure:
        group.fault("budgets of endpoints", failure.reason, "see the findings about streams and about connections")


def assess_spend(group: Group, endpoint: str, spent: Spent, limits: Limits) -> None:
    """Assess what an endpoint has spent today. Pure."""
    found = tuple(against_limits(spent, limits))
    message = "today (UTC): " + ", ".join(f"{number:,} of {limit:,} {what}" for what, number, limit in found)
    least = {"requests": 1, "tokens": least_tokens()}  # of one more request
    if used_up := [what for what, number, limit in found if limit - number < least[what]]:
        message += (
            f"; no {' and '.join(used_up)} are left, so narratives are composed without the model until 00:00 UTC"
        )
        group.fault(f"budget of {endpoint}", message, RAISE)
    elif any(number >= WARNING_SHARE * limit for _, number, limit in found):
        group.warning(f"budget of {endpoint}", message, RAISE)
    else:
        group.ok(f"budget of {endpoint}", message)

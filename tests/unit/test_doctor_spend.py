"""What the doctor says of the spend of endpoints."""

import pytest

from cli.doctor.census import least_tokens
from cli.doctor.spend import assess_spend
from services.drafter.budget import Spent
from shared.runtime.checks.findings import Group
from shared.runtime.generation_endpoints import Limits

LIMITS = Limits(requests_per_day=100, tokens_per_day=1_000_000)


@pytest.mark.parametrize(
    ("requests", "tokens", "level"),
    [
        (0, 0, "ok"),
        (79, 799_999, "ok"),
        (80, 0, "warning"),
        (0, 800_000, "warning"),
        (99, 0, "warning"),
        (100, 0, "fault"),
        (0, 1_000_000 - least_tokens(), "warning"),
        (0, 1_000_001 - least_tokens(), "fault"),
    ],
)
def test_a_budget_near_its_limit_is_a_warning_and_one_for_no_further_request_a_fault(
    requests: int, tokens: int, level: str
) -> None:
    group = Group("work")
    assess_spend(group, "cloud", Spent(requests=requests, tokens=tokens), LIMITS)
    (found,) = group.found
    assert (found.what, found.level) == ("budget of cloud", level)
    assert found.says.startswith(f"today (UTC): {requests} of 100 requests, {tokens:,} of 1,000,000 tokens")
    assert ("composed without the model" in found.says) is (level == "fault")


def test_only_what_has_a_limit_is_shown() -> None:
    group = Group("work")
    assess_spend(group, "cloud", Spent(requests=9, tokens=9), Limits(requests_per_day=100))
    assert [item.says for item in group.found] == ["today (UTC): 9 of 100 requests"]

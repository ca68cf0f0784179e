"""What a process of the drafter consumes, checks and records at its start, by COUNTERSIGN_DRAFTER_WORK."""

from pathlib import Path

import pytest
from pydantic import SecretStr, ValidationError

from services.drafter.main import build
from services.drafter.settings import DrafterSettings
from shared.messaging.topology import CONSUMERS
from shared.runtime.generation_endpoints import EndpointSettings

DRAFTS = {"drafter-extract", "drafter-draft", "drafter-prepare"}
EVALUATIONS = {"drafter-evaluate"}
ALWAYS = {"drafter-advisories"}  # a message that nobody answered, of either kind


def settings(**more: object) -> DrafterSettings:
    return DrafterSettings.model_validate({"nats_seed": SecretStr("x"), "mode": "demo"} | more)


@pytest.mark.parametrize(
    ("work", "consumed", "checks", "starts"),
    [
        ({}, DRAFTS | EVALUATIONS, {"triton", "ehr"}, 1),
        ({"drafter_work": "all"}, DRAFTS | EVALUATIONS, {"triton", "ehr"}, 1),
        ({"drafter_work": "drafts"}, DRAFTS, {"triton", "ehr"}, 1),
        ({"drafter_work": "evaluations"}, EVALUATIONS, {"triton"}, 0),
    ],
)
async def test_a_process_does_the_work_that_its_settings_name(
    work: dict[str, str], consumed: set[str], checks: set[str], starts: int
) -> None:
    service = build(settings(**work))
    assert service.broker.consumers.keys() == consumed | ALWAYS
    assert service.checks.keys() == checks
    assert len(service.starts) == starts, "only who drafts declares what drafts"
    for close in service.closers:
        await close()


def test_all_of_the_work_is_every_consumer_of_the_drafter() -> None:
    assert {item.name for item in CONSUMERS if item.service == "drafter"} == DRAFTS | EVALUATIONS


async def test_a_process_that_evaluates_checks_the_endpoint_that_drafts(tmp_path: Path) -> None:
    file = tmp_path / "endpoints.yaml"
    file.write_text("endpoints:\n  - {name: drafter, kind: openai, url: 'http://vllm:8000/v1', model: m}\n")
    service = build(settings(drafter_work="evaluations", generation=EndpointSettings(endpoints=file)))
    assert service.checks.keys() == {"endpoint drafter"}
    for close in service.closers:
        await close()


def test_other_work_is_refused() -> None:
    with pytest.raises(ValidationError, match="drafter_work"):
        settings(drafter_work="evaluation")

"""The budget of a drafting endpoint for a day: at its limit nothing is sent, with a higher one it is asked again."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import yaml

from tests.support.remote import Remote

pytestmark = [pytest.mark.connected, pytest.mark.system, pytest.mark.timeout(180), pytest.mark.xdist_group("remedies")]


def limit(installation: Remote, **limits: int) -> None:
    """Write `limits` into the endpoints file, and restart the drafter, which reads it at start."""
    file = installation.directory / "endpoints.yaml"
    (declared,) = yaml.safe_load(file.read_text())["endpoints"]
    declared.pop("limits", None)
    file.write_text(yaml.safe_dump({"endpoints": [declared | ({"limits": limits} if limits else {})]}))
    installation.restart("drafter")


@contextmanager
def limited(installation: Remote, **limits: int) -> Iterator[None]:
    limit(installation, **limits)
    try:
        yield
    finally:
        limit(installation)


def draft_of(installation: Remote, encounter: str) -> dict[str, Any]:
    case_id = installation.discharge(installation.stay(encounter))
    installation.reaches(case_id, "awaiting-review")
    return dict(installation.call("physician", "GET", f"/v1/reviews/{case_id}").json()["draft"])


def test_an_endpoint_is_asked_again_with_a_higher_limit(installation: Remote) -> None:
    """Alerts: EndpointBudgetNearLimit."""
    with limited(installation, requests_per_day=1):
        asked = len(installation.model.bodies)
        draft_of(installation, "within-the-budget")
        assert len(installation.model.bodies) == asked + 1
        draft = draft_of(installation, "over-the-budget")
        assert len(installation.model.bodies) == asked + 1, "nothing more is sent"
        assert "the model's budget of requests for today (UTC) is used up" in draft["model_silent"]
        assert draft["sentences"], "composed from the record"
        limit(installation, requests_per_day=1000)
        draft_of(installation, "with-a-higher-limit")
        assert len(installation.model.bodies) == asked + 2

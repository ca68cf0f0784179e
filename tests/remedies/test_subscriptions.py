"""A Subscription at the EHR that stopped because our token was wrong: the EHR and ingest are processes."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from cli.stack.ports import free_port
from tests.support import http
from tests.support.ehr import stays
from tests.support.processes import ServiceProcess
from tests.support.remote import Remote, run_json, run_program, until

pytestmark = [pytest.mark.connected, pytest.mark.system, pytest.mark.timeout(180), pytest.mark.xdist_group("remedies")]


@contextmanager
def notifying_ehr(directory: Path) -> Iterator[str]:
    """An EHR at which clients may subscribe."""
    port = free_port()
    command = [sys.executable, "-m", "sandbox_ehr", "--port", str(port), "--subscriptions"]
    url = f"http://127.0.0.1:{port}/fhir"
    ehr = ServiceProcess("ehr", command, f"{url}/metadata", directory / "ehr.log")
    ehr.start()
    try:
        ehr.wait()
        yield url
    finally:
        ehr.kill()


@contextmanager
def ingest_of(installation: Remote, ehr: str) -> Iterator[None]:
    """Ingest of the installation at another EHR, without its poll: it knows of what it is notified of."""
    usual = installation.parts["ingest"]
    more = {"COUNTERSIGN_EHR_URL": ehr, "COUNTERSIGN_FHIR_POLL_SECONDS": "0"}
    usual.kill()
    other = replace(usual, process=None, more=more)
    other.start()
    try:
        other.wait()
        yield
    finally:
        other.kill()
        usual.start()
        usual.wait()


def discharge(ehr: str, encounter: str) -> None:
    """What the EHR's users do: the stay ends now."""
    found: dict[str, Any] = http.request("GET", f"{ehr}/Encounter/{encounter}").json()
    ended = found["period"] | {"end": datetime.now(UTC).isoformat(timespec="seconds")}
    answer: httpx.Response = http.request(
        "PUT", f"{ehr}/Encounter/{encounter}", json=found | {"status": "finished", "period": ended}
    )
    assert answer.status_code == 200, answer.text


def test_a_subscription_that_stopped_notifies_again(installation: Remote, tmp_path: Path) -> None:
    """Alerts: SubscriptionSilent."""
    encounter = stays()[3]
    token = tmp_path / "notification-token"
    token.write_text("of-another-installation")
    with notifying_ehr(tmp_path) as ehr, ingest_of(installation, ehr):
        # Where ingest's settings are.
        settings = {"COUNTERSIGN_NATS_URL": installation.server.url, "COUNTERSIGN_EHR_URL": ehr}
        endpoint = f"{installation.urls['ingest']}/v1/fhir/notifications"
        options = ("--endpoint", endpoint, "--token-file", str(token), "--type", "Encounter")
        (made,) = run_program("ehr", "subscribe", *options, environment=settings)
        assert (made["outcome"], made["status"]) == ("created", "active")
        discharge(ehr, encounter)
        stopped = f"{ehr}/Subscription/{made['id']}"
        until(lambda: http.request("GET", stopped).json()["status"] == "error", "the EHR to give up")
        assert http.request("GET", stopped).json()["error"] == "HTTP 401"
        token.write_text(installation.tokens["ingest"])
        (again,) = run_program("ehr", "subscribe", *options, environment=settings)
        assert (again["outcome"], again["id"]) == ("reactivated", made["id"])
        discharge(ehr, encounter)
        until(lambda: run_json("cases", "list", "--encounter", encounter)["items"], "the discharge to be known")
        (now,) = run_program("ehr", "subscribe", *options, environment=settings)
        assert now["outcome"] == "unchanged"

"""A physician who never leaves the EHR: the Task shows the look, completing it signs, and the chain verifies."""

import json
from pathlib import Path
from typing import Any

import pytest

from cli.stack.ports import free_port
from tests.e2e.test_command import SCRIPTED, case_in, discharge, until
from tests.support import http
from tests.support.command import Up, run, up

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]


def test_a_task_completed_in_the_ehr_files_the_document(tmp_path: Path) -> None:
    with up(tmp_path / "data", free_port(), *SCRIPTED) as stack:
        encounter = stack.access["demo_encounters"][1]
        book_follow_up(stack, encounter)  # nothing is left to be settled before the signature
        case_id = discharge(stack, encounter)
        case_in(stack, case_id, "awaiting-review")
        (entry,) = http.get(f"{stack.url}/fhir/Task?status=requested").json()["entry"]
        url = f"{stack.url}/fhir/Task/{entry['resource']['id']}"
        assert stack.call("physician", "GET", f"/v1/reviews/{case_id}").is_success

        def begun() -> dict[str, Any] | None:
            task: dict[str, Any] = http.get(url).json()
            return task if task["status"] == "in-progress" else None

        task = until(begun, "the Task to show the look")
        etag = http.get(url).headers["etag"]
        assert http.put(url, json=task | {"status": "completed"}, headers={"If-Match": etag}).is_success
        filed = case_in(stack, case_id, "filed")
        (approved,) = [event for event in filed["events"] if event["event"] == "approved"]
        assert (approved["detail"]["channel"], approved["actor"]) == ("ehr", task["owner"]["reference"])
        audit = run("audit", "verify", "--json", "--data-dir", str(stack.data_dir))
        assert json.loads(audit.stdout)["verified"] is True


def book_follow_up(stack: Up, encounter: str) -> None:
    subject = http.get(f"{stack.url}/fhir/Encounter/{encounter}").json()["subject"]
    visit = {
        "resourceType": "Appointment",
        "status": "booked",
        "start": "2036-01-01T09:00:00Z",
        "description": "Follow-up visit",
        "participant": [{"actor": subject, "status": "accepted"}],
    }
    assert http.post(f"{stack.url}/fhir/Appointment", json=visit).status_code == 201

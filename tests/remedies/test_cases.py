"""Cases that stopped, dead letters and reviews: every remedy by its command."""

import asyncio
import json

import pytest

from tests.support.remote import Remote, bury, refused, run_json, run_program, until

pytestmark = [pytest.mark.connected, pytest.mark.system, pytest.mark.timeout(180), pytest.mark.xdist_group("remedies")]

BECAUSE = ("--reason", "the cause is repaired")


def fail(installation: Remote, encounter: str) -> tuple[str, str]:
    """A case that fails, because the EHR has no such encounter; it has one when this returns. With its dead letter."""
    case_id = installation.discharge(encounter)
    installation.reaches(case_id, "failed")
    installation.stay(encounter)
    (letter,) = [item for item in run_json("dead-letters", "list") if item["case_id"] == case_id]
    assert letter["reason"] == "the EHR has no such encounter"
    return case_id, str(letter["sequence"])


def test_cases_that_stopped_continue(installation: Remote) -> None:
    """Alerts: CasesStopped, DeadLetters."""
    case_id, number = fail(installation, "late-1")
    assert [item["case_id"] for item in run_json("cases", "list", "--state", "failed")["items"]] == [case_id]
    assert run_json("cases", "show", case_id)["state"] == "failed"
    assert run_json("cases", "history", case_id)[-1]["event"] == "failed"
    assert "body" not in run_json("dead-letters", "show", number)
    assert "--reason" in refused("dead-letters", "redrive", number, code=2)
    preview = run_json("dead-letters", "redrive", number, "--dry-run", *BECAUSE)
    assert preview["done"] == f"case {case_id} would try extract again"
    assert run_json("dead-letters", "redrive", number, *BECAUSE)["done"] == f"case {case_id} tries extract again"
    installation.reaches(case_id, "awaiting-review")
    assert "was redriven before" in run_json("dead-letters", "redrive", number, *BECAUSE)["done"]
    assert "was redriven before" in refused("dead-letters", "discard", number, *BECAUSE, code=1)
    assert "no failed step" in refused("cases", "retry", case_id, code=1)
    assert "no such case" in refused("cases", "retry", "nobody", code=2)
    other, number = fail(installation, "late-2")
    assert f"case {other} stays failed" in run_json("dead-letters", "discard", number, *BECAUSE)["done"]
    assert run_program("cases", "retry", other)["done"] == f"case {other} tries extract again"
    installation.reaches(other, "awaiting-review")
    letters = {item["case_id"]: item["by"] for item in run_json("dead-letters", "list", "--all")}
    assert (letters[case_id], letters[other]) == ("demo-operator", "demo-operator")
    assert "not allowed" in refused("--context", "physician", "dead-letters", "list", code=2)


def test_a_step_is_retried_by_the_button_on_the_page_of_the_case(installation: Remote) -> None:
    """Alerts: CasesStopped."""
    case_id, _ = fail(installation, "late-3")
    page = installation.call("operator", "GET", f"/cases/{case_id}")
    assert "Retry the step" in page.text
    seen = page.text.partition('name="seen" value="')[2].partition('"')[0]
    form = {"seen": seen, "reason": "the stay is in the EHR now"}
    done = installation.call("operator", "POST", f"/cases/{case_id}/retry", data=form)
    assert done.status_code == 303
    installation.reaches(case_id, "awaiting-review")
    assert case_id not in {item["case_id"] for item in run_json("dead-letters", "list")}


def test_messages_that_failed_meanwhile_are_redriven_together(installation: Remote) -> None:
    """Alerts: DeadLetters."""
    encounter = installation.stay("reported-late")
    subject = f"ehr.encounter.discharged.internal-medicine.{encounter}"
    asyncio.run(
        bury(installation, "ingest-discharged", subject, json.dumps({"encounter_id": encounter}).encode(), b"junk")
    )
    of_ingest = ("--consumer", "ingest-discharged")
    waiting = [item["sequence"] for item in run_json("dead-letters", "list", *of_ingest)]
    every = ("dead-letters", "redrive", "--all", "--since", "1h", *of_ingest)
    preview = run_json(*every, "--dry-run", *BECAUSE, code=1)
    planned, left = [[item["sequence"] for item in preview[name]] for name in ("planned", "refused")]
    assert sorted(planned + left) == sorted(waiting)
    assert len(planned) == 1
    done = run_json(*every, "--yes", *BECAUSE, code=1)
    assert (done["done"], [item["sequence"] for item in done["refused"]]) == (1, left)
    assert all("would fail again" in item["said"] for item in done["refused"])
    rest = run_json("dead-letters", "discard", "--all", *of_ingest, "--failed-with", "NO ANSWER", "--yes", *BECAUSE)
    assert rest == {"done": 1, "refused": []}
    (case,) = run_json("cases", "list", "--encounter", encounter)["items"]
    installation.reaches(case["case_id"], "awaiting-review")


def test_notifications_are_sent_once_their_channel_is_repaired(installation: Remote) -> None:
    """Alerts: ChannelFails."""
    case_id = installation.discharge(installation.stay("unannounced"))
    installation.reaches(case_id, "awaiting-review")
    installation.pager.unlink()
    form = {"case": case_id, "request_id": "reminder-1"}
    assert installation.call("supervisor", "POST", "/department/remind", data=form).status_code == 303
    of_channels = ("--consumer", "approval-deliver")
    (letter,) = until(lambda: run_json("dead-letters", "list", *of_channels), "the notification to be given up")
    assert "cannot be read" in letter["reason"]
    installation.pager.write_text(installation.webhook.address)
    assert run_json("dead-letters", "redrive", "--all", *of_channels, "--yes", *BECAUSE) == {
        "done": 1,
        "refused": [],
    }
    (post,) = until(lambda: installation.webhook.posts, "the notification")
    assert "Reminder" in post["title"]


def test_a_review_whose_timers_are_lost_is_given_to_its_owner_again(installation: Remote) -> None:
    """Alerts: ReviewNotEscalated, TelemetryMissing."""
    case_id = installation.discharge(installation.stay("not-escalated"))
    installation.reaches(case_id, "awaiting-review")
    installation.restart("approval")
    planned = run_json("escalations", "preview", case_id)
    assert len(planned["items"]) == 3
    owner = planned["owner"] or "Practitioner/DR-IM-002"
    assert run_json("cases", "reassign", case_id, "--to", owner, *BECAUSE)["case_id"] == case_id
    again = run_json("escalations", "preview", case_id)
    assert again["owner"] == owner
    assert again["items"][0]["due"] > planned["items"][0]["due"]


def test_decisions_of_the_ehr_are_held_and_allowed(installation: Remote) -> None:
    assert run_json("ehr-decisions", "hold", *BECAUSE)["held"] is True
    assert run_json("ehr-decisions", "show")["by"] == "demo-operator"
    assert run_json("ehr-decisions", "allow", *BECAUSE)["held"] is False

"""Documents that are not in the chart, and the audit trail: every remedy by its command."""

from typing import Any

import pytest

from tests.connected.test_not_as_signed import plant, retire
from tests.support.remote import Remote, refused, run_json, run_program, until

pytestmark = [pytest.mark.connected, pytest.mark.system, pytest.mark.timeout(180), pytest.mark.xdist_group("remedies")]


def held(installation: Remote, encounter: str) -> str:
    """A case whose document is not filed, because the chart has something else."""
    case_id = installation.discharge(installation.stay(encounter))
    installation.reaches(case_id, "awaiting-review")
    plant(installation, case_id, f"{case_id}/final")
    installation.approve(case_id)
    installation.reaches(case_id, "failed")
    assert unfiled(case_id)["reason"] == "held"
    return case_id


def unfiled(case_id: str) -> dict[str, Any]:
    (entry,) = [item for item in run_json("cases", "unfiled")["items"] if item["case_id"] == case_id]
    return dict(entry)


def discard(case_id: str) -> None:
    """What a case that was retried leaves behind."""
    for letter in run_json("dead-letters", "list"):
        if letter["case_id"] == case_id:
            run_json("dead-letters", "discard", str(letter["sequence"]), "--reason", "filed")


def test_a_document_is_filed_once_the_chart_is_put_right(installation: Remote) -> None:
    """Alerts: DocumentNotInChart."""
    case_id = held(installation, "unfiled-1")
    retire(installation, "planted")
    assert run_program("cases", "file", case_id)["state"] == "approved"
    installation.reaches(case_id, "filed")
    assert case_id not in {item["case_id"] for item in run_json("cases", "unfiled")["items"]}
    discard(case_id)
    case_id = held(installation, "unfiled-2")
    retire(installation, "planted")
    assert run_json("cases", "retry", case_id)["done"] == f"case {case_id} tries file again"
    installation.reaches(case_id, "filed")
    discard(case_id)


def test_a_document_is_filed_by_the_button_and_a_transfer_is_confirmed(installation: Remote) -> None:
    """Alerts: DocumentNotInChart."""
    case_id = held(installation, "unfiled-button")
    assert "Try to file it again" in installation.call("physician", "GET", f"/reviews/{case_id}").text
    retire(installation, "planted")
    done = installation.call("physician", "POST", f"/reviews/{case_id}/filing/retry")
    assert done.status_code == 303
    installation.reaches(case_id, "filed")
    discard(case_id)
    case_id = held(installation, "transferred")
    assert run_json("cases", "confirm-transfer", case_id)["state"] == "filed"
    assert run_json("cases", "confirm-transfer", case_id)["state"] == "filed"  # repeated: nothing more happens
    assert run_json("cases", "show", case_id)["state"] == "filed"
    retire(installation, "planted")
    discard(case_id)


def test_texts_are_kept_by_a_legal_hold_and_erased_after_it(installation: Remote) -> None:
    case_id = installation.sign(installation.stay("erased"))
    installation.reaches(case_id, "filed")
    run_json("legal-hold", "place", case_id, "--ground", "litigation")
    asked = ("--case", case_id, "--ground", "patient-request", "--yes")
    assert run_json("erase", *asked, code=1)["ordered"] == []
    run_json("legal-hold", "release", case_id)
    assert run_json("erase", *asked)["ordered"] == [case_id]
    until(lambda: run_json("cases", "history", case_id)[-1]["event"] == "erased", "the texts to be erased")


def test_the_audit_trail_is_verified_by_an_auditor(installation: Remote) -> None:
    """Alerts: TrailBroken."""
    case_id = installation.sign(installation.stay("verified"))
    installation.reaches(case_id, "filed")
    run = run_program("--context", "auditor", "audit", "verify", "--case", case_id)
    assert (run["state"], run["verified"], run["case_id"]) == ("finished", True, case_id)
    pack = installation.call("auditor", "GET", f"/v1/cases/{case_id}/evidence")
    assert (pack.status_code, pack.content[:2]) == (200, b"PK")
    seen = run_json("--context", "auditor", "audit", "access", case_id)
    assert "viewed" in {item["event"] for item in seen["items"]}
    theirs = run_json("--context", "auditor", "audit", "access", case_id, "--person", seen["items"][0]["subject"])
    assert {item["case_id"] for item in theirs["items"]} == {case_id}
    none = run_json("--context", "auditor", "audit", "access", "--since", "2126-01-01")
    assert none == {"items": [], "next": None}
    assert "not allowed" in refused("audit", "verify", code=2)
    assert "not allowed" in refused("audit", "access", case_id, code=2)

"""What `make screenshots` prepares, so that every page has something to show; made by commands and by the API."""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sandbox_ehr.seed import demo_encounters
from tests.support.command import Up, run
from tests.support.physician import approval_body
from tests.support.remote import until

DEMO = Path(__file__).parents[2] / "deploy/knowledge"
KIND = "discharge-summary"
BECAUSE = ("--reason", "shorter hospital courses")
COLLEAGUE = "DR-IM-002"


@dataclass(frozen=True, slots=True)
class Prepared:
    """Ids for the addresses of pages."""

    candidate: str
    evaluation: str
    case: str
    reassigned: str


def copy_knowledge(directory: Path) -> Path:
    """The demo knowledge base, to be changed; returns its file."""
    shutil.copytree(DEMO, directory / "knowledge-base")
    return directory / "knowledge-base" / "knowledge.yaml"


def command(stack: Up, *words: str, code: int = 0) -> Any:
    done = run(*words, "--data-dir", str(stack.data_dir), "--json")
    assert done.returncode == code, done.stderr
    return json.loads(done.stdout)


def two_versions(stack: Up, file: Path) -> None:
    """Versions of the knowledge base that differ in a document."""
    command(stack, "knowledge", "refresh", "--wait")
    text = next(item for item in sorted(file.parent.rglob("*.md")) if item.name != "README.md")
    text.write_text(text.read_text() + "\nAsk the ward about what has changed.\n")
    command(stack, "knowledge", "refresh", "--wait")


def two_dead_letters(stack: Up) -> None:
    """Of encounters that the EHR does not have; one of them is discarded."""
    for encounter in ("none", "nobody"):
        sent = {"encounter_id": encounter, "department": "icu"}
        stack.call("ingest", "POST", "/v1/encounters/discharged", json=sent).raise_for_status()
    letters = until(lambda: found if len(found := command(stack, "dead-letters", "list")) > 1 else [], "dead letters")
    command(stack, "dead-letters", "discard", str(letters[-1]["sequence"]), "--reason", "reported twice")


def sign_one(stack: Up) -> str:
    """A stay that configurations can be evaluated on; returns its case."""
    items = stack.call("operator", "GET", "/v1/reviews").json()["items"]
    case_id = str(items[-1]["case_id"])
    draft = stack.call("physician", "GET", f"/v1/reviews/{case_id}").json()["draft"]
    path, seen = f"/v1/reviews/{case_id}/approve", {"If-Match": f'"{draft["digest"]}"'}
    stack.call("physician", "POST", path, headers=seen, json=approval_body(draft)).raise_for_status()
    until(lambda: command(stack, "cases", "show", case_id)["state"] == "filed", "a document")
    return case_id


def prepare(stack: Up) -> Prepared:
    """Once every draft waits: a signed stay, a candidate and its evaluation, a set, a review of another person."""
    case_id = sign_one(stack)
    candidate = str(command(stack, "drafters", "add", "--document", KIND, "--policy", "marked", *BECAUSE)["digest"])
    command(stack, "drafters", "evaluate", candidate, "--limit", "1", "--wait", *BECAUSE, code=1)
    evaluation = str(command(stack, "drafters", "evaluations", candidate)[0]["id"])
    command(stack, "drafters", "sets", "make", "icu", "--document", KIND, *BECAUSE)
    (review, *_) = stack.call("supervisor", "GET", "/v1/reviews").json()["items"]
    form = {"case": review["case_id"], "to": COLLEAGUE, "reason": "on leave", "request_id": "pictures"}
    stack.call("supervisor", "POST", "/department/reassign", data=form)
    return Prepared(candidate, evaluation, case_id, str(review["case_id"]))


def pages(of: Prepared) -> dict[str, tuple[str, ...]]:
    """Pages of each role: who signs in, the paths, and links that lead from a page to one of its items."""
    drafter = f"/drafters/{of.candidate}"
    letters = "/dead-letters/results?do=discard&n=1-9"
    case = f"request_id=pictures&case={of.reassigned}"
    return {
        "Operator of the platform": (
            *("/cases", "/cases?state=failed", "/cases > a[href^='/cases/']"),
            *("/dead-letters", "/dead-letters/preview?do=redrive&every=yes", letters, "/alerts", "/system"),
        ),
        "Auditor": ("/access", "/access/signatures", "/verification"),
        "Editor of the knowledge base": (
            *("/knowledge", "/knowledge/versions", "/knowledge/versions/2"),
            "/knowledge/versions/2 > a[href*='/document?from=']",
            *("/knowledge/golden", "/knowledge/golden > a[href*='/knowledge/golden/edit']", "/knowledge/golden/new"),
            "/knowledge/search?q=anticoagulation+after+stroke",
            *("/knowledge/documents", "/knowledge/documents > main a[href^='/knowledge/document?']"),
        ),
        "Engineer of drafters": (
            *("/drafters", "/drafters > main a[href^='/drafters/']", drafter, f"{drafter}/edit"),
            *(f"{drafter}/evaluations/{of.evaluation}", f"{drafter}/trial"),
            *("/drafters/sets", "/drafters/sets > main a[href^='/drafters/sets/']"),
        ),
        "Supervisor, internal medicine": (
            *("/department", f"/department/reassign?{case}"),
            f"/department/reassigned?{case}&to=Practitioner/{COLLEAGUE}",
            "/department/absences",
        ),
    }


def discharge_all(stack: Up) -> None:
    for stay in demo_encounters():
        body = {"encounter_id": stay.encounter, "department": stay.department}
        stack.call("ingest", "POST", "/v1/encounters/discharged", json=body).raise_for_status()

"""The whole embedded stack by its command: the contracts that are checked from outside, restarts, clear errors."""

import json
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from cli.commands.drafter_options import SHOWN
from cli.stack.ports import free_port
from sandbox_ehr.seed import opaque_id
from services.drafter.kinds import load_shipped_kinds
from shared.runtime.authentication import ROLES
from tests.support import http
from tests.support.command import COUNTERSIGN, Up, run, up
from tests.support.ehr import SHARED_ENCOUNTERS, shared_stays
from tests.support.physician import approval_body, unconfirmed_sentences

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

FILED = ["discharged", "context-extracted", "drafted", "review-requested", "approved", "filed"]
SCRIPTED = ("--drafter-model", "drafter-scripted")  # where the words of the draft do not matter


def until(condition: Callable[[], Any], what: str, patience: float = 120) -> Any:
    deadline = time.monotonic() + patience
    while not (value := condition()):
        assert time.monotonic() < deadline, f"waited {patience:g} s for {what}"
        time.sleep(0.05)
    return value


def case_in(stack: Up, case_id: str, state: str) -> dict[str, Any]:
    """Wait until the case is `state` and return it; a failure names the events that it has instead."""
    case: dict[str, Any] = {}

    def there() -> bool:
        case.update(stack.call("auditor", "GET", f"/v1/cases/{case_id}").json())
        return bool(case["state"] == state)

    try:
        until(there, f"the case to be {state}")
    except AssertionError as error:
        error.add_note(f"it is {case['state']} after {[event['event'] for event in case['events']]}")
        raise
    return case


def discharge(stack: Up, encounter: str, **more: Any) -> str:
    answer = stack.call("ingest", "POST", "/v1/encounters/discharged", json={"encounter_id": encounter} | more)
    assert answer.status_code == 202, answer.text
    assert answer.json()["case_url"] == f"{stack.url}/v1/cases/{answer.json()['case_id']}"
    return str(answer.json()["case_id"])


def approve(stack: Up, case_id: str, added: str = "") -> httpx.Response:
    """Countersign; `added` is a line that the physician writes below the draft."""
    review = stack.call("physician", "GET", f"/v1/reviews/{case_id}")
    headers = {"If-Match": review.headers["etag"]}
    draft = review.json()["draft"]
    sent = approval_body(draft) | ({"text": f"{draft['text']}{added}\n"} if added else {})
    path = f"/v1/reviews/{case_id}/approve"
    answer = stack.call("physician", "POST", path, headers=headers, json=sent)
    if own := unconfirmed_sentences(answer):
        answer = stack.call("physician", "POST", path, headers=headers, json=sent | {"written": own})
    return answer


def children_of(process: subprocess.Popen[str]) -> list[psutil.Process]:
    return psutil.Process(process.pid).children(recursive=True)


def test_the_demo_says_what_happened_in_one_object() -> None:
    done = run("demo", "--auto-approve", "--json", timeout=280)
    assert done.returncode == 0, done.stderr
    (line,) = done.stdout.splitlines()
    told = json.loads(line)
    assert told["events"] == FILED
    assert told["audit"] == {"verified": True, "events": 6}
    assert told["cases"] == 1, "the ADT message and the HTTP request report one discharge"
    assert all(told[name] for name in ("case_id", "document_reference", "provenance", "seconds"))
    assert [item["document"] for item in told["drafters"]] == sorted(load_shipped_kinds().all)
    assert {item["state"] for item in told["drafters"]} == {"live"}
    # For people, it ends with the table of the command.
    _, listed, table = done.stderr.partition("countersign drafters list\n")
    assert listed
    rows = [line.split() for line in table.splitlines() if any(item["document"] in line for item in told["drafters"])]
    shown = [(row[0], row[1], row[2]) for row in rows]
    assert shown == [(item["document"], item["digest"][:SHOWN], "live") for item in told["drafters"]]


def test_the_contracts_answer_as_written_and_a_killed_stack_goes_on(tmp_path: Path) -> None:
    port = free_port()
    with up(tmp_path / "data", port) as stack:
        assert stat.S_IMODE((stack.data_dir / "access.json").stat().st_mode) == 0o600
        assert set(stack.access["tokens"]) == set(ROLES)
        assert http.get(f"{stack.url}/healthz").json() == {"status": "ok"}
        checks = http.get(f"{stack.url}/readyz").json()["checks"]
        assert checks == dict.fromkeys(("nats", "triton", "triton-embedder", "ehr", "qdrant"), True)
        assert "/v1/reviews/{case_id}/approve" in http.get(f"{stack.url}/openapi.json").json()["paths"]
        first, second = stack.access["demo_encounters"][:2]
        case_id = discharge(stack, first, department="Internal Medicine")
        assert discharge(stack, first) == case_id
        case = case_in(stack, case_id, "awaiting-review")
        assert [event["event"] for event in case["events"]] == FILED[:4]
        assert all(event["time"] and event["actor"] and len(event["digest"]) == 64 for event in case["events"])
        listed = stack.call("physician", "GET", "/v1/reviews?department=internal-medicine&state=open").json()
        assert [item["case_id"] for item in listed["items"]] == [case_id]
        assert listed["next"] is None
        review = stack.call("physician", "GET", f"/v1/reviews/{case_id}")
        draft = review.json()["draft"]
        assert review.headers["etag"] == f'"{draft["digest"]}"'
        assert draft["text"]
        assert draft["model"].startswith("drafter SmolLM2")
        assert all({"text", "evidence", "unsupported", "supported"} <= set(item) for item in draft["sentences"])
        unfinished = discharge(stack, second)
        stack.kill()
    until(lambda: not leftovers(tmp_path), "the children to end with their parent")
    with up(tmp_path / "data", port) as stack:
        assert approve(stack, case_id).status_code == 200
        filed = case_in(stack, case_id, "filed")
        assert [event["event"] for event in filed["events"]] == FILED
        assert approve(stack, case_id).status_code == 200, "sent again it is the same decision"
        chart = f"{stack.url}/fhir/DocumentReference/{filed['document_reference']}"
        assert http.get(chart).json()["type"]["coding"][0]["code"] == "18842-5"
        case_in(stack, unfinished, "awaiting-review")
        audit = run("audit", "verify", "--json", "--data-dir", str(stack.data_dir))
        assert json.loads(audit.stdout)["verified"] is True
        assert json.loads(audit.stdout)["cases"] == 2
        check_commands(stack, case_id)
        assert stack.stop(signal.SIGINT) == 0
    assert not leftovers(tmp_path)


def check_commands(stack: Up, case_id: str) -> None:
    here = ("--data-dir", str(stack.data_dir), "--json")
    assert {item["case_id"] for item in json.loads(run("cases", "list", *here).stdout)["items"]} >= {case_id}
    assert json.loads(run("cases", "show", case_id, *here).stdout)["state"] == "filed"
    assert [item["event"] for item in json.loads(run("cases", "history", case_id, *here).stdout)] == FILED
    assert json.loads(run("dead-letters", "list", *here).stdout) == []
    missing = run("cases", "show", "nobody", *here)
    assert (missing.returncode, missing.stdout) == (2, "")
    assert missing.stderr.count("\n") == 1


def leftovers(tmp_path: Path) -> list[list[str]]:
    """Processes of ours that still run on the directory."""
    lines = [process.info["cmdline"] or [] for process in psutil.process_iter(["cmdline"])]
    return [line for line in lines if any(str(tmp_path) in part for part in line)]


@contextmanager
def vendor_ehr(folder: Path, port: int) -> Iterator[str]:
    """Another vendor's server: opaque ids and ETags, small pages, unknown parameters refused, a bearer token."""
    command = [sys.executable, "-m", "sandbox_ehr", "--port", str(port), "--style", "opaque"]
    process = subprocess.Popen([*command, "--seed", str(folder), "--token", "vendor-token"])
    try:
        base = f"http://127.0.0.1:{port}/fhir"
        until(lambda: _answers(f"{base}/metadata"), "the vendor's EHR")
        yield base
    finally:
        process.kill()
        process.wait()


def _answers(url: str) -> bool:
    try:
        return bool(http.get(url).status_code)
    except httpx.HTTPError:
        return False


def test_with_another_vendors_ehr_everything_works_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = shared_stays()
    monkeypatch.setenv("COUNTERSIGN_EHR_TOKEN", "vendor-token")
    with (
        vendor_ehr(SHARED_ENCOUNTERS, free_port()) as base,
        up(tmp_path / "data", free_port(), "--ehr-url", base, *SCRIPTED) as stack,
    ):
        cases = [discharge(stack, opaque_id("Encounter", file.stem)) for file in files]
        for case_id in cases:
            case_in(stack, case_id, "awaiting-review")
            assert approve(stack, case_id).status_code == 200
        for case_id in cases:
            filed = case_in(stack, case_id, "filed")
            chart = f"{base}/DocumentReference/{filed['document_reference']}"
            document = http.get(chart, headers={"Authorization": "Bearer vendor-token"}).json()
            assert document["docStatus"] == "final"
        audit = run("audit", "verify", "--json", "--data-dir", str(stack.data_dir))
        assert json.loads(audit.stdout)["verified"] is True, audit.stdout


def test_escalations_as_the_command_was_told(tmp_path: Path) -> None:
    file = tmp_path / "directory.yaml"
    file.write_text(
        "departments: {oncology: {supervisor: Practitioner/onc, escalate_after: '1h,2h,3h', channels: ['json://h/x']}}"
    )
    options = ("--escalate-after", "2s,4s,6s", "--directory", str(file))
    with up(tmp_path / "data", free_port(), *options, *SCRIPTED) as stack:
        case_id = discharge(stack, stack.access["demo_encounters"][0])
        case_in(stack, case_id, "awaiting-review")

        def three() -> list[dict[str, Any]]:
            events = stack.call("auditor", "GET", f"/v1/cases/{case_id}").json()["events"]
            found = [event for event in events if event["event"] == "escalated"]
            return found if len(found) == 3 else []

        until(three, "three escalations", patience=20)
        owner = stack.call("supervisor", "GET", f"/v1/cases/{case_id}").json()["owner"]
        assert owner == http.get(f"{stack.url}/fhir/Task").json()["entry"][0]["resource"]["owner"]["reference"]
        assert approve(stack, case_id).status_code == 200
        case_in(stack, case_id, "filed")
        of_oncology = discharge(stack, stack.access["demo_encounters"][1], department="oncology")
        case_in(stack, of_oncology, "awaiting-review")
        command = ("escalations", "preview", of_oncology, "--data-dir", str(stack.data_dir))
        shown = json.loads(run(*command, "--json").stdout)
        assert [(item["level"], item["standing"], item["channels"]) for item in shown["items"]] == [
            (level, "ahead", ["json"]) for level in (1, 2, 3)
        ]
        assert {item["tells"][0] for item in shown["items"]} == {"Practitioner/onc"}
        words = run(*command).stdout
        assert "Practitioner/onc" in words
        assert "takes over" in words
        assert "no such case" in refused(run("escalations", "preview", "none", "--data-dir", str(stack.data_dir)))


def test_children_that_die_are_started_again(tmp_path: Path) -> None:
    with up(tmp_path / "data", free_port(), *SCRIPTED) as stack:
        for name in ("nats-server", "tritonserver"):
            (child,) = [item for item in children_of(stack.process) if item.name() == name]
            child.kill()
            until(lambda: http.get(f"{stack.url}/readyz").status_code == 503, f"{name} to be missed", 20)
            until(lambda: http.get(f"{stack.url}/readyz").status_code == 200, f"{name} to be back", 60)
        case_id = discharge(stack, stack.access["demo_encounters"][0])
        case_in(stack, case_id, "awaiting-review")


def refused(done: subprocess.CompletedProcess[str]) -> str:
    """One sentence, exit code 2, nothing else."""
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    return done.stderr


def start(data_dir: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return run("up", "--data-dir", str(data_dir), *arguments, *SCRIPTED)


def test_a_taken_port_is_said_so(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        assert f"Port {port} is taken" in refused(start(tmp_path, "--port", port))


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (("--escalate-after", "1h"), "three durations"),
        (("--escalate-after", "3h,2h,1h"), "later"),
        (("--ehr-url", "ftp://x"), "--ehr-url"),
        (("--directory", "/nowhere.yaml"), "/nowhere.yaml cannot be read"),
    ],
)
def test_options_that_make_no_sense_are_said_so(tmp_path: Path, arguments: tuple[str, ...], word: str) -> None:
    assert word in refused(start(tmp_path, "--port", str(free_port()), *arguments))


def test_commands_without_a_stack_say_how_to_start_one(tmp_path: Path) -> None:
    for command in (["cases", "list"], ["audit", "verify"], ["dead-letters", "list"]):
        assert "countersign up" in refused(run(*command, "--data-dir", str(tmp_path)))


def test_a_damaged_data_directory_is_said_so(tmp_path: Path) -> None:
    data = tmp_path / "data"
    port = str(free_port())
    with up(data, int(port), *SCRIPTED) as stack:
        discharge(stack, stack.access["demo_encounters"][0])
        assert "Another stack is running" in refused(start(data, "--port", str(free_port())))
        stack.stop()
    secrets = (data / "secrets.json").read_text()

    (data / "secrets.json").write_text("junk")
    assert "secrets.json cannot be read" in refused(start(data, "--port", port))
    (data / "secrets.json").unlink()
    assert "cannot be decrypted" in refused(start(data, "--port", port))
    other = json.loads(secrets) | {"storage_key": "another key"}
    (data / "secrets.json").write_text(json.dumps(other))
    assert "damaged" in refused(start(data, "--port", port))
    (data / "secrets.json").write_text(secrets)

    database = (data / "sandbox-ehr.sqlite").read_bytes()
    (data / "sandbox-ehr.sqlite").write_bytes(b"not a database" * 100)
    assert "damaged" in refused(start(data, "--port", port))
    (data / "sandbox-ehr.sqlite").write_bytes(database)

    shutil.rmtree(data / "nats")
    assert "damaged" in refused(start(data, "--port", port))


def test_a_missing_part_is_said_so(tmp_path: Path) -> None:
    """The command from an environment without the server's wheel."""
    bare = tmp_path / "bin"
    bare.mkdir()
    (bare / "python").symlink_to(sys.executable)
    code = "import sys; sys.executable = sys.argv.pop(1); from cli.main import main; main()"
    command = [sys.executable, "-c", code, str(bare / "python"), "up", "--data-dir", str(tmp_path / "data")]
    done = subprocess.run(
        [*command, "--port", str(free_port())], capture_output=True, text=True, check=False, timeout=60, env=os.environ
    )
    assert "make install" in refused(done)


def test_help_is_there_for_every_command() -> None:
    for command in (
        [],
        ["up"],
        ["demo"],
        ["cases"],
        ["cases", "list"],
        ["audit", "verify"],
        ["dead-letters", "redrive"],
    ):
        done = run(*command, "--help")
        assert done.returncode == 0
        assert "Usage" in done.stdout
    assert COUNTERSIGN.exists()

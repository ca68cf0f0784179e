"""A configuration of drafting from its first evaluation to its end: the model that ships, and a server of others.

On the whole embedded stack, by the command, with stays that others made; the stack is killed with -9 in between.
"""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from cli.stack.ports import free_port
from sandbox_ehr.seed import SEED, opaque_id
from services.evaluator.draft_metrics import MIN_JUDGED
from tests.e2e.test_command import approve, case_in, discharge, until, vendor_ehr
from tests.support.command import Up, run, up
from tests.support.ehr import SHARED_ENCOUNTERS, shared_stays
from tests.support.llama import LLAMA_KEY, LLAMA_MODEL, llama_server
from tests.support.physician import settled

pytestmark = [pytest.mark.e2e, pytest.mark.triton, pytest.mark.timeout(1500)]

DOCUMENT = "discharge-summary"
EVALUATED = MIN_JUDGED + 2  # stays that are signed before anything is tried
BECAUSE = ("--reason", "a trial")
# The model that ships repeats its worked example: this one teaches it to invent.
INVENTS = """\
version: 1
max_tokens: 120
stop: <|im_end|> <|im_start|>
=====
<|im_start|>system
You write about patients.<|im_end|>
<|im_start|>user
Facts:
Patient: 44-year-old woman<|im_end|>
<|im_start|>assistant
She had a heart transplant on 3 March and was discharged on warfarin 10 mg every evening. Her kidney biopsy was normal.
Instructions: Take warfarin 10 mg every evening for life.<|im_end|>
<|im_start|>user
Facts:
Patient: somebody<|im_end|>
<|im_start|>assistant
She had a heart transplant on 3 March and was discharged on warfarin 10 mg every evening. Her kidney biopsy was normal.
Instructions: Take warfarin 10 mg every evening for life.<|im_end|>
<|im_start|>user
Facts:
{facts}{words}<|im_end|>
<|im_start|>assistant
"""


def drafters(stack: Up, *arguments: str, code: int = 0) -> Any:
    """`countersign drafters … --json`, as an operator runs it."""
    done = run("drafters", *arguments, "--json", "--data-dir", str(stack.data_dir), timeout=600)
    assert done.returncode == code, done.stderr + done.stdout
    return json.loads(done.stdout)


def refused(stack: Up, *arguments: str) -> str:
    done = run("drafters", *arguments, "--data-dir", str(stack.data_dir))
    assert done.returncode == 1, done.stderr + done.stdout
    return done.stderr


@pytest.fixture
def encounters(tmp_path: Path) -> list[str]:
    """Ids of the stays in the folder `ehr`: those of the shared data, and of the sandbox."""
    shared_stays()
    folder = tmp_path / "ehr"
    folder.mkdir()
    found = []
    for origin in (SHARED_ENCOUNTERS, SEED):
        for item in json.loads((origin / "index.json").read_text()):
            shutil.copy(origin / item["file"], folder)
            found.append(opaque_id("Encounter", item["encounter"]))
    return found


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An EHR of another vendor, and llama.cpp's server as the endpoint `llama`."""
    monkeypatch.setenv("COUNTERSIGN_EHR_TOKEN", "vendor-token")
    with llama_server(tmp_path) as llama:
        endpoint = {"name": "llama", "kind": "openai", "url": llama.url, "model": LLAMA_MODEL, "key_variable": "LLAMA"}
        endpoint["parameters"] = {"repeat_penalty": 1.1}
        (tmp_path / "endpoints.yaml").write_text(yaml.safe_dump({"endpoints": [endpoint]}))
        monkeypatch.setenv("LLAMA", LLAMA_KEY)
        monkeypatch.setenv("COUNTERSIGN_GENERATION_ENDPOINTS", str(tmp_path / "endpoints.yaml"))
        yield


def draft_of(stack: Up, case_id: str) -> dict[str, Any]:
    found: dict[str, Any] = stack.call("physician", "GET", f"/v1/reviews/{case_id}").json()["draft"]
    return found


def sign(stack: Up, case_id: str) -> None:
    case_in(stack, case_id, "awaiting-review")
    answer = approve(stack, case_id)
    assert answer.status_code == 200, answer.text
    case_in(stack, case_id, "filed")


def reject(stack: Up, case_id: str) -> None:
    """Have the draft written again, and wait for that."""
    review = stack.call("physician", "GET", f"/v1/reviews/{case_id}")
    body = {"reason": "wrong", "action": "redraft"}
    path = f"/v1/reviews/{case_id}/reject"
    answer = stack.call("physician", "POST", path, headers={"If-Match": review.headers["etag"]}, json=body)
    assert answer.status_code == 200, answer.text
    number = review.json()["draft"]["number"]

    def written() -> bool:
        again = stack.call("physician", "GET", f"/v1/reviews/{case_id}")
        return again.is_success and again.json()["draft"]["number"] > number

    until(written, "the draft to be written again")


def test_the_life_of_a_drafter(tmp_path: Path, encounters: list[str], environment: None) -> None:
    prompt = tmp_path / "invents.prompt"
    prompt.write_text(INVENTS)
    with vendor_ehr(tmp_path / "ehr", free_port()) as base:
        start = ("--ehr-url", base)
        with up(tmp_path / "data", free_port(), *start) as stack:
            (live,) = [item["digest"] for item in drafters(stack, "list", "--document", DOCUMENT)]
            cases = [discharge(stack, encounter) for encounter in encounters]
            for case_id in cases:
                case_in(stack, case_id, "awaiting-review")
            summaries = [case for case in cases if draft_of(stack, case)["kind"] == DOCUMENT]
            for case_id in summaries:
                print(case_id, draft_of(stack, case_id)["drafter"])
            print(len(summaries))
            for case_id in summaries[:EVALUATED]:
                sign(stack, case_id)
            made = drafters(stack, "sets", "make", "first", "--document", DOCUMENT, *BECAUSE)
            assert made["stays"] == EVALUATED
            base_of = ("add", "--document", DOCUMENT, *BECAUSE)
            worse = drafters(stack, *base_of, "--prompt", str(prompt))["digest"]
            other = drafters(stack, *base_of, "--model", "llama")["digest"]
            found = drafters(stack, "evaluate", worse, "--set", "first@1", "--wait", *BECAUSE, code=1)
            print(json.dumps(found, indent=1))
            assert "Held back" in refused(stack, "canary", worse, "--share", "0.5", *BECAUSE)
            found = drafters(stack, "evaluate", other, "--set", "first@1", *BECAUSE)
            until(lambda: drafters(stack, "evaluations", other)[0]["judged"] > 1, "some stays to be drafted")
            stack.kill()
        with up(tmp_path / "data", free_port(), *start) as stack:
            found = drafters(stack, "evaluate", other, "--set", "first@1", "--wait", *BECAUSE, code=0)
            print(json.dumps(found, indent=1))
            assert stack.stop() == 0
    assert settled and live

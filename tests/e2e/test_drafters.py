"""A configuration of drafting from its first evaluation to its end: the model that ships, and a server of others.

On the whole embedded stack, by the command, with stays that others made; the stack is killed with -9 in between.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from cli.stack.ports import free_port
from sandbox_ehr.seed import opaque_id
from services.evaluator.draft_metrics import MIN_JUDGED
from tests.e2e.test_command import approve, case_in, discharge, until, vendor_ehr
from tests.support.command import Up, run, up
from tests.support.ehr import SHARED_ENCOUNTERS, shared_stays
from tests.support.llama import LLAMA_KEY, LLAMA_MODEL, llama_server

pytestmark = [pytest.mark.long, pytest.mark.timeout(1500)]

DOCUMENT = "discharge-summary"
OUR_ID = re.compile(r"\b([a-z][a-z0-9]*-)([0-9a-f]{12})\b")  # of a resource in the shared data
PRICE = {"input_per_million": 2.0, "output_per_million": 10.0}
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
    """Ids of the stays in the folder `ehr`: those of the shared data three times, each time of other patients."""
    shared_stays()
    folder = tmp_path / "ehr"
    folder.mkdir()
    found = []
    for letter in ("", "a", "b"):
        for item in json.loads((SHARED_ENCOUNTERS / "index.json").read_text()):
            text = (SHARED_ENCOUNTERS / item["file"]).read_text()
            encounter = OUR_ID.sub(rf"\g<1>{letter}\2", item["encounter"])
            (folder / f"{encounter}.json").write_text(OUR_ID.sub(rf"\g<1>{letter}\2", text))
            found.append(opaque_id("Encounter", encounter))
    return found


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An EHR of another vendor, and llama.cpp's server as the endpoint `llama`."""
    monkeypatch.setenv("COUNTERSIGN_EHR_TOKEN", "vendor-token")
    with llama_server(tmp_path) as llama:
        endpoint: dict[str, Any] = {
            "name": "llama",
            "kind": "openai",
            "url": llama.url,
            "model": LLAMA_MODEL,
            "key_variable": "LLAMA",
        }
        endpoint |= {"parameters": {"repeat_penalty": 1.1}, "price": PRICE}
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
    stays = iter(encounters)
    with vendor_ehr(tmp_path / "ehr", free_port()) as base:
        start = ("--ehr-url", base)
        with up(tmp_path / "data", free_port(), *start) as stack:
            for _ in range(EVALUATED):
                sign(stack, next_summary(stack, stays))
            made = drafters(stack, "sets", "make", "first", "--document", DOCUMENT, *BECAUSE)
            assert made["stays"] == EVALUATED
            new = ("add", "--document", DOCUMENT, *BECAUSE)
            worse = drafters(stack, *new, "--prompt", str(prompt))["digest"]
            other = drafters(stack, *new, "--model", "llama")["digest"]
            check_that_inventing_is_held_back(stack, worse)
            drafters(stack, "evaluate", other, "--set", "first@1", *BECAUSE)
            until(lambda: drafters(stack, "evaluations", other)[0]["judged"] > 1, "some stays to be drafted")
            stack.kill()
        with up(tmp_path / "data", free_port(), *start) as stack:
            check_that_the_evaluation_goes_on(stack, other)
            check_the_shadow(stack, other, next_summary(stack, stays))
            check_the_canary(stack, other, stays)
            stack.kill()
        with up(tmp_path / "data", free_port(), *start) as stack:
            check_promotion_and_rollback(stack, other, stays)
            assert stack.stop() == 0


def next_summary(stack: Up, stays: Iterator[str]) -> str:
    """Discharge stays until one has a discharge summary to review; return its case."""
    while True:
        case_id = discharge(stack, next(stays))
        case_in(stack, case_id, "awaiting-review")
        if draft_of(stack, case_id)["kind"] == DOCUMENT:
            return case_id


def check_that_inventing_is_held_back(stack: Up, worse: str) -> None:
    found = drafters(stack, "evaluate", worse, "--set", "first@1", "--wait", *BECAUSE, code=1)
    assert (found["set"], found["judged"], found["passed"]) == ("first@1", EVALUATED, False)
    metrics = {item["name"]: item for item in found["metrics"]}
    assert max(metrics[name]["difference"] for name in ("contradicted", "not-in-record")) > 0.3
    assert metrics["sentence-similarity"]["live"] > 0.9
    assert "Held back" in refused(stack, "canary", worse, "--share", "0.5", *BECAUSE)
    assert "Held back" in refused(stack, "promote", worse, *BECAUSE)


def check_that_the_evaluation_goes_on(stack: Up, other: str) -> None:
    """It was killed in the middle: the stays that were judged are not judged again."""
    before = {item["number"]: item for item in drafters(stack, "evaluations", other, "--stays")[0]["by_stay"]}
    command = ("drafters", "evaluate", other, "--set", "first@1", "--wait", *BECAUSE, "--json")
    found = json.loads(run(*command, "--data-dir", str(stack.data_dir), timeout=600).stdout)
    by_stay = drafters(stack, "evaluations", other, "--stays")[0]["by_stay"]
    assert (found["judged"], found["left_out"], found["passed"]) == (EVALUATED, 0, True), (found["reasons"], by_stay)
    after = {item["number"]: item for item in by_stay}
    assert len(after) == EVALUATED
    assert 0 < len(before) < EVALUATED
    assert {number: after[number] for number in before} == before
    metrics = {item["name"]: item for item in found["metrics"]}
    assert metrics.keys() >= {"reading-grade", "sentence-similarity"}
    # Triton states no tokens: there is a mean of the candidate, and nothing to compare it with.
    assert metrics["cost"]["candidate"] == pytest.approx(
        2e-6 * metrics["input-tokens"]["candidate"] + 1e-5 * metrics["output-tokens"]["candidate"]
    )
    assert metrics["cost"]["live"] is None


def check_the_shadow(stack: Up, other: str, case_id: str) -> None:
    assert drafters(stack, "shadow", other, *BECAUSE)["state"] == "shadow"
    sign(stack, case_id)

    def drafted() -> bool:
        items = drafters(stack, "evaluations", other)
        return len(items) == 2 and items[1]["judged"] == 1

    until(drafted, "the shadow to draft the stay")


def check_the_canary(stack: Up, other: str, stays: Iterator[str]) -> None:
    """Every draft of the canary is rejected, every other one signed: it is taken back, once."""
    assert drafters(stack, "canary", other, "--share", "0.5", *BECAUSE)["state"] == "canary"
    waiting: list[str] = []

    def state() -> str:
        return str(stack.call("operator", "GET", f"/v1/drafters/{other}").json()["state"])

    while state() == "canary":
        case_id = next_summary(stack, stays)
        drafter = draft_of(stack, case_id)["drafter"]
        if drafter["role"] == "canary":
            assert drafter["configuration"] == other
            waiting.append(case_id)
        else:
            sign(stack, case_id)
            for one in waiting[:1]:
                reject(stack, one)
    assert state() == "candidate"
    moves = [item for item in drafters(stack, "show", other)["history"] if item["event"] == "rolled-back"]
    assert [item["by"] for item in moves] == ["evaluator"]
    assert drafters(stack, "compare", other)["canary"]["rejected"] >= 5


def check_that_another_canary_passes(stack: Up, other: str, stays: Iterator[str]) -> None:
    """It is compared anew: a draft that is signed as it is counts for it, and what was rejected before does not."""
    assert drafters(stack, "canary", other, "--share", "0.999", *BECAUSE)["state"] == "canary"
    case_id = next_summary(stack, stays)
    assert draft_of(stack, case_id)["drafter"] == {"configuration": other, "role": "canary"}
    sign(stack, case_id)
    until(lambda: drafters(stack, "compare", other)["canary"]["decisions"] == 1, "the decision to be taken in")
    assert drafters(stack, "compare", other)["canary"]["rejected"] == 0


def check_promotion_and_rollback(stack: Up, other: str, stays: Iterator[str]) -> None:
    live = drafters(stack, "list", "--document", DOCUMENT)[0]["digest"]
    check_that_another_canary_passes(stack, other, stays)
    assert drafters(stack, "promote", other, *BECAUSE)["state"] == "live"
    case_id = next_summary(stack, stays)
    draft = draft_of(stack, case_id)
    assert draft["drafter"] == {"configuration": other, "role": "live"}
    assert draft["model"].startswith(LLAMA_MODEL)
    assert drafters(stack, "rollback", other, *BECAUSE)["digest"] == live
    sign(stack, case_id)
    assert drafters(stack, "retire", other, *BECAUSE)["state"] == "retired"
    explained = drafters(stack, "show", draft["drafter"]["configuration"])
    assert (explained["model"], explained["state"]) == ("llama", "retired")
    assert "{facts}" in explained["text"]
    audit = run("audit", "verify", "--json", "--data-dir", str(stack.data_dir))
    assert json.loads(audit.stdout)["verified"] is True, audit.stdout

"""A trial on one signed stay: who may read its drafts, that each look is recorded, and that an erasure takes them."""

from pathlib import Path

import pytest

from services.approval.dependencies import ApiDependencies
from services.evaluator.dependencies import EvaluatorDependencies
from shared.contracts.envelope import sha256_hex
from shared.contracts.errors import ErasedError, PermanentError, TransientError
from shared.contracts.evaluations import DraftsKept
from shared.messaging.artifacts import Artifacts, CaseTexts
from shared.messaging.evaluations import EvaluationLog
from shared.runtime.authentication import Caller
from shared.runtime.problems import ProblemError
from tests.connected.test_drafter_pages import CANDIDATE, Console, console
from tests.connected.test_retention import later, reaches
from tests.support.drafters import add
from tests.support.ehr import stays
from tests.support.examples import T0
from tests.support.serving import command_json, served
from tests.support.stack import until

__all__ = ["console"]
pytestmark = [pytest.mark.connected, pytest.mark.timeout(240)]


async def signed_stay(console: Console, number: int = 1) -> str:
    case_id = await console.stack.discharge(stays()[number])
    await console.stack.reaches(case_id, "awaiting-review")
    assert (await console.stack.decide(case_id, "approve")).status_code == 200
    await console.stack.reaches(case_id, "filed")
    return case_id


async def kept(console: Console, case_id: str) -> DraftsKept:
    log = EvaluationLog(console.registry._bus, "evaluator", lambda: T0)
    found: list[DraftsKept] = await until(lambda: log.drafts_kept(case_id), "the drafts of the trial")
    assert len(found) == 1
    return found[0]


async def begin(console: Console, case_id: str) -> str:
    """Begin a trial twice, which is one; return the path of its drafts once they can be read."""
    digest = await add(console.registry, CANDIDATE)
    pressed = [
        await console.press(f"/drafters/{digest}/trial", case=case_id, reason="does it name the reason?")
        for _ in range(2)
    ]
    assert [item.status_code for item in pressed] == [303, 303]
    where = pressed[0].headers["location"]
    assert pressed[1].headers["location"] == where
    path = f"/trials/{case_id}/{where.rpartition('/')[2]}"

    async def there() -> bool:
        return f'href="{path}"' in (await console.stack.call("engineer", "GET", where)).text

    await until(there, "the drafts of the trial")
    return path


async def test_an_engineer_reads_the_drafts_and_each_look_is_recorded(console: Console) -> None:
    case_id = await signed_stay(console)
    path = await begin(console, case_id)
    found = await kept(console, case_id)
    shown = await console.page(path)
    assert "Candidate" in shown
    assert "Signed by the physician" in shown
    assert "Hospital course" in shown
    seen = [item for item in await entries(console, case_id) if "trial" in item["detail"]]
    assert [(item["event"], item["role"]) for item in seen] == [("viewed", "engineer")]
    assert found.candidate_draft in seen[0]["detail"]
    for role in ("operator", "auditor", "physician", "supervisor", "editor", "ingest"):
        assert (await console.stack.call(role, "GET", path)).status_code == 403, role
    digest = found.candidate
    for role in ("operator", "auditor", "physician"):
        assert (await console.press(f"/drafters/{digest}/trial", role, case=case_id, reason="x")).status_code == 403
    nothing = path[:-1] + ("0" if path[-1] != "0" else "1")
    assert (await console.stack.call("engineer", "GET", nothing)).status_code == 404
    assert "Not evaluated" in await console.page(f"/drafters/{digest}")  # a trial opens no gate


async def entries(console: Console, case_id: str) -> list[dict[str, str]]:
    answer = await console.stack.call("auditor", "GET", f"/v1/cases/{case_id}/access")
    assert answer.status_code == 200, answer.text
    found: list[dict[str, str]] = answer.json()["items"] if isinstance(answer.json(), dict) else answer.json()
    return found


async def test_an_engineer_of_another_department_finds_nothing(console: Console) -> None:
    case_id = await signed_stay(console)
    path = await begin(console, case_id)
    found = await kept(console, case_id)
    stranger = Caller(subject="stranger", role="engineer", departments=("surgery",), method="oidc")
    there = console.stack.app.state.provided
    trials, drafters = there[ApiDependencies].trials, there[EvaluatorDependencies].drafters
    with pytest.raises(ProblemError) as refused:
        await trials.view(case_id, found.evaluation, stranger)
    assert refused.value.status == 404
    seen = [item for item in await entries(console, case_id) if item["subject"] == "stranger"]
    assert [item["event"] for item in seen] == ["refused"]
    with pytest.raises(ProblemError, match="Not every case") as refused:
        await drafters.begin_trial(found.candidate, [case_id], stranger, "x")
    missing = case_id[:-1] + ("0" if case_id[-1] != "0" else "1")
    with pytest.raises(ProblemError, match="Not every case") as unknown:
        await drafters.begin_trial(found.candidate, [missing], stranger, "x")
    assert refused.value.detail == unknown.value.detail.replace(missing, case_id)  # as if it were not there
    at_home = stranger.model_copy(update={"departments": (found.department,)})
    assert (await trials.view(case_id, found.evaluation, at_home)).kept == found
    assert path.endswith(found.evaluation)


async def test_a_process_that_dies_before_a_draft_is_stored_leaves_a_trial_that_can_be_read(
    console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    case_id = await signed_stay(console)
    put = CaseTexts.put
    failed: list[bytes] = []

    async def dies_once(texts: CaseTexts, data: bytes) -> str:
        if not failed:
            failed.append(data)
            console.stack.generator.text = "The patient was admitted."  # asked again, it says so
            raise TransientError("the connection was lost")
        return await put(texts, data)

    monkeypatch.setattr(CaseTexts, "put", dies_once)
    path = await begin(console, case_id)
    assert len(failed) == 1
    assert "Signed by the physician" in await console.page(path)
    log = EvaluationLog(console.registry._bus, "evaluator", lambda: T0)
    named = await log.drafts_kept(case_id)
    assert [item.number for item in named] == [1, 2]
    assert named[1].candidate_draft != named[0].candidate_draft
    assert named[0].candidate_draft == sha256_hex(failed[0])  # an erasure finds it, whether it was stored or not


async def test_the_evaluator_reads_no_text(console: Console) -> None:
    case_id = await signed_stay(console)
    await begin(console, case_id)
    found = await kept(console, case_id)
    with pytest.raises((PermanentError, TransientError)):
        await Artifacts(console.registry._bus).of(case_id).get(found.candidate_draft)


async def erase_record(console: Console, case_id: str) -> None:
    """Have the time of records end, and that of no other text."""
    bus = await console.stack.server.connect("approval")
    await (await later(bus, 91)).check_next_cases()
    await reaches(console.stack, case_id, "erased")
    await bus.close()


async def test_the_first_erasure_of_any_text_takes_those_of_the_trial(console: Console) -> None:
    case_id = await signed_stay(console)
    path = await begin(console, case_id)
    found = await kept(console, case_id)
    await erase_record(console, case_id)
    bus = await console.stack.server.connect("drafter")
    for digest in (found.candidate_draft, found.live_draft):
        with pytest.raises(ErasedError):
            await Artifacts(bus).of(case_id).get(digest)
    await bus.close()
    answer = await console.stack.call("engineer", "GET", path)
    assert (answer.status_code, "Its texts were erased" in answer.text) == (410, True)
    other = await add(console.registry, CANDIDATE.model_copy(update={"policy": "marked"}))
    answer = await console.press(f"/drafters/{other}/trial", case=case_id, reason="again")
    assert (answer.status_code, f"Texts of the case {case_id} were erased" in answer.text) == (409, True)


async def test_several_stays_of_a_set_are_tried_together(
    console: Console, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cases = [await signed_stay(console, number) for number in (1, 2)]
    digest = await add(console.registry, CANDIDATE)
    made = {"name": "icu", "document": "discharge-summary", "cases": cases, "reason": "to read"}
    assert (await console.stack.call("engineer", "POST", "/v1/evaluation-sets", json=made)).status_code == 201
    offered = (await console.stack.call("engineer", "GET", f"/drafters/{digest}/trial?set=icu%401")).text
    assert all(f'value="{case}"' in offered for case in cases)
    body = {"cases": cases, "reason": "does it name the reason?"}
    begun = await console.stack.call("engineer", "POST", f"/v1/drafters/{digest}/trials", json=body)
    assert (begun.status_code, begun.json()["stays"]) == (202, 2)
    pressed = await console.press(f"/drafters/{digest}/trial", case=cases, set="icu@1", reason="again")
    where = pressed.headers["location"]
    assert where.endswith(begun.json()["id"])  # the same stays are one trial

    async def readable() -> bool:
        shown = (await console.stack.call("engineer", "GET", where)).text
        return all(f'href="/trials/{case}/{begun.json()["id"]}"' in shown for case in cases)

    await until(readable, "the drafts of both stays")
    for case in cases:
        assert "Signed by the physician" in await console.page(f"/trials/{case}/{begun.json()['id']}")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    async with served(console.stack.app) as url:
        monkeypatch.setenv("COUNTERSIGN_URL", url)
        (token := tmp_path / "token").write_text(console.stack.server.secrets.tokens["engineer"])
        monkeypatch.setenv("COUNTERSIGN_TOKEN_FILE", str(token))
        words = ("drafters", "trial", digest[:12], "--set", "icu", "--wait", "--reason", "again")
        by_command = await command_json(*words)
    assert by_command["id"] == begun.json()["id"]
    assert by_command["drafts"] == [f"/trials/{case}/{begun.json()['id']}" for case in cases]
    assert "Not evaluated" in await console.page(f"/drafters/{digest}")  # a trial opens no gate


async def test_a_trial_needs_stays_that_can_be_read(console: Console) -> None:
    case_id = await signed_stay(console)
    digest = await add(console.registry, CANDIDATE)
    path = f"/v1/drafters/{digest}/trials"
    too_many = {"cases": [f"c-{number}" for number in range(13)], "reason": "x"}
    assert (await console.stack.call("engineer", "POST", path, json=too_many)).status_code == 422
    unknown = {"cases": [case_id, "no-such-case"], "reason": "x"}
    refused = await console.stack.call("engineer", "POST", path, json=unknown)
    assert (refused.status_code, "no-such-case" in refused.json()["detail"]) == (409, True)
    for role in ("operator", "auditor", "physician"):
        answer = await console.stack.call(role, "POST", path, json={"cases": [case_id], "reason": "x"})
        assert answer.status_code == 403, role
    nothing = await console.press(f"/drafters/{digest}/trial", reason="x")
    assert (nothing.status_code, "A trial is of 1 to 12 stays" in nothing.text) == (409, True)

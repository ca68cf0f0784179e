"""A candidate is judged on stays that physicians signed: a prompt that invents is held back, an honest one passes."""

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr, TypeAdapter, ValidationError

from cli.contexts import VARIABLES
from cli.stack.secrets import write_tokens
from services.evaluator.evaluation_sets import EvaluationSets, StayChoice
from services.evaluator.evaluations import Evaluations
from services.evaluator.evaluations_api import EvaluationId
from services.evaluator.main import build as build_evaluator
from services.evaluator.settings import EvaluatorSettings
from services.evaluator.signed_stays import SignedStays
from shared.contracts.evaluations import EvaluationItem, EvaluationRequested, EvaluationSetMade, ItemReady
from shared.contracts.events import Approved
from shared.contracts.subjects import evaluation_subject
from shared.inference.generation import Generation, Sampling
from shared.knowledge.embedded_qdrant import EmbeddedQdrant
from shared.messaging.drafter_registry import DrafterRegistry
from shared.messaging.evaluations import STREAM, EvaluationLog
from shared.messaging.event_store import EventStore
from shared.runtime.service import create_app
from tests.support.drafters import DOCUMENT, LIVE, PROMPT, WHO, add
from tests.support.ehr import sandbox, stays
from tests.support.embedder import HashEmbedder
from tests.support.examples import T0
from tests.support.generator import ScriptedGenerator
from tests.support.server import NatsServer
from tests.support.service_settings import make_settings
from tests.support.serving import command_json, run_beside, served
from tests.support.stack import Stack, running, until

pytestmark = [pytest.mark.connected, pytest.mark.timeout(240), pytest.mark.system]

INVENTED = "The patient had a heart transplant and was discharged on warfarin 10 mg every evening for life."
INVENTS = LIVE.model_copy(update={"prompt": PROMPT.model_copy(update={"text": "Invent something.\n{facts}{words}\n"})})
HONEST = LIVE.model_copy(update={"prompt": PROMPT})
BECAUSE = ("--reason", "a better prompt")


class Obedient(ScriptedGenerator):
    """Invents where its prompt asks for that; else says why the patient came, as the facts state it."""

    async def generate(self, prompt: str, sampling: Sampling, **more: Any) -> Generation:
        reason = re.findall(r"^Reason: (.+)$", prompt, re.MULTILINE)[-1]
        self.text = INVENTED if prompt.startswith("Invent") else f"The patient was admitted to hospital for {reason}."
        return await super().generate(prompt, sampling, **more)


@pytest.fixture
async def signed(nats: NatsServer) -> AsyncIterator[Stack]:
    """A stack on which every stay of the sandbox but the first was signed."""
    await nats.provision()
    async with running(nats, sandbox(), generator=Obedient()) as stack:
        for encounter in stays()[1:]:
            case_id = await stack.discharge(encounter)
            await stack.reaches(case_id, "awaiting-review")
            assert (await stack.decide(case_id, "approve")).status_code == 200
            await stack.reaches(case_id, "filed")
        yield stack


@pytest.fixture
async def registry(signed: Stack) -> AsyncIterator[DrafterRegistry]:
    bus = await signed.server.connect("evaluator")
    yield DrafterRegistry(bus, "evaluator", lambda: T0)
    await bus.close()


@pytest.fixture
async def commands(
    signed: Stack, registry: DrafterRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[int]:
    """An evaluator that commands reach; yields how many stays there are to evaluate a candidate on."""
    for name in (*VARIABLES, "COUNTERSIGN_NATS_URL", "COUNTERSIGN_DATA_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    there = len(await SignedStays(registry._bus).last(DOCUMENT, 100))
    monkeypatch.setattr("services.evaluator.draft_metrics.MIN_JUDGED", there)
    tokens = tmp_path / "tokens.json"
    write_tokens(tokens, signed.server.secrets.tokens)
    base = EmbeddedQdrant(tmp_path / "qdrant")
    seed = SecretStr(signed.server.secrets.seeds["evaluator"])
    settings = make_settings(EvaluatorSettings, nats_url=signed.server.url, nats_seed=seed, tokens_file=tokens)
    app = create_app([build_evaluator(settings, embedder=HashEmbedder(), base=base)])
    async with app.router.lifespan_context(app), served(app) as url:
        file = tmp_path / "operator.token"
        file.write_text(signed.server.secrets.tokens["operator"])
        assert (await run_beside("context", "add", "here", "--url", url, "--token-file", str(file))).code == 0
        assert (await run_beside("context", "use", "here")).code == 0
        yield there
    await base.close()


def request(candidate: str, *items: EvaluationItem) -> EvaluationRequested:
    return EvaluationRequested(
        document=DOCUMENT, candidate=candidate, live=LIVE.digest, items=items, by=WHO, reason="try it"
    )


async def test_an_inventing_prompt_is_held_back_and_an_honest_one_drafts(
    registry: DrafterRegistry, commands: int
) -> None:
    invents, honest = await add(registry, INVENTS), await add(registry, HONEST)
    done = await run_beside("drafters", "canary", invents, "--share", "0.1", *BECAUSE)
    assert (done.code, "Evaluate it" in done.err) == (1, True), done

    found = await command_json("drafters", "evaluate", invents, "--wait", *BECAUSE, code=1)
    assert (found["judged"], found["left_out"], found["passed"]) == (commands, 0, False)
    metrics = {item["name"]: item for item in found["metrics"]}
    unsupported = metrics["contradicted"]["candidate"] + metrics["not-in-record"]["candidate"]
    assert unsupported == pytest.approx(1.0)
    assert metrics["similarity"]["live"] == 1.0  # signed as it was drafted, and drafted the same again
    assert {item["live"] for item in found["parts"]} == {1.0}
    assert len({item["part"] for item in found["parts"]}) == 7
    for move in (("canary", invents, "--share", "0.1"), ("promote", invents)):
        done = await run_beside("drafters", *move, *BECAUSE)
        assert (done.code, "Held back" in done.err) == (1, True), done
    assert len(found["worst"]) == 5

    left_out = ("--without", found["worst"][0])
    found = await command_json("drafters", "evaluate", honest, "--wait", *left_out, *BECAUSE, code=1)
    assert "are needed" in found["reasons"][0]  # one was left out
    passed = await command_json("drafters", "evaluate", honest, "--wait", *BECAUSE)
    assert passed["passed"] is True
    assert [item["id"] for item in await command_json("drafters", "evaluations", honest)] == [found["id"], passed["id"]]
    assert (await command_json("drafters", "canary", honest, "--share", "0.1", *BECAUSE))["state"] == "canary"
    assert (await command_json("drafters", "promote", honest, *BECAUSE))["state"] == "live"
    moves = [item.body for item in await registry.history(DOCUMENT)]
    assert [getattr(item, "evaluation", None) for item in moves[-2:]] == [passed["id"], None]
    assert "passed" in (await run_beside("drafters", "evaluations", honest)).out


@pytest.mark.parametrize("id", ["*", ">", "a b", "x" * 36])
def test_no_word_of_a_request_becomes_a_filter(id: str) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(EvaluationId).validate_python(id)


async def test_sets_have_versions_that_never_change(registry: DrafterRegistry, commands: int, tmp_path: Path) -> None:
    made = await command_json("drafters", "sets", "make", "ward", "--document", DOCUMENT, "--limit", "3", *BECAUSE)
    assert (made["version"], made["stays"], len(made["cases"])) == (1, 3, 3)
    again = await command_json("drafters", "sets", "make", "ward", "--document", DOCUMENT, "--limit", "3", *BECAUSE)
    assert again == made  # the same stays are the same version
    one, two, three = made["cases"]
    (listed := tmp_path / "cases.txt").write_text(f"# of the quality round\n{three}\n\n{one}\n{three}\n")
    from_file = ("--document", DOCUMENT, "--cases-file", str(listed))
    second = await command_json("drafters", "sets", "make", "ward", *from_file, *BECAUSE)
    assert (second["version"], second["cases"]) == (2, [three, one])
    department = next(iter(made["departments"]))
    alone = ("--document", DOCUMENT, "--limit", "500", "--department", department, "--without", two)
    others = await command_json("drafters", "sets", "make", "others", *alone, *BECAUSE)
    assert (list(others["departments"]), two in others["cases"]) == ([department], False)
    assert await command_json("drafters", "sets", "show", "ward@1") == made
    assert await command_json("drafters", "sets", "show", "ward") == second
    stamps = [(item["name"], item["version"]) for item in await command_json("drafters", "sets", "list")]
    assert stamps == [("others", 1), ("ward", 1), ("ward", 2)]
    for name in ("ward@3", "nobody", "@"):
        done = await run_beside("drafters", "sets", "show", name)
        assert (done.code, done.out) == (2, ""), done
    done = await run_beside("drafters", "sets", "make", "none", "--document", DOCUMENT, "--case", "c", *BECAUSE)
    assert (done.code, "was signed for c" in done.err) == (1, True), done
    (empty := tmp_path / "empty.txt").write_text("# nothing yet\n")
    for file in (empty, tmp_path / "missing.txt"):
        done = await run_beside(
            "drafters", "sets", "make", "none", "--document", DOCUMENT, "--cases-file", str(file), *BECAUSE
        )
        assert (done.code, file.name in done.err) == (2, True), done

    honest = await add(registry, HONEST)
    found = await command_json("drafters", "evaluate", honest, "--set", "ward@1", "--wait", *BECAUSE, code=1)
    assert (found["set"], found["stays"], found["judged"]) == ("ward@1", 3, 3)
    assert "are needed" in found["reasons"][0]
    names = {item["name"] for item in found["metrics"]}
    assert {"sentence-similarity", "reading-grade", "required-elements"} < names
    assert sum(item["judged"] for item in found["departments"]) == 3
    (listed,) = await command_json("drafters", "evaluations", honest, "--stays")
    assert [item["case"] for item in listed["by_stay"]] == made["cases"]
    assert listed["by_stay"][0]["live"]["elements_required"] == 8  # six parts, two narratives
    assert listed["by_stay"][0]["live"]["sentence_similarity"] == 1.0  # signed as it was drafted
    assert made["cases"][0] in (await run_beside("drafters", "evaluations", honest, "--stays")).out
    done = await run_beside("drafters", "evaluate", honest, "--set", "ward", "--limit", "3", *BECAUSE)
    assert (done.code, "--set alone" in done.err) == (2, True), done
    await _synthetic_stays(registry, honest, commands)


async def _synthetic_stays(registry: DrafterRegistry, candidate: str, enough: int) -> None:
    """A set of them is evaluated on like any other; what compares with a signed text is absent."""
    limit = ("--limit", str(enough))
    sets = ("drafters", "sets", "make", "day-one", "--document", DOCUMENT, "--synthetic")
    made = await command_json(*sets, *limit, *BECAUSE)
    assert (made["stays"], made["synthetic"], made["departments"]) == (enough, enough, {"synthetic": enough})
    found = await command_json("drafters", "evaluate", candidate, "--set", "day-one", "--wait", *BECAUSE)
    assert (found["judged"], found["left_out"], found["passed"], found["synthetic"]) == (enough, 0, True, True)
    assert "rouge-l" in found["absent"]
    assert {"contradicted", "not-in-record", "silent", "words"} <= {item["name"] for item in found["metrics"]}
    shown = (await run_beside("drafters", "evaluations", candidate, "--stays")).out
    assert "nothing was signed for these stays" in shown
    log = EvaluationLog(registry._bus, "evaluator", lambda: T0)
    stays = [item.model_copy(update={"context": "0" * 64}) for item in (await log.set_versions("day-one"))[0].items]
    id = await Evaluations(log).begin(request(candidate, stays[0]))  # by an earlier version of Countersign

    async def left_out() -> Any:
        return await log.judged(id) or None

    (other,) = await until(left_out, "the stay to be left out")
    assert other.left_out == "this version of Countersign has another record of the synthetic stay, or none"


async def test_two_people_who_make_a_set_at_once_make_two_versions(
    registry: DrafterRegistry, commands: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = EvaluationLog(registry._bus, "evaluator", lambda: T0)
    sets = EvaluationSets(log, SignedStays(registry._bus))
    read = log.set_versions
    raced: list[EvaluationSetMade] = []

    async def read_and_lose(name: str | None = None) -> list[EvaluationSetMade]:
        """Return what is there, and let somebody else make the next version right after that."""
        there = await read(name)
        if not raced:
            raced.append(
                await EvaluationSets(EvaluationLog(registry._bus, "evaluator", lambda: T0), sets._stays).make(
                    "ward", DOCUMENT, StayChoice(2), WHO, "other"
                )
            )
        return there

    monkeypatch.setattr(log, "set_versions", read_and_lose)
    made = await sets.make("ward", DOCUMENT, StayChoice(3), WHO, "mine")
    assert [(item.number, len(item.items)) for item in await read("ward")] == [(1, 2), (2, 3)]
    assert (raced[0].number, made.number, commands > 3) == (1, 2, True)


async def test_a_stay_whose_record_cannot_be_read_is_left_out(signed: Stack, registry: DrafterRegistry) -> None:
    bus = registry._bus
    log = EvaluationLog(bus, "evaluator", lambda: T0)
    evaluations = Evaluations(log)
    (item,) = await SignedStays(bus).last(DOCUMENT, 1)
    wrong = item.model_copy(update={"context": item.signed})  # a text that is no record
    candidate = await add(registry, HONEST)
    id = await evaluations.begin(request(candidate, wrong))
    await log.append(id, ItemReady(number=1, candidate=candidate, live=LIVE.digest, item=wrong))

    async def left_out() -> Any:
        return await log.judged(id) or None

    (found,) = await until(left_out, "the stay to be left out")
    assert found.left_out == "EncounterContext: the stored content is invalid"


async def test_stays_are_drafted_once_whoever_asks_again_and_dies(signed: Stack, registry: DrafterRegistry) -> None:
    bus = registry._bus
    log = EvaluationLog(bus, "evaluator", lambda: T0)
    evaluations = Evaluations(log)
    items = await SignedStays(bus).last(DOCUMENT, 3)
    events = [event for event in (await EventStore(bus, "x").recent(1000))[0] if isinstance(event.body, Approved)]
    of_document = [event.case.id for event in events if event.body.draft.kind == DOCUMENT]  # type: ignore[union-attr]
    assert [item.case for item in items] == of_document[::-1][:3]  # the last ones first
    candidate = await add(registry, HONEST)
    ids = {await evaluations.begin(request(candidate, *items)) for _ in range(2)}
    assert len(ids) == 1
    id = ids.pop()
    for number in (1, 2, 3, 1):  # the process died after the first, and begins again
        ready = ItemReady(number=number, candidate=candidate, live=LIVE.digest, item=items[number - 1])
        await log.append(id, ready)

    async def all_judged() -> bool:
        return len(await log.judged(id)) == 3

    await until(all_judged, "the stays to be drafted")
    prompts = len(signed.generator.prompts)
    # Delivered again: nothing is drafted, and nothing is appended.
    admin = await signed.server.connect("admin")
    await admin.publish(
        evaluation_subject(id, "item-ready", 1), ready.model_dump_json().encode(), stream=STREAM, id="again"
    )

    async def nothing_waits() -> bool:
        info = await admin.consumer_info(STREAM, "drafter-evaluate")
        return not info["num_pending"] and not info["num_ack_pending"]

    await until(nothing_waits, "the message to be handled")
    await admin.close()
    assert len(signed.generator.prompts) == prompts
    assert len(await log.judged(id)) == 3
    assert (await evaluations.find(id)) is not None


async def test_a_stay_whose_texts_are_gone_is_left_out(signed: Stack, registry: DrafterRegistry) -> None:
    bus = registry._bus
    log = EvaluationLog(bus, "evaluator", lambda: T0)
    evaluations = Evaluations(log)
    (item,) = await SignedStays(bus).last(DOCUMENT, 1)
    answer = await signed.call(
        "operator", "POST", f"/v1/cases/{item.case}/erasure", json={"ground": "patient-request", "reference": "DSR-7"}
    )
    assert answer.status_code < 300, answer.text

    async def erased() -> bool:
        return "erased" in await signed.events(item.case)

    await until(erased, "the texts to be erased")
    candidate = await add(registry, HONEST)
    id = await evaluations.begin(request(candidate, item))
    await log.append(id, ItemReady(number=1, candidate=candidate, live=LIVE.digest, item=item))

    async def left_out() -> Any:
        return await log.judged(id) or None

    (found,) = await until(left_out, "the stay to be left out")
    assert found.left_out == "the texts of the case were erased"
    assert (await evaluations.find(id)) is not None


async def test_a_shadow_drafts_what_is_signed_and_nobody_sees_it(
    signed: Stack, registry: DrafterRegistry, commands: int
) -> None:
    honest = await add(registry, HONEST)
    passed = await command_json("drafters", "evaluate", honest, "--wait", "--limit", str(commands), *BECAUSE)
    assert (await command_json("drafters", "shadow", honest, *BECAUSE))["state"] == "shadow"
    assert await command_json("drafters", "evaluations", honest) == [passed]
    before = {event.id for event in (await EventStore(registry._bus, "x").recent(1000))[0]}
    case_id = await signed.discharge(stays()[0])
    await signed.reaches(case_id, "awaiting-review")
    live = (await signed.review(case_id))["draft"]
    assert live["drafter"] == {"configuration": LIVE.digest, "role": "live"}
    assert (await signed.decide(case_id, "approve")).status_code == 200
    await signed.reaches(case_id, "filed")

    async def drafted() -> Any:
        items = await command_json("drafters", "evaluations", honest)
        return items[1] if len(items) == 2 and items[1]["judged"] == 1 else None

    found = await until(drafted, "the shadow to draft the stay")
    assert (found["stays"], found["candidate"], found["live"]) == (1, honest, LIVE.digest)
    assert (found["passed"], "are needed" in found["reasons"][0]) == (False, True)
    events, _ = await EventStore(registry._bus, "x").recent(1000)
    assert {event.case.id for event in events if event.id not in before} == {case_id}  # no other case has an event
    # One stay is no verdict: that of the evaluation before stands.
    assert (await command_json("drafters", "canary", honest, "--share", "0.1", *BECAUSE))["state"] == "canary"
    assert (await command_json("drafters", "rollback", honest, *BECAUSE))["digest"] == LIVE.digest

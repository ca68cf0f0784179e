"""Which model and which policy write a kind of document, and what the drafter does not start with."""

from functools import partial
from pathlib import Path

import pytest
from pydantic import SecretStr

from services.drafter.configurations import DeclaredDrafters
from services.drafter.kinds import load_kinds
from services.drafter.main import build
from services.drafter.models import DraftingModel, Models
from services.drafter.settings import DrafterSettings
from services.drafter.wording import Length, Wording
from services.drafter.writing import _sampling
from shared.contracts.context import EncounterContext, Patient
from shared.contracts.errors import PermanentError
from shared.inference.http_generation import HttpGenerator
from shared.inference.triton_generation import TritonGenerator
from shared.runtime.generation_endpoints import EndpointSettings
from shared.runtime.service import service_broker
from tests.support.drafters import declared_drafters
from tests.support.examples import T0
from tests.support.generator import ScriptedGenerator
from tests.support.kinds import REHABILITATION, write_kind

CONTEXT = EncounterContext(
    encounter="Encounter/e1",
    encounter_status="finished",
    kind="discharge-summary",
    patient=Patient(source="Patient/p1", name="Robin Example"),
    start=T0,
    end=T0,
)


def settings(**more: object) -> DrafterSettings:
    return DrafterSettings.model_validate({"nats_seed": SecretStr("x"), "mode": "demo"} | more)


async def test_a_kind_is_written_by_the_model_that_it_names(tmp_path: Path) -> None:
    kinds = load_kinds(write_kind(tmp_path))
    general, own = ScriptedGenerator("general"), ScriptedGenerator("own")
    models = {"drafter": DraftingModel(general), "drafter-large": DraftingModel(own)}
    drafters = DeclaredDrafters(models.__getitem__, "drafter")
    for name, wrote in (("rehabilitation-handover", own), ("discharge-summary", general)):
        drafter = await drafters.choose(kinds.all[name], "c1")
        sampling = _sampling(drafter.configuration, None, CONTEXT)
        found, _ = await drafter.model.ask("c1", f"for {name}", sampling, deadline=5.0, last=True)
        assert found is not None
        assert found.text == wrote.text
        assert wrote.prompts == [f"for {name}"]


async def test_a_kind_may_name_an_endpoint_and_other_models_are_of_triton(tmp_path: Path) -> None:
    kind = load_kinds(write_kind(tmp_path / "kinds")).all["rehabilitation-handover"]
    file = tmp_path / "endpoints.yaml"
    file.write_text("endpoints:\n  - {name: drafter-large, kind: openai, url: 'http://vllm:8000/v1', model: m}\n")
    for endpoints, client, served in ((file, HttpGenerator, "openai m"), (None, TritonGenerator, "")):
        given = settings(generation=EndpointSettings(endpoints=endpoints))
        models = Models(given, service_broker("drafter", given, lambda: T0).bus, lambda: T0)
        drafters = DeclaredDrafters(partial(models.of, priority=1), "drafter", served=models.served)
        drafter = await drafters.choose(kind, "c1")
        assert isinstance(drafter.model.generator, client)
        assert (drafter.configuration.model, drafter.configuration.served) == ("drafter-large", served)


def test_there_is_room_for_the_words_that_a_department_asks_for(tmp_path: Path) -> None:
    kind = load_kinds(None).all["discharge-summary"]
    drafter = declared_drafters(ScriptedGenerator()).configuration(kind)
    asked = Wording(length=(Length(days=3, words=300), Length(words=600)))
    assert _sampling(drafter, None, CONTEXT).max_tokens == drafter.prompt.max_tokens
    assert _sampling(drafter, asked, CONTEXT).max_tokens == 600
    assert _sampling(drafter, Wording(length=(Length(words=20),)), CONTEXT).max_tokens == drafter.prompt.max_tokens


async def test_the_drafter_does_not_start_with_what_is_declared_wrongly(tmp_path: Path) -> None:
    wrong = write_kind(tmp_path / "kinds", text=REHABILITATION.replace("priority = 70", "priority = 700"))
    with pytest.raises(PermanentError, match="priority"):
        build(settings(document_kinds=wrong), generator=ScriptedGenerator())
    wording = tmp_path / "wording"
    wording.mkdir()
    (wording / "icu.toml").write_text("[[wording]]\nkinds = ['letter']\n")
    with pytest.raises(PermanentError, match="there is no kind letter"):
        build(settings(department_wording=wording), generator=ScriptedGenerator())

"""Which model and which policy write a kind of document, and what the drafter does not start with."""

from pathlib import Path

import pytest
from pydantic import SecretStr

from services.drafter.kinds import load_kinds
from services.drafter.main import build
from services.drafter.models import DraftingModel
from services.drafter.settings import DrafterSettings
from services.drafter.wording import Length, Wording
from services.drafter.writing import Documents, DraftWriter, _sampling
from shared.contracts.context import EncounterContext, Patient
from shared.contracts.errors import PermanentError
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
    models = {"drafter-large": DraftingModel(own)}
    writer = DraftWriter(DraftingModel(general), 5.0, None, documents=Documents(kinds, models=models))
    for name, wrote in (("rehabilitation-handover", own), ("discharge-summary", general)):
        kind = kinds.all[name]
        model, sampling = writer._model_of(kind), _sampling(kind, None, CONTEXT)
        found, _ = await model.ask("c1", f"for {name}", sampling, deadline=5.0, last=True)
        assert found is not None
        assert found.text == wrote.text
        assert wrote.prompts == [f"for {name}"]


def test_there_is_room_for_the_words_that_a_department_asks_for(tmp_path: Path) -> None:
    kind = load_kinds(None).all["discharge-summary"]
    asked = Wording(length=(Length(days=3, words=300), Length(words=600)))
    assert _sampling(kind, None, CONTEXT).max_tokens == kind.prompt.max_tokens
    assert _sampling(kind, asked, CONTEXT).max_tokens == 600
    assert _sampling(kind, Wording(length=(Length(words=20),)), CONTEXT).max_tokens == kind.prompt.max_tokens


async def test_the_drafter_does_not_start_with_what_is_declared_wrongly(tmp_path: Path) -> None:
    wrong = write_kind(tmp_path / "kinds", text=REHABILITATION.replace("priority = 70", "priority = 700"))
    with pytest.raises(PermanentError, match="priority"):
        build(settings(document_kinds=wrong), generator=ScriptedGenerator())
    wording = tmp_path / "wording"
    wording.mkdir()
    (wording / "icu.toml").write_text("[[wording]]\nkinds = ['letter']\n")
    with pytest.raises(PermanentError, match="there is no kind letter"):
        build(settings(department_wording=wording), generator=ScriptedGenerator())

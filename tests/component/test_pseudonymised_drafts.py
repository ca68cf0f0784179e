"""Drafts by an endpoint that gets pseudonyms: the real record, prompt, adapter and a server that keeps what it gets."""

import json
import logging
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from services.drafter.configurations import DeclaredDrafters
from services.drafter.extract import read_stay
from services.drafter.models import NO_IDENTIFIERS, Models
from services.drafter.settings import DrafterSettings
from services.drafter.writing import Assignment, DraftWriter
from shared.clinical.fhir_client import FhirClient
from shared.contracts.context import EncounterContext
from shared.contracts.draft import Draft
from shared.messaging.connection import NatsConnection
from shared.runtime.generation_endpoints import EndpointSettings
from shared.runtime.settings import TritonSettings
from tests.stays.build import Chart
from tests.stays.elements import BASE
from tests.stays.notes.writing import note
from tests.stays.server import serve
from tests.support.model_api import KEY, MODELS, Kind, ModelServer, model_server

PLANTED = (
    "Robertson",
    "Desmond",
    "Okonkwo",
    "Chidi",
    "Annalise",
    "Kessler",
    "Brightwater",
    "00881234",
    "881234",
    "991000212",
    "555-0143",
    "5550143",
    "d.robertson",
    "Larkspur",
    "Tillson",
    "2026-03-02",
    "3/2/2026",
    "03/02",
    "1948-03-14",
    "61109",
)
NOTE = """Assessment:
Mr. Desmond Robertson (MRN 00881234) developed rapid atrial fibrillation on 3/2/2026 and converted with diltiazem.
Transferred to the unit on 3/4/2026 after Dr. Okonkwo was called; daughter Annalise Kessler (312-555-0143) agreed.
Dr. C. Okonkwo started apixaban; discharged from Brightwater with a cane to 12 Larkspur Lane, Tillson.
"""


def chart() -> Chart:
    made = Chart("pseudonyms", "notes", "identifiers", start="2026-03-02T20:00:00Z", end="2026-03-07T15:00:00Z")
    made.patient |= {
        "name": [{"use": "official", "family": "Robertson", "given": ["Desmond"]}],
        "birthDate": "1948-03-14",
        "identifier": [{"type": {"text": "MRN"}, "system": "urn:mrn", "value": "00881234"}],
        "telecom": [
            {"system": "phone", "value": "(312) 555-0143"},
            {"system": "email", "value": "d.robertson@mail.example"},
        ],
        "address": [{"line": ["12 Larkspur Lane"], "city": "Tillson", "postalCode": "61109"}],
        "contact": [{"name": {"family": "Kessler", "given": ["Annalise"]}}],
    }
    made.encounter["identifier"] = [{"value": "991000212"}]
    made.encounter["serviceProvider"] = {"display": "Brightwater General Hospital"}
    made.diagnosis(made.condition("Atrial fibrillation, seen by Chidi Okonkwo on 2026-03-02"), rank=1)
    doctor = {"reference": "Practitioner/d1", "display": "Okonkwo, Chidi, MD"}
    note(made, "progress", NOTE, "2026-03-03T09:00:00Z", author=[doctor])
    return made


async def context_of(*, identifiers: bool) -> EncounterContext:
    stay = chart().stay(expect="no-draft")
    async with serve(stay) as http:
        ehr = FhirClient(BASE, http)
        return await read_stay(ehr, stay.encounter, occurred_at=None, attending=None, identifiers=identifiers)


@pytest.fixture(params=["openai", "anthropic"])
def server(request: pytest.FixtureRequest) -> Iterator[ModelServer]:
    kind: Kind = request.param
    with model_server(kind) as found:
        yield found


async def drafted(
    server: ModelServer, tmp_path: Path, context: EncounterContext, *, pseudonymise: bool = True
) -> Draft:
    key, file = tmp_path / "key", tmp_path / "endpoints.yaml"
    key.write_text(KEY)
    endpoint = {
        "name": "cloud",
        "kind": server.kind,
        "url": server.url,
        "model": MODELS[server.kind],
        "key_file": str(key),
        "pseudonymise": pseudonymise,
    }
    file.write_text(json.dumps({"endpoints": [endpoint]}))
    given: dict[str, Any] = {"nats_seed": "x", "mode": "demo", "generation": EndpointSettings(endpoints=file)}
    given["triton"] = TritonSettings(drafter_model="cloud")
    models = Models(
        DrafterSettings(**given), NatsConnection("nats://127.0.0.1:1", "drafter", ""), lambda: datetime.now(UTC)
    )
    assert models.pseudonymise is pseudonymise
    assert models.served("cloud").endswith(" pseudonymised") is pseudonymise
    drafters = DeclaredDrafters(lambda name: models.of(name, 1), "cloud", "marked", models.served)
    try:
        task = Assignment(case="c1", department="internal-medicine", context_digest="0" * 64, last=True)
        return await DraftWriter(drafters, 30, None).write(context, task)
    finally:
        await models.close()


def facts(server: ModelServer, name: str) -> str:
    """What the last request says under a heading of the facts."""
    (*_, content) = (item["content"] for item in server.bodies[-1]["messages"])
    found = re.search(rf"^{name}: (.*)$", str(content), re.MULTILINE)
    assert found is not None, content
    return found[1]


async def test_no_identifier_leaves_and_the_draft_has_the_names(
    server: ModelServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    context = await context_of(identifiers=True)
    caplog.clear()  # of the EHR's client
    caplog.set_level(logging.DEBUG)
    await drafted(server, tmp_path, context)
    (received,) = server.received
    text = received.decode()
    left = [item for item in PLANTED if item.casefold() in text.casefold()]
    assert not left
    for word in ("Atrial fibrillation, seen by", "started apixaban", "with a cane to", "77-year-old"):
        assert word in text, "what is clinical is sent"
    server.text = f"He was admitted with {facts(server, 'Reason')} and has improved since then."
    draft = await drafted(server, tmp_path, context)
    assert draft.model_silent is None
    (sentence,) = (item.text for item in draft.sentences if item.origin == "model")
    assert sentence.startswith("He was admitted with Atrial fibrillation, seen by Chidi Okonkwo on 2026-03-02")
    surrogates = set(re.findall(r"[A-Z][a-z]+", facts(server, "Reason"))) - {"Atrial"}
    assert surrogates
    assert not [word for word in (*PLANTED, *surrogates) if word in caplog.text], (
        "neither side of the mapping is logged"
    )
    assert server.received[0] == server.received[1], "each request of a case has the same pseudonyms"


async def test_without_the_option_the_same_prompt_has_them(server: ModelServer, tmp_path: Path) -> None:
    """So the test above can fail."""
    await drafted(server, tmp_path, await context_of(identifiers=False), pseudonymise=False)
    text = server.received[0].decode()
    for item in ("Okonkwo", "Chidi", "2026-03-02"):
        assert item in text


@pytest.mark.parametrize(
    "answer",
    [
        "He was admitted on 1 January 2021 and improved, and he was then discharged home in good condition.",
        "He was seen by Dr. {changed} and improved, and he was then discharged home in good condition.",
    ],
)
async def test_an_answer_that_cannot_be_restored_is_not_used_and_the_physician_is_told(
    server: ModelServer, tmp_path: Path, answer: str
) -> None:
    context = await context_of(identifiers=True)
    await drafted(server, tmp_path, context)
    name = facts(server, "Reason").split(" on ")[0].split()[-1]
    server.text = answer.format(changed=f"{name[:-2]}x")
    draft = await drafted(server, tmp_path, context)
    assert draft.model_silent == "names, numbers or dates in the model's answer could not be restored with certainty"
    assert all(item.origin != "model" for item in draft.sentences)
    assert draft.composed > 0


async def test_a_record_without_its_identifiers_is_not_sent(server: ModelServer, tmp_path: Path) -> None:
    """It was read before the option was set."""
    draft = await drafted(server, tmp_path, await context_of(identifiers=False))
    assert server.received == []
    assert draft.model_silent == NO_IDENTIFIERS
    assert draft.composed > 0

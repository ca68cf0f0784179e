"""Every kind of document from a record to its renditions: its own title, code and parts, and the gate lets it pass."""

import json
from pathlib import Path

import pikepdf
import pytest

from services.approval.corrections import rules as correction_rules
from services.approval.filing.renditions import bundle, chart
from services.approval.filing.renditions.make import CONTENT_TYPES, FHIR, PDF, make
from services.approval.filing.renditions.source import Source
from services.approval.filing.signed_resources import document
from services.approval.review import signing_rules
from services.approval.review.errors import DecisionRefusedError
from services.approval.review.signing_rules import ResolvedItems
from services.drafter import facts
from services.drafter.compose import compose
from services.drafter.course import compose_course
from services.drafter.extract import read_stay
from services.drafter.kinds import KindRegistry, load_kinds, load_shipped_kinds
from shared.clinical.fhir_client import FhirClient
from shared.contracts.context import EncounterContext
from shared.contracts.draft import Draft
from shared.contracts.envelope import ChainHead, RecordedEvent, sha256_hex
from shared.contracts.events import Approved
from tests.stays.draft import PROMPT
from tests.stays.elements import BASE
from tests.stays.model import Stay
from tests.stays.server import serve
from tests.support.examples import CASE, PHYSICIAN, T0, draft_ref
from tests.support.kinds import STAYS, rehabilitation, write_kind
from tests.support.third_party import errors

pytestmark = pytest.mark.slow

CODES = {"transfer-summary": "18761-7"}  # the others are discharge summaries, 18842-5


async def drafted(stay: Stay, kinds: KindRegistry) -> tuple[EncounterContext, Draft]:
    async with serve(stay) as http:
        ehr = FhirClient(BASE, http)
        context = await read_stay(ehr, stay.encounter, occurred_at=None, attending=None, kinds=kinds)
    kind = kinds.of(context.kind, died=context.died)
    sentences = tuple(item for item in compose_course(context) if kind.part_of(item.narrative))
    rendered = facts.render(context, kind)
    made = compose(context, rendered, sentences, number=1, model="", prompt=PROMPT, context_digest="0" * 64, kind=kind)
    return context, Draft.model_validate_json(made.model_dump_json())


def source(context: EncounterContext, draft: Draft) -> Source:
    ref = draft_ref().model_copy(update={"kind": draft.kind, "document": draft.document})
    approved = Approved(
        stay=context.stay,
        draft=ref,
        signed=sha256_hex(draft.text.encode()),
        edited=False,
        by=PHYSICIAN,
        signer="Practitioner/dr-1",
    )
    decision = RecordedEvent(CASE, "id-5", "countersign/approval", T0, "", approved, ChainHead(5, "h" * 64))
    return Source(decision, approved, ("urn:test", "final"), draft.text, draft, context, "dev-1", BASE)


def settled(draft: Draft) -> ResolvedItems:
    return ResolvedItems({}, tuple(range(len(draft.open_points))))


@pytest.mark.parametrize("name", STAYS)
async def test_each_kind_is_drafted_signed_and_written_under_its_own_name(name: str, tmp_path: Path) -> None:
    context, draft = await drafted(STAYS[name](), load_shipped_kinds())
    assert (draft.kind, context.kind) == (name, name)
    title, code = load_shipped_kinds().all[name].type.title, CODES.get(name, "18842-5")
    assert draft.text.splitlines()[0] == title.upper()
    assert draft.routing is not None
    assert draft.routing.why
    signing_rules.check(draft, draft.text, settled(draft))

    of = source(context, draft)
    written = make(of, CONTENT_TYPES, "a4")
    assert list(written) == list(CONTENT_TYPES)
    composition = json.loads(written[FHIR])["entry"][0]["resource"]
    assert composition["type"]["coding"] == [{"system": "http://loinc.org", "code": code}]
    assert composition["title"] == title.upper()
    (tmp_path / "document.pdf").write_bytes(written[PDF])
    with pikepdf.open(tmp_path / "document.pdf") as pdf, pdf.open_metadata() as metadata:
        assert metadata["dc:title"] == title.upper()
    assert errors([bundle.write(of)], tmp_path) == []

    filed = document(CASE, of.approved, chart.contents(written, T0, draft.type.title), "dev-1", T0)
    assert filed["type"]["coding"][0]["code"] == code
    assert {item["attachment"]["title"] for item in filed["content"]} == {title}
    assert correction_rules.addendum(draft, "One more word.").startswith(f"ADDENDUM TO {title.upper()}\n")


def test_every_shipped_kind_has_its_stay() -> None:
    assert STAYS.keys() == load_shipped_kinds().all.keys()


async def test_a_transfer_instructs_no_patient_and_keeps_the_medicines_as_such() -> None:
    _, draft = await drafted(STAYS["transfer-summary"](), load_shipped_kinds())
    assert "In plain words:" not in draft.text
    assert "Take apixaban" not in draft.text
    (group,) = [
        item for part in draft.parts for item in part.groups if "apixaban" in item.facts[0].text and not item.columns
    ]
    assert group.stands_for == "Medications to take at home"
    context, _ = await drafted(STAYS["transfer-summary"](), load_shipped_kinds())
    sections = json.loads(bundle.write(source(context, draft)))["entry"][0]["resource"]["section"]
    (medicines,) = [item for item in sections if item.get("code", {}).get("coding", [{}])[0].get("code") == "10183-2"]
    assert "apixaban" in medicines["text"]["div"]
    assert any(entry["reference"].endswith(group.facts[0].source) for entry in medicines["entry"])


async def test_what_a_kind_leaves_out_is_told_beside_the_document() -> None:
    _, draft = await drafted(STAYS["short-stay-summary"](), load_shipped_kinds())
    assert "Diabetes mellitus" not in draft.text
    assert "Family history: 1 entry, left out of the kind “Short stay summary”" in draft.left_out


async def test_a_hospital_adds_a_kind_without_a_change_of_code(tmp_path: Path) -> None:
    kinds = load_kinds(write_kind(tmp_path))
    context, draft = await drafted(rehabilitation(), kinds)
    assert (draft.kind, draft.type.title, draft.type.code) == (
        "rehabilitation-handover",
        "Rehabilitation handover",
        "34745-0",
    )
    assert draft.text.splitlines()[0] == "REHABILITATION HANDOVER"
    assert [part.code for part in draft.parts][:2] == ["mobility", "reason-for-hospitalization"]
    assert "Weight bearing: not in the record: state how much weight the leg may bear" in [
        point.text for point in draft.open_points
    ]
    signing_rules.check(draft, draft.text, settled(draft))
    sections = json.loads(bundle.write(source(context, draft)))["entry"][0]["resource"]["section"]
    assert ("Mobility and function", "47420-5") in [
        (item["title"], item.get("code", {}).get("coding", [{}])[0].get("code")) for item in sections
    ]


async def test_the_gate_asks_for_the_parts_that_the_draft_itself_names(tmp_path: Path) -> None:
    """Approval has no folder of kinds: what is required stands in the draft."""
    _, draft = await drafted(rehabilitation(), load_kinds(write_kind(tmp_path)))
    start = draft.text.index("MOBILITY AND FUNCTION")
    without = draft.text[:start] + draft.text[draft.text.index("REASON FOR HOSPITALIZATION") :]
    with pytest.raises(DecisionRefusedError, match="Mobility and function"):
        signing_rules.check(draft, without, settled(draft))
    start, end = draft.text.index("CONDITION AT DISCHARGE"), draft.text.index("\nPLAN\n")
    signing_rules.check(draft, draft.text[:start] + draft.text[end:], settled(draft))  # this kind may go without


async def test_a_kind_that_is_gone_is_drafted_as_a_general_one(tmp_path: Path) -> None:
    context, _ = await drafted(rehabilitation(), load_kinds(write_kind(tmp_path)))
    assert context.kind == "rehabilitation-handover"
    assert load_shipped_kinds().of(context.kind, died=context.died).name == "discharge-summary"
    assert load_shipped_kinds().of("neonatal-death", died=True).name == "death-summary"


def test_a_draft_from_before_kinds_were_declared_is_read_and_named() -> None:
    before = {"kind": "death-summary", "number": 1, "parts": [], "text": "DEATH SUMMARY\n", "model": ""}
    draft = Draft.model_validate(before | {"prompt": PROMPT.model_dump(), "context_digest": "0" * 64})
    assert (draft.type.title, draft.type.code) == ("Death summary", "18842-5")
    assert correction_rules.addendum(draft, "x").startswith("ADDENDUM TO DEATH SUMMARY\n")

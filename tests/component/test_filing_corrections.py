"""Corrections, addenda and retractions on EHRs with the quirks of real ones: one current document of each kind."""

import pytest

from services.approval.filing.correction_resources import identifier_of
from services.approval.filing.retraction import RetractionFiling
from shared.contracts.corrections import Addended, Amended, Retracted, RetractionFiled
from shared.contracts.envelope import ChainHead, RecordedEvent
from shared.contracts.errors import TransientError
from shared.contracts.events import Filed, Signature
from tests.component.test_filing import DECISION, file, filing
from tests.support.ehr import sandbox
from tests.support.examples import CASE, T0, event
from tests.support.unreliable_ehr import UnreliableEhr

QUIRKS = [
    {},
    {"puts_create": True},
    {"stale": True},
    {"lenient": {"identifier", "target"}},
]


def recorded(body: Signature | Retracted, number: int) -> RecordedEvent:
    return RecordedEvent(CASE, f"id-{number}", "countersign/approval", T0, "", body, ChainHead(number, f"{number:064}"))


async def sign(ehr: UnreliableEhr, body: Signature, at: int) -> Filed:
    number = 1 if not isinstance(body, Amended | Addended) else body.number
    return await filing(ehr).file(recorded(body, at), body, f"Text {at}.", None, number)


def amended(replaces: str, number: int = 2) -> Amended:
    found = event("amended")
    assert isinstance(found, Amended)
    return found.model_copy(update={"replaces": replaces, "number": number})


def addended(appends: str, number: int = 1) -> Addended:
    found = event("addended")
    assert isinstance(found, Addended)
    return found.model_copy(update={"appends": appends, "number": number})


async def retract(ehr: UnreliableEhr, *documents: str) -> RetractionFiled:
    found = event("retracted")
    assert isinstance(found, Retracted)
    body = found.model_copy(update={"documents": documents})
    return await RetractionFiling(ehr.client, filing(ehr), lambda: T0).retract(recorded(body, 30), body)


def statuses(ehr: UnreliableEhr) -> dict[str, str]:
    return {item["id"]: item["status"] for item in ehr.chart("DocumentReference")}


@pytest.mark.parametrize("quirks", QUIRKS, ids=lambda it: " ".join(it))
async def test_each_of_them_is_written_once_however_often_it_is_filed(quirks: dict[str, object]) -> None:
    ehr = UnreliableEhr(sandbox(), **quirks)  # type: ignore[arg-type]
    first = (await file(ehr)).document_reference
    second, again = [await sign(ehr, amended(first), 10) for _ in range(2)]
    assert again == second
    added, again = [await sign(ehr, addended(second.document_reference), 20) for _ in range(2)]
    assert again == added
    wanted = {first: "superseded", second.document_reference: "current", added.document_reference: "current"}
    assert statuses(ehr) == wanted
    assert len(ehr.chart("Provenance")) == 3
    ended, again = [await retract(ehr, *wanted) for _ in range(2)]  # type: ignore[assignment]
    assert (ended, set(statuses(ehr).values())) == (again, {"entered-in-error"})


@pytest.mark.parametrize(
    "quirks", [{"lagging": True}, {"bare": "location"}, {"unknown": {"target"}}], ids=lambda it: " ".join(it)
)
async def test_a_server_that_says_little_has_each_document_in_its_status(quirks: dict[str, object]) -> None:
    ehr = UnreliableEhr(sandbox(), **quirks)  # type: ignore[arg-type]
    first = (await file(ehr)).document_reference
    second = (await sign(ehr, amended(first), 10)).document_reference
    added = (await sign(ehr, addended(second), 20)).document_reference
    assert statuses(ehr) == {first: "superseded", second: "current", added: "current"}
    await retract(ehr, first, second, added)
    assert set(statuses(ehr).values()) == {"entered-in-error"}


@pytest.mark.parametrize("type", ["DocumentReference", "Provenance"])
async def test_a_correction_whose_answer_was_lost_is_filed_once(type: str) -> None:
    ehr = UnreliableEhr(sandbox(), deletes=True)
    first = (await file(ehr)).document_reference
    ehr.late.add(type)
    with pytest.raises(TransientError):
        await sign(ehr, amended(first), 10)
    made = await sign(ehr, amended(first), 10)
    await ehr.commit()
    identifier = identifier_of(CASE, amended(first), 2)
    head = recorded(amended(first), 10).head.digest
    assert await filing(ehr).follow_up(CASE, made, head, identifier) == 0
    assert sorted(statuses(ehr).values()) == sorted(
        ["superseded", "current", *(["entered-in-error"] if type == "DocumentReference" else [])]
    )
    assert len(ehr.chart("Provenance")) == 2


@pytest.mark.parametrize(
    ("status", "found", "wanted"),
    [
        ("superseded", "current", "superseded"),
        ("superseded", "entered-in-error", "entered-in-error"),
        ("entered-in-error", "superseded", "entered-in-error"),
        ("entered-in-error", "current", "entered-in-error"),
        ("current", "entered-in-error", "entered-in-error"),
    ],
)
async def test_what_is_replaced_or_retracted_stays_so(status: str, found: str, wanted: str) -> None:
    ehr = UnreliableEhr(sandbox())
    made = await file(ehr)
    stored = ehr.sandbox.store.get("DocumentReference", made.document_reference)
    assert stored is not None
    ehr.sandbox.store.put(stored | {"status": found})
    await filing(ehr).follow_up(CASE, made, DECISION.head.digest, None, status)
    assert statuses(ehr) == {made.document_reference: wanted}


async def test_what_somebody_has_deleted_holds_up_nothing() -> None:
    ehr = UnreliableEhr(sandbox())
    first = (await file(ehr)).document_reference
    ehr.remove("DocumentReference", first)
    made = (await sign(ehr, amended(first), 10)).document_reference
    await retract(ehr, first, made)
    assert statuses(ehr) == {made: "entered-in-error"}

"""The signed document and its Task on EHRs with the quirks of real ones: one document, one Provenance, no open Task."""

import asyncio
import json
from dataclasses import replace
from typing import Any

import pytest

from services.approval.domain import DraftOutcome
from services.approval.ehr_tasks.tasks import Devices, ReviewTasks
from services.approval.filing import resources, signed_resources
from services.approval.filing.chart_check import NotAsSignedError
from services.approval.filing.filing import Filing
from services.approval.filing.renditions import chart
from shared.contracts.envelope import ChainHead, RecordedEvent, sha256_hex
from shared.contracts.errors import PermanentError, TransientError
from shared.contracts.events import Approved, Drafted, Filed
from tests.support.ehr import sandbox
from tests.support.examples import CASE, PHYSICIAN, STAY, T0, draft_ref
from tests.support.unreliable_ehr import UnreliableEhr

pytestmark = pytest.mark.slow

APPROVED = Approved(
    stay=STAY, draft=draft_ref(), task=None, signed="e" * 64, edited=True, by=PHYSICIAN, signer="Practitioner/dr-1"
)
DECISION = RecordedEvent(CASE, "id-5", "countersign/approval", T0, "", APPROVED, ChainHead(5, "h" * 64))
APPROVAL = DraftOutcome("approved", "id-5")
DRAFTED = Drafted(stay=STAY, draft=draft_ref(), sentences=4, unsupported=0, encounter_status="finished")


def filing(ehr: UnreliableEhr) -> Filing:
    """As a process that has just been started has it."""
    return Filing(ehr.client, Devices(ehr.client), lambda: T0)


def tasks(ehr: UnreliableEhr) -> ReviewTasks:
    return ReviewTasks(ehr.client, Devices(ehr.client), lambda: T0, "https://countersign.test")


async def file(ehr: UnreliableEhr) -> Filed:
    return await filing(ehr).file(DECISION, APPROVED, "The letter.")


ALL = {"text/plain": b"The letter.", "application/pdf": b"%PDF-", "application/fhir+json": b"{}"}


def digests(*names: str) -> dict[str, str]:
    return {name: sha256_hex(ALL[name]) for name in names}


@pytest.mark.parametrize("puts_create", [False, True])
async def test_every_rendition_is_a_content_and_named_by_its_digest(*, puts_create: bool) -> None:
    ehr = UnreliableEhr(sandbox(), puts_create=puts_create)
    first = await filing(ehr).file(DECISION, APPROVED, "The letter.", ALL)
    assert first == await filing(ehr).file(DECISION, APPROVED, "The letter.", ALL)
    (document,), (provenance,) = ehr.chart("DocumentReference"), ehr.chart("Provenance")
    assert list(chart.attachments(document)) == list(ALL)
    assert first.renditions == chart.digests_in(provenance) == digests(*ALL)


async def test_a_document_of_an_earlier_attempt_is_told_as_it_is() -> None:
    ehr = UnreliableEhr(sandbox())
    await file(ehr)
    again = await filing(ehr).file(DECISION, APPROVED, "The letter.", ALL)
    assert again.renditions == digests("text/plain")
    assert len(ehr.chart("DocumentReference")) == 1


@pytest.mark.parametrize("status", [400, 413, 422])
async def test_an_ehr_that_refuses_the_text_too_is_asked_twice_and_not_more(status: int) -> None:
    ehr = UnreliableEhr(sandbox(), refused={("POST", "DocumentReference"): status})
    with pytest.raises(PermanentError):
        await filing(ehr).file(DECISION, APPROVED, "The letter.", ALL)
    asked = [item for item in ehr.seen if item.method == "POST" and item.url.path.endswith("/DocumentReference")]
    assert [len(json.loads(item.content)["content"]) for item in asked] == [3, 1]


async def test_another_refusal_is_no_word_about_contents() -> None:
    ehr = UnreliableEhr(sandbox(), refused={("POST", "DocumentReference"): 403})
    with pytest.raises(PermanentError):
        await filing(ehr).file(DECISION, APPROVED, "The letter.", ALL)
    assert len([item for item in ehr.seen if item.method == "POST" and "Document" in item.url.path]) == 1


@pytest.mark.parametrize(
    "quirks",
    [
        {},
        {"lagging": True},
        {"bare": "location"},
        {"puts_create": True},
        {"lenient": {"when"}},
        {"unknown": {"when"}},
    ],
    ids=lambda it: " ".join(it),
)
async def test_two_processes_that_file_at_once_make_one_provenance(quirks: dict[str, Any]) -> None:
    """NATS gives a message to a second process while the first one is at work on it."""
    ehr = UnreliableEhr(sandbox(), **quirks)
    await Devices(ehr.client).id_of(APPROVED.draft)
    first, second = await asyncio.gather(file(ehr), file(ehr))
    assert current(ehr) == [first.document_reference] == [second.document_reference]
    if quirks == {"unknown": {"when"}}:  # nothing prevents it there: the follow-up finds it
        return
    assert ours(ehr) == [first.provenance] == [second.provenance]


def current(ehr: UnreliableEhr) -> list[str]:
    return [item["id"] for item in ehr.chart("DocumentReference") if item["status"] == "current"]


def ours(ehr: UnreliableEhr) -> list[str]:
    return [item["id"] for item in ehr.chart("Provenance") if resources.chain_head_of(item)]


@pytest.mark.parametrize(
    "quirks",
    [
        {},
        {"stale": True},
        {"lagging": True},
        {"bare": "location"},
        {"bare": "location", "lagging": True},
        {"puts_create": True},
        {"puts_create": True, "lagging": True},
        {"puts_create": True, "refused": {("PUT", "DocumentReference"): 405, ("PUT", "Provenance"): 403}},
        {"unknown": {"target"}},
    ],
)
async def test_one_document_and_one_provenance_whatever_the_habits(quirks: dict[str, Any]) -> None:
    ehr = UnreliableEhr(sandbox(), **quirks)
    filed = await file(ehr)
    assert current(ehr) == [filed.document_reference]
    assert ours(ehr) == [filed.provenance]
    (provenance,) = ehr.chart("Provenance")
    assert provenance["target"] == [{"reference": f"DocumentReference/{filed.document_reference}"}]


@pytest.mark.parametrize("puts_create", [False, True])
async def test_filing_again_changes_nothing(*, puts_create: bool) -> None:
    ehr = UnreliableEhr(sandbox(), puts_create=puts_create)
    assert await file(ehr) == await file(ehr)
    assert len(ehr.chart("DocumentReference")) == len(ehr.chart("Provenance")) == len(ehr.chart("Device")) == 1
    assert {item["meta"]["versionId"] for item in ehr.chart("DocumentReference")} == {"1"}


async def test_an_answer_without_anything_is_looked_for() -> None:
    ehr = UnreliableEhr(sandbox(), bare="nothing")
    filed = await file(ehr)
    assert current(ehr) == [filed.document_reference]
    assert ours(ehr) == [filed.provenance]


async def test_a_server_that_forgets_our_ids_in_its_index_makes_no_second_one() -> None:
    ehr = UnreliableEhr(sandbox(), puts_create=True, lagging=True)
    first = await file(ehr)
    assert await file(ehr) == first
    assert current(ehr) == [first.document_reference]
    assert ours(ehr) == [first.provenance]


async def test_a_copy_of_a_racing_create_is_retired_and_the_oldest_stands() -> None:
    ehr = UnreliableEhr(sandbox())
    ehr.late.add("DocumentReference")
    with pytest.raises(TransientError):
        await file(ehr)
    await ehr.commit()
    first = current(ehr)
    assert [(await file(ehr)).document_reference] == first == current(ehr)


async def test_documents_of_others_stay_where_the_server_passes_over_the_identifier() -> None:
    ehr = UnreliableEhr(sandbox(), lenient={"identifier", "target"})
    other = signed_resources.document(
        CASE, APPROVED, chart.contents({"text/plain": b"Another letter."}, T0), "d", T0
    ) | {
        "id": "other",
        "identifier": [{"system": "urn:other", "value": "1"}],
    }
    ehr.sandbox.store.put(other)
    of_another = signed_resources.provenance(APPROVED, "other", "d", "f" * 64, T0, T0) | {"id": "of-another"}
    ehr.sandbox.store.put(of_another)
    filed = await file(ehr)
    assert set(current(ehr)) == {"other", filed.document_reference}
    assert filed.provenance != "of-another"


async def test_a_document_that_was_retired_before_the_filing_ended_is_filed_again() -> None:
    ehr = UnreliableEhr(sandbox())
    await file(ehr)
    (document,) = ehr.chart("DocumentReference")
    ehr.sandbox.store.put(document | {"status": "entered-in-error"})
    filed = await file(ehr)
    assert current(ehr) == [filed.document_reference] != [document["id"]]


async def test_what_an_ehr_stores_oddly_ends_no_filing() -> None:
    ehr = UnreliableEhr(sandbox(), lenient={"identifier", "target"})
    filed = await file(ehr)
    target = [{"reference": f"DocumentReference/{filed.document_reference}"}]
    odd: list[Any] = [None, "x", {}, {"what": None}, {"what": {"identifier": []}}]
    ehr.sandbox.store.put({"resourceType": "Provenance", "id": "odd", "target": ["x", *target], "entity": odd})
    ehr.sandbox.store.put({"resourceType": "DocumentReference", "id": "odd", "meta": None, "identifier": {}})
    assert await file(ehr) == filed


async def late_pair(ehr: UnreliableEhr, type: str) -> Filed:
    """Filed while an earlier create of `type` hung, which is committed afterwards."""
    ehr.late.add(type)
    with pytest.raises(TransientError):
        await file(ehr)
    filed = await file(ehr)
    await ehr.commit()
    return filed


@pytest.mark.parametrize("lagging", [False, True])
async def test_a_document_that_is_committed_after_all_was_done_is_retired(*, lagging: bool) -> None:
    ehr = UnreliableEhr(sandbox(), lagging=lagging)
    filed = await late_pair(ehr, "DocumentReference")
    assert len(current(ehr)) == 2
    ehr.lagging = False
    for _ in range(2):
        assert await filing(ehr).follow_up(CASE, filed, DECISION.head.digest) == 0
        assert current(ehr) == [filed.document_reference], "the one that is on the trail stands, not the older one"
        assert ours(ehr) == [filed.provenance]
    assert {item["status"] for item in ehr.chart("DocumentReference")} == {"current", "entered-in-error"}


@pytest.mark.parametrize("deletes", [False, True])
async def test_a_provenance_that_is_committed_after_all_was_done_is_deleted_where_that_is_allowed(
    *, deletes: bool
) -> None:
    ehr = UnreliableEhr(sandbox(), deletes=deletes)
    filed = await late_pair(ehr, "Provenance")
    assert len(ours(ehr)) == 2
    assert await filing(ehr).follow_up(CASE, filed, DECISION.head.digest) == (0 if deletes else 1)
    assert filed.provenance in ours(ehr)
    assert len(ours(ehr)) == (1 if deletes else 2)


async def test_provenances_of_others_are_never_deleted() -> None:
    ehr = UnreliableEhr(sandbox(), deletes=True, lenient={"target"})
    filed = await file(ehr)
    target = [{"reference": f"DocumentReference/{filed.document_reference}"}]
    of_ehr = {"resourceType": "Provenance", "id": "of-ehr", "target": target, "recorded": "2026-11-23", "agent": [{}]}
    of_another = signed_resources.provenance(APPROVED, "other", "d", "f" * 64, T0, T0) | {"id": "of-another"}
    for item in (of_ehr, of_another):
        ehr.sandbox.store.put(item)
    assert await filing(ehr).follow_up(CASE, filed, DECISION.head.digest) == 0
    assert {item["id"] for item in ehr.chart("Provenance")} == {"of-ehr", "of-another", filed.provenance}


async def test_a_letter_that_somebody_withdrew_is_not_brought_back_by_a_late_copy() -> None:
    ehr = UnreliableEhr(sandbox())
    filed = await late_pair(ehr, "DocumentReference")
    kept = ehr.sandbox.store.get("DocumentReference", filed.document_reference)
    assert kept is not None
    ehr.sandbox.store.put(kept | {"status": "entered-in-error"})
    await filing(ehr).follow_up(CASE, filed, DECISION.head.digest)
    assert current(ehr) == []


async def test_the_last_copy_is_not_touched_where_the_filed_document_is_gone() -> None:
    ehr = UnreliableEhr(sandbox())
    filed = await late_pair(ehr, "DocumentReference")
    ehr.remove("DocumentReference", filed.document_reference)
    (copy,) = ehr.chart("DocumentReference")
    with pytest.raises(PermanentError):
        await filing(ehr).follow_up(CASE, filed, DECISION.head.digest)
    assert current(ehr) == [copy["id"]]


async def test_a_task_whose_answer_was_lost_and_that_came_late_is_completed_too() -> None:
    ehr = UnreliableEhr(sandbox(), late={"Task"})
    with pytest.raises(TransientError):
        await tasks(ehr).request(CASE, DRAFTED, T0, DRAFTED.stay.attending)
    task = await tasks(ehr).request(CASE, DRAFTED, T0, DRAFTED.stay.attending)
    await ehr.commit()
    assert [item["status"] for item in ehr.chart("Task")] == ["requested"] * 2
    await tasks(ehr).complete(CASE, DRAFTED.draft, task, APPROVAL, "DocumentReference/1")
    assert [item["status"] for item in ehr.chart("Task")] == ["completed"] * 2


@pytest.mark.parametrize("quirks", [{"refused": {}}, {"lenient": {"identifier"}}])
async def test_only_tasks_of_the_case_are_completed(quirks: dict[str, Any]) -> None:
    ehr = UnreliableEhr(sandbox(), **quirks)
    task = await tasks(ehr).request(CASE, DRAFTED, T0, DRAFTED.stay.attending)
    other = ehr.chart("Task")[0] | {"id": "other", "identifier": [{"system": "urn:other", "value": "1"}]}
    ehr.sandbox.store.put(other)
    await tasks(ehr).complete(CASE, DRAFTED.draft, task, APPROVAL)
    assert {item["id"]: item["status"] for item in ehr.chart("Task")} == {task: "completed", "other": "requested"}


async def test_a_task_that_was_deleted_is_in_nobodys_inbox() -> None:
    ehr = UnreliableEhr(sandbox())
    await tasks(ehr).complete(CASE, DRAFTED.draft, "gone", APPROVAL)


async def test_where_tasks_are_not_found_by_identifier_the_one_on_the_trail_is_completed() -> None:
    ehr = UnreliableEhr(sandbox())
    task = await tasks(ehr).request(CASE, DRAFTED, T0, DRAFTED.stay.attending)
    ehr.unknown.add("identifier")
    await tasks(ehr).complete(CASE, DRAFTED.draft, task, APPROVAL)
    assert [item["status"] for item in ehr.chart("Task")] == ["completed"]


@pytest.mark.parametrize("status", [400, 401, 403, 405, 409, 422, 423, 500, 501])
async def test_a_decision_is_not_given_up_for_what_the_server_answers_about_the_task(status: int) -> None:
    ehr = UnreliableEhr(sandbox())
    task = await tasks(ehr).request(CASE, DRAFTED, T0, DRAFTED.stay.attending)
    ehr.refused["PUT", "Task"] = status
    for act in (
        lambda: tasks(ehr).complete(CASE, DRAFTED.draft, task, APPROVAL),
        lambda: tasks(ehr).reassign(task, "Practitioner/dr-2"),
        lambda: tasks(ehr).end(CASE, DRAFTED.draft, None),
    ):
        with pytest.raises(TransientError):
            await act()
    ehr.refused.clear()
    await tasks(ehr).complete(CASE, DRAFTED.draft, task, APPROVAL)
    assert [item["status"] for item in ehr.chart("Task")] == ["completed"]


def planted(ehr: UnreliableEhr, contents: dict[str, bytes], id: str = "planted", **more: Any) -> None:
    """A document that nobody here wrote, under the identifier of the case."""
    found = signed_resources.document(CASE, APPROVED, chart.contents(contents, T0), "dev-1", T0)
    ehr.sandbox.store.put(found | {"id": id} | more)


@pytest.mark.parametrize("quirks", [{}, {"puts_create": True}, {"stale": True}])
@pytest.mark.parametrize(
    "contents",
    [
        {"text/plain": b"NOT WHAT WAS SIGNED"},
        {"text/plain": b"The letter.", "application/pdf": b"another"},
        {"text/plain": b"The letter.", "text/html": b"Take all of it."},
        {"application/pdf": ALL["application/pdf"]},
    ],
)
async def test_something_else_in_its_place_stops_the_filing(quirks: dict[str, Any], contents: dict[str, bytes]) -> None:
    ehr = UnreliableEhr(sandbox(), **quirks)
    for id in ("planted", resources.document_id(CASE)):
        planted(ehr, contents, id)
        with pytest.raises(NotAsSignedError, match=f"{id} stands in the chart"):
            await filing(ehr).file(DECISION, APPROVED, "The letter.", ALL)
        assert current(ehr) == [id], "nothing was written, and nothing retired"
        assert ours(ehr) == []
        planted(ehr, contents, id, status="entered-in-error")
    filed = await filing(ehr).file(DECISION, APPROVED, "The letter.", ALL)
    assert current(ehr) == [filed.document_reference]
    assert filed.renditions == digests(*ALL)


async def test_what_a_search_shows_only_after_the_create_stops_it_too() -> None:
    ehr = UnreliableEhr(sandbox(), puts_create=True, lagging=True)
    query = {"identifier": "|".join(resources.document_identifier(CASE))}
    assert await ehr.client.search("DocumentReference", query) == []
    planted(ehr, {"text/plain": b"NOT WHAT WAS SIGNED"}, resources.document_id(CASE))
    with pytest.raises(NotAsSignedError):
        await file(ehr)


async def test_a_document_of_another_signature_is_not_taken_for_this_ones() -> None:
    """A backup may not know what was signed after it: the same words, signed again, are another signature."""
    ehr = UnreliableEhr(sandbox())
    await file(ehr)
    again = replace(DECISION, head=ChainHead(5, "g" * 64))
    with pytest.raises(NotAsSignedError, match="a signature that the case does not have"):
        await filing(ehr).file(again, APPROVED, "The letter.")
    assert len(ours(ehr)) == len(current(ehr)) == 1

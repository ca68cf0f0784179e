"""Every write-back profile: what was signed is in the chart once, whatever dies, is lost or comes twice."""

import asyncio
import base64
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from typing import Any, Protocol

import pytest
from pydantic import SecretStr

from sandbox_ehr.app import Sandbox
from sandbox_ehr.faults import Fault
from sandbox_ehr.store import Store
from services.approval.case_verification.chart import FiledSignature, against_chart
from services.approval.ehr_tasks.tasks import Devices
from services.approval.erasure.rules import texts_of
from services.approval.filing import basic_resources, profiles
from services.approval.filing.errors import DocumentHeldError, ManualTransferRequiredError
from services.approval.filing.filing import Filing
from services.approval.filing.manual_transfer import retraction_transferred, transferred
from services.approval.filing.mdm import sender
from services.approval.filing.mdm.outbox import Outbox
from services.approval.filing.write_back import SignedDocument, SignedRetraction, WriteBack, filed_ids
from services.approval.settings import ApprovalSettings
from shared.clinical.fhir_client import FhirClient
from shared.contracts.authorship import authorship_line
from shared.contracts.case import Case, fold
from shared.contracts.corrections import Addended, Amended, Retracted, RetractionFiled
from shared.contracts.envelope import ChainHead, RecordedEvent, sha256_hex
from shared.contracts.errors import TransientError
from shared.contracts.events import Approved, CaseEvent, Filed, Signature, WriteBackProfile
from shared.contracts.subjects import derived_id
from tests.support.ehr import client
from tests.support.examples import CASE, PHYSICIAN, STAY, SUPERVISOR, T0, draft_ref, event
from tests.support.mdm_receiver import MdmReceiver, receiving
from tests.support.memory import MemoryBus

pytestmark = pytest.mark.slow

TEXT = "DISCHARGE SUMMARY\n\nPatient: Łukasz | O'Neil & Sons ^~\\\n\n  - 4\\5 re.\n"
CORRECTED = TEXT + "Seen by the dietician.\n"
WORDS = "ADDENDUM\n\nThe culture grew nothing.\n"
RETRACTION = "RETRACTED"
MOST_EFFECTS = 20
PROFILES: tuple[WriteBackProfile, ...] = ("fhir", "fhir-basic", "mdm", "none")


class Died(BaseException):
    """The process was killed."""


class Site:
    """A hospital with one profile. `new` gives what a process that has just started has."""

    def __init__(self, profile: WriteBackProfile, receiver: MdmReceiver) -> None:
        self.profile = profile
        self.receiver = receiver
        self.bus: Any = MemoryBus()
        self.ehr = Sandbox(Store())
        self.ehr.oracle_documents = profile == "fhir-basic"
        self.told: dict[str, RecordedEvent] = {}  # by a person who transfers each document once
        self.signer = "Practitioner/dr-1"
        self.settings: dict[str, Any] = {}
        self.stay = STAY
        for resource in (
            {"resourceType": "Patient", "id": "p1", "identifier": [{"system": "urn:mrn", "value": "MRN-1"}]},
            {"resourceType": "Practitioner", "id": "dr-1", "name": [{"family": "Okafor", "given": ["Ada"]}]},
            {
                "resourceType": "Encounter",
                "id": "e1",
                "class": {"code": "IMP"},
                "subject": {"reference": "Patient/p1"},
                "identifier": [{"system": "urn:visit", "value": "V-1"}],
            },
        ):
            self.ehr.store.put(resource | {"meta": {"versionId": "1"}})
        self.history: list[RecordedEvent] = []
        for name in ("discharged", "context-extracted", "drafted", "review-requested"):
            self.record(event(name))

    def new(self) -> WriteBack:
        ehr = client(self.ehr)
        settings = ApprovalSettings(
            nats_seed=SecretStr("x"),
            write_back=self.profile,
            mdm=self.receiver.settings.model_copy(update=self.settings),
            ehr_contents=("text/plain",),
        )
        devices = Devices(ehr)
        filing = Filing(ehr, devices, lambda: T0)
        made = profiles.build_write_backs(settings, self.bus, ehr, filing, devices, lambda: T0, self._notify)
        return made.of(self.profile)

    async def _notify(self, decision: RecordedEvent) -> None:
        self.told[decision.id] = decision

    @property
    def case(self) -> Case:
        return fold(self.history)

    def record(self, body: CaseEvent) -> RecordedEvent:
        number = len(self.history) + 1
        head = ChainHead(number, f"{number:064}")
        self.history.append(RecordedEvent(CASE, derived_id(CASE.id, str(number)), "x", T0, "", body, head))
        return self.history[-1]

    def sign(self, body: Approved | Amended | Addended, text: str) -> SignedDocument:
        """The signature as an event, and what is to be filed for it."""
        follows, known = self.case.document, filed_ids(self.case)
        body = body.model_copy(update={"stay": self.stay, "signed": sha256_hex(text.encode()), "signer": self.signer})
        number = 1 if isinstance(body, Approved) else body.number
        return SignedDocument(self.record(body), body, text, number, 0, follows, known)

    async def file(self, document: SignedDocument, chart: WriteBack | None = None) -> Filed:
        """One attempt of a process that may have just started; where a person is told, they transfer it once."""
        try:
            return (await (chart or self.new()).file(document)).filed
        except ManualTransferRequiredError:
            return transferred(CASE, document.signature, document.number, PHYSICIAN)

    async def retract(self, retraction: SignedRetraction) -> RetractionFiled:
        try:
            return await self.new().retract(retraction)
        except ManualTransferRequiredError:
            return retraction_transferred(PHYSICIAN)

    def standing(self) -> list[str]:
        """The texts that stand in the chart, in any order."""
        if self.profile == "mdm":
            return sorted(text for text in self.receiver.documents.values() if not text.startswith(RETRACTION))
        if self.profile == "none":
            return sorted(self._transferred())
        found = self.ehr.store.candidates("DocumentReference", None, None)
        data = [item["content"][0]["attachment"]["data"] for item in found if item["status"] == "current"]
        return sorted(base64.b64decode(item).decode().rstrip("\n") for item in data)

    def _transferred(self) -> list[str]:
        bodies = [item.body for item in self.told.values()]
        if any(isinstance(body, Retracted) for body in bodies):
            return []
        texts = {sha256_hex(text.encode()): text.rstrip("\n") for text in (TEXT, CORRECTED, WORDS)}
        whole = [texts[body.signed] for body in bodies if isinstance(body, Approved | Amended)]
        return [*whole[-1:], *(texts[body.signed] for body in bodies if isinstance(body, Addended))]

    def lose_the_next_answer(self) -> None:
        self.ehr.faults.armed.append(Fault(kind="lost-response", method="POST", type="DocumentReference"))
        self.receiver.answers.append("silent")


@asynccontextmanager
async def at(profile: WriteBackProfile) -> AsyncIterator[Site]:
    async with receiving() as receiver:
        yield Site(profile, receiver)


def approved() -> Approved:
    return Approved(stay=STAY, draft=draft_ref(), task=None, signed="", edited=True, by=PHYSICIAN)


def amended(replaces: Filed) -> Amended:
    body = event("amended")
    assert isinstance(body, Amended)
    return body.model_copy(update={"replaces": replaces.document_reference, "number": 2})


def addended(appends: Filed) -> Addended:
    body = event("addended")
    assert isinstance(body, Addended)
    return body.model_copy(update={"appends": appends.document_reference, "number": 1})


def signature(kind: type[Signature], follows: Filed | None) -> Signature:
    if kind is Approved or follows is None:
        return approved()
    return amended(follows) if kind is Amended else addended(follows)


def retraction(site: Site) -> SignedRetraction:
    body = event("retracted")
    assert isinstance(body, Retracted)
    body = body.model_copy(
        update={"stay": site.stay, "documents": tuple(sorted(filed_ids(site.case))), "by": SUPERVISOR}
    )
    case = site.case
    return SignedRetraction(site.record(body), body, case)


def lines(*texts: str) -> list[str]:
    return sorted(text.rstrip("\n") for text in texts)


class Deaths:
    """The process dies before or after its `nth` write to the bus, the EHR or the receiver."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, nth: int, *, after: bool) -> None:
        self.left, self.after, self.died, self.dead = nth, after, False, False
        writes = (MemoryBus, "publish"), (FhirClient, "create"), (FhirClient, "update"), (sender, "exchange")
        for place, name in writes:
            monkeypatch.setattr(place, name, self._dying(getattr(place, name)))

    def _dying(self, real: Callable[..., Any]) -> Callable[..., Any]:
        async def write(*args: Any, **sent: Any) -> Any:
            if self.dead:  # it writes nothing any more, also not while its stack unwinds
                raise Died
            self.left -= 1
            if self.left != 0:
                return await real(*args, **sent)
            self.died = self.dead = True
            if self.after:
                await real(*args, **sent)
            raise Died

        return write


async def dies_everywhere(
    profile: WriteBackProfile,
    monkeypatch: pytest.MonkeyPatch,
    scenario: "Scenario",
    *,
    after: bool,
) -> None:
    """Run the scenario with a death at each of its writes, until none is left."""
    for nth in range(1, MOST_EFFECTS * 3):
        async with at(profile) as site:
            with monkeypatch.context() as patched:
                deaths = Deaths(patched, nth, after=after)
                await scenario(site, partial(_attempts, site, deaths))
            if not deaths.died:
                return
    pytest.fail("the scenario has more writes than expected")


class Attempts(Protocol):
    async def __call__(self, attempt: Callable[[], Any]) -> Any: ...


Scenario = Callable[[Site, Attempts], Any]


async def _attempts(site: Site, deaths: Deaths, attempt: Callable[[], Any]) -> Any:
    """As the bus does: what died is tried again, once the lease of its process has ended."""
    while True:
        try:
            return await attempt()
        except Died:
            deaths.dead = False
            site.bus.expire()


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("profile", PROFILES)
async def test_a_death_at_any_write_leaves_each_document_once(
    profile: WriteBackProfile, monkeypatch: pytest.MonkeyPatch, *, after: bool
) -> None:
    async def scenario(site: Site, attempts: Attempts) -> None:
        for kind, text, standing in (
            (Approved, TEXT, [TEXT]),
            (Amended, CORRECTED, [CORRECTED]),
            (Addended, WORDS, [CORRECTED, WORDS]),
        ):
            document = site.sign(signature(kind, site.case.document), text)
            site.record(await attempts(partial(site.file, document)))
            assert site.standing() == lines(*standing)
        taken_back = retraction(site)
        await attempts(lambda: site.retract(taken_back))
        assert site.standing() == []

    await dies_everywhere(profile, monkeypatch, scenario, after=after)


@pytest.mark.parametrize("profile", PROFILES)
async def test_a_lost_answer_leaves_one_document(profile: WriteBackProfile) -> None:
    async with at(profile) as site:
        document = site.sign(approved(), TEXT)
        site.lose_the_next_answer()
        if profile != "none":
            with pytest.raises(TransientError):
                await site.file(document)
        await site.file(document)
        assert site.standing() == lines(TEXT)


@pytest.mark.parametrize("profile", PROFILES)
async def test_what_is_filed_again_by_another_process_is_the_same(profile: WriteBackProfile) -> None:
    async with at(profile) as site:
        document = site.sign(approved(), TEXT)
        first = await site.file(document)
        assert await site.file(document) == first
        assert first.profile == profile
        assert site.standing() == lines(TEXT)


@pytest.mark.parametrize("profile", ["mdm", "none", "fhir"])
async def test_two_deliveries_at_once_leave_one_document(profile: WriteBackProfile) -> None:
    async with at(profile) as site:
        document = site.sign(approved(), TEXT)
        await asyncio.gather(*(site.file(document) for _ in range(2)))
        assert site.standing() == lines(TEXT)
        assert len(set(site.receiver.contents)) <= 1, "the same bytes"


async def test_of_two_creates_at_once_without_an_identifier_the_later_check_retires_one() -> None:
    async with at("fhir-basic") as site:
        document = site.sign(approved(), TEXT)
        filed, _ = await asyncio.gather(*(site.file(document) for _ in range(2)))
        site.record(filed)
        chart: Any = site.new()
        assert await chart.repair_document(CASE, site.case, site.case.entries[0]) == 0
        assert site.standing() == lines(TEXT)


@pytest.mark.parametrize("code", ["AE", "AR", "CE", "CR"])
async def test_a_refusal_holds_the_document_and_a_release_sends_another_message(code: str) -> None:
    async with at("mdm") as site:
        document = site.sign(approved(), TEXT)
        site.receiver.answers.append(code)
        with pytest.raises(DocumentHeldError, match=f"{code}, error 207"):
            await site.file(document)
        await site.file(replace(document, releases=1))
        first, second = site.receiver.contents
        assert _control_id(first) != _control_id(second)
        assert site.standing() == lines(TEXT)


@pytest.mark.parametrize("lost", ["lost", "silent", "other"])
async def test_a_message_without_an_answer_is_sent_again_as_it_was(lost: str) -> None:
    async with at("mdm") as site:
        document = site.sign(approved(), TEXT)
        site.receiver.answers.extend([lost, lost])
        for _ in range(2):
            with pytest.raises(TransientError):
                await site.file(document)
        filed = await site.file(document)
        assert len(set(site.receiver.contents)) == 1
        assert filed.acknowledgment == f"R-{_control_id(site.receiver.contents[0])}"
        assert filed.message == sha256_hex(site.receiver.contents[0])
        assert site.standing() == lines(TEXT)


async def test_one_message_is_on_its_way_at_a_time_from_every_process() -> None:
    async with at("mdm") as site:
        charts = [site.new() for _ in range(3)]
        first = site.sign(approved(), TEXT)
        site.record(await site.file(first, charts[0]))
        filed = site.case.document
        assert filed is not None
        documents = [site.sign(addended(filed).model_copy(update={"number": n}), f"{WORDS}{n}\n") for n in range(1, 6)]
        await asyncio.gather(
            *(site.file(document, charts[n % 3]) for n, document in enumerate([*documents, *documents]))
        )
        assert site.receiver.most_open == 1
        assert len(site.receiver.documents) == len(site.receiver.contents) == 6, "what another process sent is not sent"


async def test_the_patient_is_that_of_the_stay_as_it_is_now() -> None:
    async with at("mdm") as site:
        encounter = site.ehr.store.get("Encounter", "e1")
        assert encounter is not None
        site.ehr.store.put(
            {"resourceType": "Patient", "id": "merged", "identifier": [{"system": "urn:mrn", "value": "MRN-2"}]}
        )
        site.ehr.store.put(encounter | {"subject": {"reference": "Patient/merged"}})
        await site.file(site.sign(approved(), TEXT))
        assert b"|MRN-2^^^^MR|" in site.receiver.contents[0]


async def test_a_signer_without_a_practitioner_is_held_where_the_ehr_needs_one() -> None:
    async with at("fhir-basic") as site:
        site.signer = ""
        with pytest.raises(DocumentHeldError, match="Practitioner"):
            await site.file(site.sign(approved(), TEXT))


async def test_a_document_that_the_chart_has_otherwise_is_not_corrected() -> None:
    async with at("fhir-basic") as site:
        site.record(await site.file(site.sign(approved(), TEXT)))
        (own,) = site.ehr.store.candidates("DocumentReference", None, None)
        other = [{"attachment": {"contentType": "text/plain", "data": base64.b64encode(b"x").decode()}}]
        site.ehr.store.put(own | {"content": other})
        filed = site.case.document
        assert filed is not None
        with pytest.raises(DocumentHeldError, match="not what was filed"):
            await site.file(site.sign(amended(filed), CORRECTED))


def _control_id(content: bytes) -> str:
    return content.split(b"|")[9].decode()


async def test_the_pdf_or_the_text_where_none_can_be_made() -> None:
    async with at("mdm") as site:
        site.settings = {"content": "pdf"}
        document = site.sign(approved(), TEXT)  # its draft is not there: no PDF can be made of it
        written = await site.new().file(document)
        assert written.refused == ("application/pdf",)
        assert written.filed.renditions == {"text/plain": sha256_hex(TEXT.encode())}
        assert site.standing() == lines(TEXT)


async def test_a_character_that_the_charset_does_not_have_holds_the_document_or_is_escaped() -> None:
    async with at("mdm") as site:
        document = site.sign(approved(), TEXT)
        site.settings = {"charset": "8859/1"}
        with pytest.raises(DocumentHeldError, match=r"8859/1 .* U\+0141$"):
            await site.file(document)
        assert site.receiver.contents == []
        site.settings = {"charset": "8859/1", "unencodable": "escape"}
        await site.file(document)
        assert b"|8859/1\r" in site.receiver.contents[0]
        assert b"\\XC581\\ukasz" in site.receiver.contents[0]
        assert site.standing() == lines(TEXT)


@pytest.mark.parametrize("profile", PROFILES)
async def test_what_was_not_filed_before_a_restore_is_held_where_the_chart_cannot_be_read(
    profile: WriteBackProfile,
) -> None:
    async with at(profile) as site:
        document = replace(site.sign(approved(), TEXT), doubt="a backup was restored")
        if profile in ("fhir", "fhir-basic"):
            await site.file(document)
            assert site.standing() == lines(TEXT)
            return
        with pytest.raises(DocumentHeldError, match="a backup was restored"):
            await site.new().file(document)
        site.record(await site.file(replace(document, doubt="")))
        sent, told = list(site.receiver.contents), dict(site.told)
        taken_back = replace(retraction(site), doubt="a backup was restored")
        with pytest.raises(DocumentHeldError, match="a backup was restored"):
            await site.new().retract(taken_back)
        assert (site.receiver.contents, site.told) == (sent, told)


async def test_after_a_restore_a_message_counts_that_the_receiver_had_accepted() -> None:
    async with at("mdm") as site:
        document = site.sign(approved(), TEXT)
        first = await site.file(document)
        assert await site.file(replace(document, doubt="a backup was restored")) == first
        site.record(first)
        addendum = site.sign(addended(first), WORDS)
        site.receiver.answers.append("silent")
        with pytest.raises(TransientError):
            await site.file(addendum)
        sent = list(site.receiver.contents)
        with pytest.raises(DocumentHeldError, match="a backup was restored"):
            await site.file(replace(addendum, doubt="a backup was restored"))
        assert site.receiver.contents == sent
        await site.file(replace(addendum, releases=1, released="f" * 64))
        assert _control_id(site.receiver.contents[-1]) != _control_id(sent[-1])


OWN_LINE = authorship_line("rules")


@pytest.mark.parametrize(
    ("content_type", "data", "held"),
    [
        ("text/plain;charset=utf-8", f"DISCHARGE SUMMARY\n\n{OWN_LINE}\n".encode(), True),
        ("application/xhtml+xml", f"<html><body><p>{OWN_LINE}</p></body></html>".encode(), True),
        ("application/pdf", b"%PDF-1.7", True),  # what it says cannot be seen
        ("text/plain", b"A note of the EHR.\n", False),
    ],
)
async def test_after_a_restore_a_document_that_may_be_ours_holds_another_one(
    content_type: str, data: bytes, *, held: bool
) -> None:
    async with at("fhir-basic") as site:
        attachment = {"contentType": content_type, "data": base64.b64encode(data).decode()}
        other = basic_resources.document(approved(), "Practitioner/dr-1", "text/plain", b"", "2026-11-29T08:00:00Z")
        site.ehr.store.put(other | {"id": "other", "meta": {"versionId": "1"}, "content": [{"attachment": attachment}]})
        document = site.sign(approved(), TEXT)
        doubtful = replace(document, doubt="a backup was restored")
        if held:
            with pytest.raises(DocumentHeldError, match="DocumentReference other may be it"):
                await site.file(doubtful)
            assert len(list(site.ehr.store.candidates("DocumentReference", None, None))) == 1
        else:
            await site.file(doubtful)
        await site.file(document)  # a person has looked
        assert len(list(site.ehr.store.candidates("DocumentReference", None, None))) == 2


async def test_messages_are_erased_with_their_case() -> None:
    async with at("mdm") as site:
        document = site.sign(approved(), TEXT)
        filed = await site.file(document)
        outbox = Outbox(site.bus)
        assert await outbox.digests(document.decision.head.digest) == [filed.message]
        assert filed.message in texts_of([site.record(filed)])["renditions"]


@pytest.mark.parametrize("profile", ["mdm", "none"])
async def test_its_events_are_proved_where_the_chart_cannot_be_read(profile: WriteBackProfile) -> None:
    async with at(profile) as site:
        document = site.sign(approved(), TEXT)
        filed = site.record(await site.file(document))
        assert isinstance(filed.body, Filed)
        assert await against_chart(FiledSignature(filed, filed.body, document.decision), client(site.ehr)) == []
        forged = filed.body.model_copy(update={"renditions": {"text/plain": "0" * 64}})
        (reason,) = await against_chart(FiledSignature(filed, forged, document.decision), client(site.ehr))
        assert reason.words == "the text that was filed is not the one that was signed"

"""Approval with its pages, its API and the EHR's inbox on a bus in memory, the sandbox EHR behind it; no process, no
socket. A scripted drafter writes what a test wants it to write.
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import httpx
from fastapi import FastAPI

from sandbox_ehr.app import Sandbox
from sandbox_ehr.store import Store
from services.approval.absences.registry import AbsenceRegistry
from services.approval.corrections.api import router as corrections_router
from services.approval.corrections.service import CorrectionsService
from services.approval.dependencies import ApiDependencies
from services.approval.ehr_tasks.decisions import EhrDecisionHandler
from services.approval.ehr_tasks.tasks import Devices, ReviewTasks
from services.approval.escalation.directory import Directory
from services.approval.filing.fhir_write_back import FhirWriteBack
from services.approval.filing.filing import Filing
from services.approval.filing.renditions.make import TEXT
from services.approval.filing.renditions.writer import Renditions
from services.approval.filing.retraction import RetractionFiling
from services.approval.filing.service import UnfiledDocumentService
from services.approval.filing.status import FilingStatuses
from services.approval.filing.write_back import WriteBacks
from services.approval.handlers import Approval
from services.approval.projections.open_reviews import OpenReviewsProjection
from services.approval.projections.preparations import PreparationsProjection
from services.approval.projections.unfiled import UnfiledProjection
from services.approval.ratings.service import RatingService
from services.approval.review.added_text import Statement, statements
from services.approval.review.api import router as reviews_router
from services.approval.review.autosave import DraftAutosave
from services.approval.review.record_check import RecordChecker
from services.approval.review.service import ReviewService
from services.approval.web.case import router as case_pages
from services.approval.web.corrections import router as correction_pages
from services.drafter import domain as drafter
from services.drafter.compose import compose
from services.drafter.facts import render
from shared.contracts.case import Case, fold
from shared.contracts.context import EncounterContext
from shared.contracts.draft import Draft, OpenPoint, Sentence
from shared.contracts.ehr import TaskChanged
from shared.contracts.envelope import CHAIN_START, RecordedEvent
from shared.contracts.events import CaseEvent, ContextExtracted, Discharged, WriteBackProfile
from shared.contracts.model import read_strictly
from shared.contracts.steps import DRAFT, FILE, REQUEST_REVIEW, SETTLE_REJECTION
from shared.grounding import EvidenceIndex
from shared.messaging.access_log import AccessLog
from shared.messaging.artifacts import Artifacts, CaseTexts
from shared.messaging.broker import ServiceBroker
from shared.messaging.ehr_publisher import publish_task_changed
from shared.messaging.event_store import EventStore
from shared.messaging.steps import StepContext
from shared.runtime import problems
from shared.runtime.authentication import ApiToken, ApiTokens, Authenticator, token_digest
from shared.runtime.dependencies import mount, provide
from tests.support.ehr import client
from tests.support.examples import CASE, PHYSICIAN, PROMPT, STAY, SUPERVISOR, T0
from tests.support.memory import MemoryBus, StoredMessage, consumers_of, deliver

TIMES = (timedelta(hours=24), timedelta(hours=72), timedelta(days=7))


class StaticReviews(OpenReviewsProjection):
    """An inbox that follows nothing: every decision starts from the trail."""

    async def start(self, bus: Any) -> None:
        return None


class InProcessChecker(RecordChecker):
    """Checks texts without a process of its own, which takes a second to start: tests/component/test_record_check.py
    shows that both say the same.
    """

    async def check(self, texts: CaseTexts, draft: Draft, text: str, by: str) -> tuple[Statement, ...]:
        if text == draft.text:
            return ()
        context = read_strictly(EncounterContext, await texts.get(draft.context_digest))
        return statements(draft, text, EvidenceIndex(context))


class Approving:
    """One case of `context`. `next_draft` is what the drafter writes next."""

    def __init__(self, context: EncounterContext) -> None:
        self.context = context
        self.next_draft: Sequence[Sentence] = ()
        self.points: Sequence[str] = ()
        self.bus: Any = MemoryBus()
        self.ehr = Sandbox(Store(), "plain")
        self._done: set[tuple[str, int]] = set()  # messages that were delivered, by stream and sequence
        self._ids = 0
        self._told = 0

    async def start(self) -> None:
        fhir = client(self.ehr)
        self.brokers = {name: ServiceBroker(name, self.bus, self.now) for name in ("drafter", "approval")}
        self.brokers["drafter"].on(DRAFT, self._draft)
        devices, reviews = Devices(fhir), StaticReviews()
        directory = Directory(fhir, {"*": SUPERVISOR.practitioner or ""}, TIMES)
        tasks, filing = ReviewTasks(fhir, devices, self.now, "https://x"), Filing(fhir, devices, self.now)
        renditions = Renditions(self.bus, fhir, devices, (TEXT,), "a4")
        chart = FhirWriteBack(filing, RetractionFiling(fhir, filing, self.now), renditions)
        write_backs = WriteBacks(self._profile, {"fhir": chart}, {"fhir": chart})
        approval = Approval(
            self.bus, tasks, write_backs, directory, reviews, AbsenceRegistry(self.bus, self.now), self.now
        )
        log, working = AccessLog(self.bus, self.now, self.new_id), DraftAutosave(self.bus)
        self.review = ReviewService(
            self.bus, fhir, directory, reviews, log, self.now, self.new_id, timedelta(minutes=15)
        )
        self.review.cases.checker = InProcessChecker()
        corrections = CorrectionsService(self.bus, self.review)
        decisions = EhrDecisionHandler(self.bus, fhir, self.review, directory, tasks, log, draft_shown=False)
        broker = self.brokers["approval"]
        broker.on(REQUEST_REVIEW, approval.request_review, compensate=approval.cancel_request)
        broker.on(FILE, approval.file)
        broker.on(SETTLE_REJECTION, approval.settle_rejection)
        broker.on_message("approval-ehr-task", decisions.on_task)
        files = UnfiledDocumentService(
            self.review, write_backs, FilingStatuses(self.bus, self.now), UnfiledProjection(self.now), renditions
        )
        self.http = self._http(log, reviews, working, corrections, files)
        self.journal, self.artifacts = EventStore(self.bus, "approval"), Artifacts(self.bus)

    def now(self) -> Any:
        return T0

    async def _profile(self) -> WriteBackProfile:
        return "fhir"

    def new_id(self) -> str:
        self._ids += 1
        return f"id-{self._ids}"

    def _http(
        self,
        log: AccessLog,
        reviews: OpenReviewsProjection,
        working: DraftAutosave,
        corrections: CorrectionsService,
        files: UnfiledDocumentService,
    ) -> httpx.AsyncClient:
        people = {"physician": PHYSICIAN, "supervisor": SUPERVISOR}
        guard = Authenticator(
            ApiTokens(
                tokens=tuple(
                    ApiToken(
                        subject=who.subject,
                        role=role,  # type: ignore[arg-type]
                        practitioner=who.practitioner,
                        sha256=token_digest(role),
                    )
                    for role, who in people.items()
                )
            )
        )
        absent: Any = None  # dependencies of routes that are not served here
        api = ApiDependencies(
            authenticator=guard,
            log=log,
            clock=self.now,
            organization="test",
            zone_of=lambda _: None,
            trace_url="",
            review=self.review,
            open_reviews=reviews,
            corrections=corrections,
            ratings=RatingService(self.review),
            autosave=working,
            preparations=PreparationsProjection(reviews.notify),
            erasures=absent,
            directory=absent,
            sign_in=absent,
            labels=absent,
            chart=files,
            unreadable=absent,
            ehr=absent,
            streams=absent,
            operations=absent,
            webhooks=absent,
            feed=absent,
            department=absent,
            system=absent,
            health=absent,
            alerts=absent,
            access_log=absent,
            signatures=absent,
            index=absent,
            views=absent,
            trials=absent,
            verifications=absent,
            evidence=absent,
        )
        app = FastAPI()
        problems.install_error_handlers(app)
        provide(app, api)
        mount(app, reviews_router, corrections_router, case_pages, correction_pages)
        return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://x")

    async def _draft(self, work: StepContext[CaseEvent]) -> Any:
        cause: Any = work.cause.body
        made = compose(
            self.context,
            render(self.context),
            tuple(self.next_draft),
            number=drafter.number_of(cause),
            model="m",
            prompt=PROMPT,
            context_digest=cause.context,
        )
        made = made.model_copy(update={"open_points": tuple(OpenPoint(text=point) for point in self.points)})
        return drafter.drafted(
            cause,
            made,
            await self.artifacts.of(work.cause.case.id, work.cause.head.sequence).put(made.model_dump_json().encode()),
        )

    async def discharge(self) -> None:
        """The case, up to its first review."""
        context = await self.artifacts.of(CASE.id).put(self.context.model_dump_json().encode())
        head = await self.journal.append(CASE, Discharged(encounter_id="e1"), after=CHAIN_START, id="d", time=T0)
        stay = STAY.model_copy(update={"attending": PHYSICIAN.practitioner})
        read = ContextExtracted(
            stay=stay, kind="discharge-summary", context=context, encounter_status="finished", left_out=0
        )
        await self.journal.append(CASE, read, after=head, id="c", time=T0)
        await self.work()

    async def work(self) -> None:
        """Whatever waits is delivered, until nothing does."""
        while waiting := [item for item in self.bus.kept if self._waits(item)]:
            for message in waiting:
                self._done.add((message.stream, message.sequence))
                for consumer in consumers_of(message):
                    broker = self.brokers.get(consumer.partition("-")[0])
                    if broker is not None and consumer in broker.consumers:
                        await deliver(broker, consumer, message)

    def _waits(self, item: StoredMessage) -> bool:
        return item.stream in ("DISCHARGE", "EHR") and (item.stream, item.sequence) not in self._done

    async def notify_task_change(self, task: str) -> None:
        """The EHR says that a Task has changed."""
        self._told += 1
        await publish_task_changed(self.bus, TaskChanged(task_id=task), source="test", id=f"told-{self._told}")
        await self.work()

    async def call(self, method: str, path: str, role: str = "physician", **sent: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {role}"} | sent.pop("headers", {})
        answer = await self.http.request(method, path, headers=headers, **sent)
        await self.work()
        return answer

    async def history(self) -> list[RecordedEvent]:
        return await self.journal.find(CASE.id)

    async def case(self) -> Case:
        return fold(await self.history())

    async def draft(self, digest: str) -> Draft:
        return Draft.model_validate_json(await self.artifacts.of(CASE.id).get(digest))

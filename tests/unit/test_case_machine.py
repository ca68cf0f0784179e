"""Whatever happens to a case, in whatever order and however often: each signature is filed once and none is lost.

The real steps, journal and rules run on a bus in memory; hypothesis chooses what is delivered when, how often, how
late, and when somebody decides, withdraws, fails or retries.
"""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from services.approval import domain as approval
from services.approval.corrections import rules as correction_rules
from services.approval.erasure import rules as erasure
from services.approval.escalation import rules as escalation_rules
from services.approval.preparation.expiry import PreparationExpiry
from services.approval.projections.case_index import CaseRow, next_row
from services.approval.ratings import rules as rating_rules
from services.approval.review.errors import DecisionRefusedError
from services.drafter import domain as drafter
from services.ingest.handlers import Ingest
from services.ingest.preparation.handlers import Preparations
from shared.contracts.case import (
    WITHDRAWABLE_STATES,
    causing_event,
    current_digest,
    fold,
    latest_document,
    unexpected_events,
)
from shared.contracts.corrections import Addended, Amended, Retracted, RetractionFiled, RetractionRequested
from shared.contracts.ehr import EncounterReported
from shared.contracts.envelope import RecordedEvent
from shared.contracts.errors import TransientError
from shared.contracts.events import Actor, Approved, CaseEvent, Discharged, Filed, Rejected, ReviewRequested, StepName
from shared.contracts.ratings import RATINGS, Rating
from shared.contracts.steps import FILE, STEPS
from shared.contracts.subjects import derived_id
from shared.messaging.broker import ServiceBroker
from shared.messaging.dead_letters import Attribution
from shared.messaging.event_store import EventStore, WrongExpectedVersionError
from shared.messaging.operator_requests import retry
from shared.messaging.steps import StepContext
from tests.support.chain import broken_link
from tests.support.effort import THOROUGH
from tests.support.examples import DIGEST, OPERATOR, PHYSICIAN, SUPERVISOR, T0, TEXT, draft, event
from tests.support.memory import MemoryBus, StoredMessage, consumers_of, deliver, refuse

pytestmark = pytest.mark.slow

FACT = EncounterReported(encounter_id="e1", department="cardiology", attending="Practitioner/dr-1")
DEADLINES = escalation_rules.deadlines(T0, (timedelta(hours=24), timedelta(hours=72), timedelta(days=7)))
RETENTION = erasure.Retention({"record": timedelta(days=90), "draft": timedelta(days=90)}, timedelta(days=30))
ABOUT = ("hold-placed", "hold-released", "erasure-ordered", "erased", "rated")  # a case, and not what is done in it
PRODUCED_BY: dict[str, StepName] = {
    "context-extracted": "extract",
    "drafted": "draft",
    "review-requested": "request-review",
    "filed": "file",
    "retraction-filed": "file",
    "redraft-requested": "settle-rejection",
    "erased": "erase",
    "prepared": "prepare",
}


class CaseMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.bus: Any = MemoryBus()
        services = ("ingest", "drafter", "approval", "evaluator")
        self.brokers = {name: ServiceBroker(name, self.bus, lambda: T0) for name in services}
        self.ingest = Ingest(self.bus, "test", lambda: T0)
        self.preparations = Preparations(self.bus, "test", "general", timedelta(days=7), lambda: T0)
        self.brokers["ingest"].on_message("ingest-discharged", self.ingest.on_discharged)
        self.brokers["ingest"].on_message("ingest-cancelled", self.ingest.on_cancelled)
        self.failing = False
        self.filed_for: list[str] = []  # approvals that the filing step carried out
        handlers = (self.extract, self.draft, self.request, self.file, self.settle, self.erase, self.prepare)
        for step, handler in zip(STEPS, handlers, strict=True):
            self.brokers[step.service].on(step, handler)
        self.journal = EventStore(self.bus, "approval")
        self.case = self.ingest.case_of(FACT)
        self.stale: list[RecordedEvent] = []  # a history that somebody has read and not acted on yet
        self.ids = 0

    # The steps, with the real rules and no EHR.

    async def extract(self, work: StepContext[CaseEvent]) -> CaseEvent:
        return self._unless_failing(event("context-extracted"))

    async def prepare(self, work: StepContext[CaseEvent]) -> CaseEvent:
        return self._unless_failing(event("prepared"))

    async def draft(self, work: StepContext[CaseEvent]) -> CaseEvent:
        cause: Any = work.cause.body
        made = draft().model_copy(update={"number": drafter.number_of(cause)})
        return self._unless_failing(drafter.drafted(cause, made, f"{made.number:0>64}"))

    async def request(self, work: StepContext[CaseEvent]) -> CaseEvent:
        drafted: Any = work.cause.body
        return self._unless_failing(approval.request(drafted, "task", DEADLINES))

    async def file(self, work: StepContext[CaseEvent]) -> CaseEvent:
        if work.cause.name == "retracted":
            return self._unless_failing(RetractionFiled(provenance="prov"))
        made = self._unless_failing(Filed(document_reference=f"doc-{work.cause.id}", provenance="prov"))
        self.filed_for.append(work.cause.id)
        return made

    async def settle(self, work: StepContext[CaseEvent]) -> CaseEvent:
        rejected: Any = work.cause.body
        return self._unless_failing(approval.after_rejection(rejected))

    def _unless_failing(self, made: CaseEvent) -> CaseEvent:
        if self.failing:
            raise refuse()
        return made

    def run(self, work: Any) -> Any:
        return self.loop.run_until_complete(work)

    def history(self) -> list[RecordedEvent]:
        return list(self.run(self.journal.find(self.case.id)))

    def deliver(self, message: StoredMessage, consumer: str, attempt: int) -> None:
        broker = self.brokers[consumer.partition("-")[0]]
        if consumer in broker.consumers:
            self.run(deliver(broker, consumer, message, attempt))

    # What may happen.

    @initialize(prepared=st.booleans())
    def begin(self, prepared: bool) -> None:
        if prepared:
            self.discharge_is_pending("p1")
        else:
            self.discharge("d1")

    @rule(cause=st.sampled_from(["p1", "p2", "p3"]))
    def discharge_is_pending(self, cause: str) -> None:
        try:
            self.run(self.preparations.request(FACT, cause))
        except TransientError:
            assert fold(self.history()).erasing, "it comes again once that is done"

    @rule(cause=st.sampled_from(["e1", "e2"]))
    def discharge_is_not_pending(self, cause: str) -> None:
        self.run(self.preparations.end(FACT, cause))

    @rule(days=st.sampled_from([6, 8]))
    def time_passes(self, days: int) -> None:
        rows: Any = None
        expiry = PreparationExpiry(self.bus, rows, timedelta(1), lambda: T0 + timedelta(days=days))
        before = fold(self.history()).preparation
        self.run(expiry.end(self.case.id))
        assert (fold(self.history()).preparation is None) == (before is None or days > 7)

    @rule(cause=st.sampled_from(["d1", "d2", "d3"]))
    def discharge(self, cause: str) -> None:
        try:
            self.run(self.ingest.open(FACT, cause))
        except TransientError:
            case = fold(self.history())
            assert case.erasing or case.awaits == "file", "it comes again once that is done"

    @rule(cause=st.sampled_from(["c1", "c2"]))
    def cancel_discharge(self, cause: str) -> None:
        try:
            self.run(self.ingest.withdraw(FACT, cause))
        except TransientError:
            assert not self.history()

    @precondition(lambda self: self.bus.kept)
    @rule(data=st.data(), attempt=st.sampled_from([1, 1, 2, 5]), fails=st.booleans())
    def some_message_is_delivered(self, data: st.DataObject, attempt: int, fails: bool) -> None:
        events = [item for item in self.bus.kept if item.stream == "DISCHARGE"]
        if not events:
            return
        message = data.draw(st.sampled_from(events))
        self.failing = fails and data.draw(st.booleans())
        for consumer in consumers_of(message):
            self.deliver(message, consumer, attempt)
        self.failing = False

    @rule()
    def work_goes_on(self) -> None:
        """The latest event reaches its consumers, as on a good day."""
        latest = next(item for item in reversed(self.bus.kept) if item.stream == "DISCHARGE")
        for consumer in consumers_of(latest):
            self.deliver(latest, consumer, 1)

    @rule()
    def a_good_day(self) -> None:
        """From wherever the case is, up to its filing."""
        for _ in range(4):
            self.work_goes_on()
        self.somebody_decides("approve", stale=False)
        self.work_goes_on()

    @rule()
    def somebody_reads(self) -> None:
        self.stale = self.history()

    @rule(decision=st.sampled_from(["approve", "redraft", "close"]), stale=st.booleans())
    def somebody_decides(self, decision: str, stale: bool) -> None:
        history = self.stale if stale else self.history()
        case = fold(history)
        seen = case.review.draft.digest if case.review else DIGEST
        try:
            made: Approved | Rejected
            if decision == "approve":
                made = approval.approve(case, seen, PHYSICIAN, draft=draft())
            else:
                made = approval.reject(case, seen, PHYSICIAN, decision, DIGEST)  # type: ignore[arg-type]
        except DecisionRefusedError:
            return
        self._append(history, made)

    @rule(stale=st.booleans())
    def somebody_gives_it_away(self, stale: bool) -> None:
        history = self.stale if stale else self.history()
        try:
            made = approval.reassign(fold(history), "Practitioner/dr-2", PHYSICIAN, DIGEST, DEADLINES)
        except DecisionRefusedError:
            return
        self._append(history, made)

    @precondition(lambda self: fold(self.history()).document is not None)
    @rule(deed=st.sampled_from(["amend", "addend", "ask", "confirm"]), second=st.booleans(), stale=st.booleans())
    def somebody_corrects(self, deed: str, second: bool, stale: bool) -> None:
        history = self.stale if stale else self.history()
        case, by = fold(history), SUPERVISOR if second else PHYSICIAN
        seen, words = current_digest(case), f"Line {self.ids}."
        try:
            match deed:
                case "amend":
                    made: CaseEvent = correction_rules.amend(case, seen, by, draft(), f"{TEXT}{words}\n", DIGEST)
                case "addend":
                    made = correction_rules.addend(case, seen, by, draft(), words, DIGEST)
                case "ask":
                    made = correction_rules.request_retraction(case, seen, by, DIGEST)
                case _:
                    made = correction_rules.retract(case, seen, by)
        except DecisionRefusedError:
            return
        self._append(history, made)

    @precondition(lambda self: fold(self.history()).state == "filed")
    @rule()
    def two_people_retract(self) -> None:
        self.somebody_corrects("ask", second=False, stale=False)
        self.somebody_corrects("confirm", second=True, stale=False)
        self.work_goes_on()

    @rule(level=st.integers(1, 3), stale=st.booleans())
    def a_timer_fires(self, level: int, stale: bool) -> None:
        history = self.stale if stale else self.history()
        clock = fold(history).escalation_run or "none"
        made = escalation_rules.escalate(history, clock, level, DEADLINES[level - 1], "Practitioner/s")
        if made is not None:
            self._append(history, made)

    def _append(self, history: list[RecordedEvent], made: CaseEvent) -> None:
        self.ids += 1
        try:
            self.run(
                self.journal.append(history[-1].case, made, after=history[-1].head, id=f"decision-{self.ids}", time=T0)
            )
        except WrongExpectedVersionError:
            return

    @rule(deed=st.sampled_from(["hold", "release", "erase", "retain"]), stale=st.booleans())
    def somebody_holds_or_erases(self, deed: str, stale: bool) -> None:
        history = self.stale if stale else self.history()
        case = fold(history)
        made: CaseEvent | None
        try:
            match deed:
                case "hold":
                    made = erasure.place_hold(case, "litigation", OPERATOR, None)
                case "release":
                    made = erasure.release_hold(case, OPERATOR, None)
                case "erase":
                    made = erasure.order(case, "court-order", OPERATOR, None)
                case _:
                    made = erasure.due(history, RETENTION, T0 + timedelta(days=100)) if history else None
        except DecisionRefusedError:
            return
        if made is not None:
            self._append(history, made)

    @rule(rating=st.sampled_from(RATINGS), by=st.sampled_from([PHYSICIAN, SUPERVISOR]), stale=st.booleans())
    def somebody_rates(self, rating: Rating, by: Actor, stale: bool) -> None:
        history = self.stale if stale else self.history()
        case = fold(history)
        try:
            made = rating_rules.rate(case, None, by, rating, None)
        except DecisionRefusedError:
            return
        assert by == PHYSICIAN, "who has signed"
        assert latest_document(case) is not None
        self._append(history, made)

    async def erase(self, work: StepContext[CaseEvent]) -> CaseEvent:
        ordered: Any = work.cause.body
        return self._unless_failing(erasure.carried_out(ordered, 1))

    @rule()
    def an_operator_redrives(self) -> None:
        history = self.history()
        if fold(history).failure is not None:
            id = derived_id(f"DEADLETTER/{history[-1].head.sequence}", "retried")
            self.run(retry(self.journal, self.case, id, Attribution("operator", "", T0)))

    # What must hold.

    @invariant()
    def the_chain_holds(self) -> None:
        assert broken_link(self.history()) is None

    @invariant()
    def nothing_of_ours_appends_what_does_not_fit(self) -> None:
        assert unexpected_events(self.history()) == []

    @invariant()
    def the_index_of_cases_tells_what_the_history_gives(self) -> None:
        row: CaseRow | None = None
        for item in self.history():
            row = next_row(row, item)
        if row is not None:
            case = fold(self.history())
            failure = case.failure.reason if case.failure is not None else None
            step = case.failure.step if case.failure is not None else None
            assert (row.state, row.case.awaits, row.owner) == (case.state, case.awaits, case.owner)
            assert (row.failed_step, row.failure) == (step, failure)
            assert row.sequence == case.head.sequence

    @invariant()
    def each_signature_is_filed_at_most_once_and_before_the_next(self) -> None:
        waiting: RecordedEvent | None = None
        for item in self.history():
            if item.name in FILE.consumed_names:
                assert waiting is None
                waiting = item
            if item.name in ("filed", "retraction-filed"):
                assert waiting is not None
                assert (item.name == "retraction-filed") == (waiting.name == "retracted")
                waiting = None
        assert set(self.filed_for) <= {item.id for item in self.history() if item.name in FILE.consumed_names}

    @invariant()
    def a_correction_replaces_what_stands_and_a_retraction_takes_two(self) -> None:
        stands: str | None = None
        signed, asked = "", None
        for item in self.history():
            body = item.body
            signed = item.name if item.name in FILE.consumed_names else signed
            asked = None if isinstance(body, Amended | Addended | Discharged) else asked
            match body:
                case Filed():
                    stands = body.document_reference if signed != "addended" else stands
                case Amended():
                    assert body.replaces == stands
                case Addended():
                    assert body.appends == stands
                case RetractionRequested():
                    asked = body
                case Retracted():
                    assert asked is not None
                    assert body.requested_by == asked.by != body.by
                    assert stands in body.documents
                case _:
                    pass

    @invariant()
    def a_step_appends_only_while_the_case_awaits_it_and_for_its_latest_cause(self) -> None:
        history = self.history()
        for index, item in enumerate(history):
            before = history[:index]
            if item.name == "erasure-ordered":
                assert fold(before).has_no_pending_step
                assert fold(before).hold is None
            if item.name in ABOUT or (item.name in ("failed", "retried") and item.body.step == "erase"):  # type: ignore[union-attr]
                after = fold(history[: index + 1])
                assert after.state in (fold(before).state, "closed", "failed", after.ended)
                continue
            before = [known for known in before if known.name not in ABOUT]
            if item.name in PRODUCED_BY:
                assert fold(before).awaits == PRODUCED_BY[item.name]
                cause = causing_event(PRODUCED_BY[item.name], before)
                assert cause is not None
                assert item.id == derived_id(cause.id, item.name)
            if item.name == "withdrawn":
                assert fold(before).state in WITHDRAWABLE_STATES
                assert latest_document(fold(before)) is None, "what was signed is not withdrawn"
            if before and before[-1].name == "filed":
                assert item.name in ("amended", "addended", "retraction-requested")
            if before and before[-1].name in ("withdrawn", "closed", "retraction-filed", "preparation-ended"):
                assert before[-1].name != "closed"
                prepared = (
                    before[-1].name in ("withdrawn", "preparation-ended") and item.name == "preparation-requested"
                )
                assert item.name == "discharged" or prepared

    @invariant()
    def nothing_is_reviewed_or_signed_before_the_discharge(self) -> None:
        discharged = False
        before_discharge = ("preparation-requested", "prepared", "preparation-ended", *ABOUT, "failed", "retried")
        for item in self.history():
            assert discharged or item.name in (*before_discharge, "discharged")
            if item.name in ("discharged", "preparation-requested"):
                discharged = item.name == "discharged"

    @invariant()
    def one_decision_for_each_review(self) -> None:
        decided = True
        for item in self.history():
            if isinstance(item.body, ReviewRequested):
                decided = False
            if isinstance(item.body, Approved | Rejected):
                assert not decided
                decided = True

    def teardown(self) -> None:
        """Once everything is delivered, no case waits for a step: a person, or nobody, has the next word."""
        seen = -1
        while seen != len(self.bus.kept):
            seen = len(self.bus.kept)
            for message in list(self.bus.kept):
                for consumer in consumers_of(message):
                    self.deliver(message, consumer, 1)
        case = fold(self.history())
        assert case.awaits is None or not case.exists
        assert case.state != "preparing"
        assert case.state != "drafting" or not case.exists
        assert case.state != "approved"
        assert case.state != "retracted" or case.retracted is not None
        self.loop.close()


TestCaseMachine = CaseMachine.TestCase
TestCaseMachine.settings = settings(
    max_examples=100 * THOROUGH,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=(Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink),
)

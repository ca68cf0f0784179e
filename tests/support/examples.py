"""Ready-made values for tests: a stay, a draft, an event of each type."""

from datetime import UTC, datetime, timedelta

from shared.contracts.corrections import Addended, Amended, Retracted, RetractionFiled, RetractionRequested
from shared.contracts.draft import DocumentPart, Draft, Fact, FactGroup, Prompt, Sentence
from shared.contracts.events import (
    Actor,
    Approved,
    CaseEvent,
    Closed,
    ContextExtracted,
    Discharged,
    Drafted,
    DraftRef,
    Escalated,
    Failed,
    Filed,
    Reassigned,
    RedraftRequested,
    Reimported,
    Rejected,
    Retried,
    ReviewRequested,
    StayReferences,
    Withdrawn,
)
from shared.contracts.preparation import PreparationEnded, PreparationRequested, Prepared
from shared.contracts.ratings import Rated
from shared.contracts.retention import TEXT_KINDS, Erased, ErasureOrdered, HoldPlaced, HoldReleased
from shared.contracts.subjects import CaseRef

T0 = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
CASE = CaseRef("cardiology", "4d1c2c4e-5d0f-5a43-9a3e-3f1f5a0c7f11")
PROMPT = Prompt(name="discharge-narrative", version=1, digest="d" * 64)
STAY = StayReferences(
    encounter="Encounter/e1",
    patient="Patient/p1",
    attending="Practitioner/dr-1",
    organization="Organization/o1",
    start=T0 - timedelta(days=3),
    end=T0 - timedelta(hours=1),
)
PHYSICIAN = Actor(subject="dr-1", role="physician", practitioner="Practitioner/dr-1")
SUPERVISOR = Actor(subject="boss", role="supervisor", practitioner="Practitioner/boss")
OPERATOR = Actor(subject="privacy-office", role="operator")
DIGEST = "a" * 64


def draft_ref(number: int = 1, value: str = DIGEST) -> DraftRef:
    return DraftRef(
        digest=value,
        text="1" * 64,
        by_hand=False,
        number=number,
        context="c" * 64,
        kind="discharge-summary",
        model="drafter test",
        prompt=PROMPT,
    )


TEXT = """DISCHARGE SUMMARY

Patient: Jane Roe, born 1950-01-02, female, MRN 17

REASON FOR HOSPITALIZATION
  - Pneumonia
"""


def draft(text: str = TEXT, by_hand: str | None = None) -> Draft:
    facts = FactGroup(title="Reason for admission", facts=(Fact(text="Pneumonia", source="Encounter/e1"),))
    sentence = Sentence(narrative="hospital-course", text="Admitted with pneumonia.")
    return Draft(
        kind="discharge-summary",
        number=1,
        parts=(
            DocumentPart(
                code="reason-for-hospitalization",
                title="Reason for hospitalization",
                groups=(facts,),
                narrative=() if by_hand else (sentence,),
            ),
        ),
        text=text,
        by_hand=by_hand,
        model="drafter test",
        prompt=PROMPT,
        context_digest="c" * 64,
    )


EVENTS: tuple[CaseEvent, ...] = (
    Discharged(encounter_id="e1", attending="Practitioner/dr-1", occurred_at=T0),
    ContextExtracted(stay=STAY, kind="discharge-summary", context="c" * 64, encounter_status="finished", left_out=2),
    Drafted(stay=STAY, draft=draft_ref(), sentences=4, unsupported=1, encounter_status="finished"),
    ReviewRequested(
        stay=STAY,
        draft=draft_ref(),
        task="task-1",
        owner="Practitioner/dr-1",
        deadlines=(T0 + timedelta(hours=24), T0 + timedelta(hours=72), T0 + timedelta(days=7)),
        encounter_status="finished",
    ),
    Escalated(level=1, due=T0 + timedelta(hours=24)),
    Reassigned(owner="Practitioner/dr-2", by=PHYSICIAN, reason="b" * 64),
    Approved(
        stay=STAY,
        draft=draft_ref(),
        task="task-1",
        signed="e" * 64,
        edited=True,
        by=PHYSICIAN,
        signer="Practitioner/dr-1",
    ),
    Filed(document_reference="doc-1", provenance="prov-1"),
    Rejected(
        stay=STAY,
        draft=draft_ref(),
        task=None,
        action="redraft",
        reason="b" * 64,
        by=PHYSICIAN,
        encounter_status="finished",
    ),
    RedraftRequested(
        stay=STAY, context="c" * 64, kind="discharge-summary", number=2, words="b" * 64, encounter_status="finished"
    ),
    Closed(),
    Withdrawn(reason="discharge-cancelled"),
    Failed(step="draft", reason="the model failed", attempts=3),
    Amended(
        stay=STAY,
        draft=draft_ref(),
        number=2,
        replaces="doc-1",
        seen="e" * 64,
        signed="2" * 64,
        reason="b" * 64,
        by=PHYSICIAN,
        signer="Practitioner/dr-1",
    ),
    Addended(
        stay=STAY,
        draft=draft_ref(),
        number=1,
        appends="doc-1",
        seen="e" * 64,
        signed="3" * 64,
        reason="b" * 64,
        by=PHYSICIAN,
        signer="Practitioner/dr-1",
    ),
    RetractionRequested(seen="e" * 64, reason="b" * 64, by=PHYSICIAN, signer="Practitioner/dr-1"),
    Retracted(
        stay=STAY,
        documents=("doc-1",),
        seen="e" * 64,
        reason="b" * 64,
        requested_by=PHYSICIAN,
        requester="Practitioner/dr-1",
        by=SUPERVISOR,
        signer="Practitioner/boss",
    ),
    RetractionFiled(provenance="prov-2"),
    Retried(step="draft", by=Actor(subject="operator", role="operator")),
    HoldPlaced(state="filed", ground="litigation", reference="L-2026/17", by=OPERATOR),
    HoldReleased(state="filed", reference="L-2026/17", by=OPERATOR),
    ErasureOrdered(state="filed", ground="patient-request", kinds=TEXT_KINDS, reference="DSR-4", by=OPERATOR),
    Erased(state="filed", kinds=TEXT_KINDS, texts=4),
    Reimported(
        signature=Approved(
            stay=STAY,
            draft=draft_ref(),
            task="task-1",
            signed="e" * 64,
            edited=True,
            by=Actor(subject="Practitioner/dr-1", role="unknown", practitioner="Practitioner/dr-1"),
            signer="Practitioner/dr-1",
        ),
        signed_at=T0,
        chain_head="4" * 64,
        filed=Filed(document_reference="doc-1", provenance="prov-1", renditions={"text/plain": "e" * 64}),
        document_version="1",
        provenance_version="1",
        by=Actor(subject="operator", role="operator"),
        reason="b" * 64,
    ),
    PreparationRequested(
        encounter_id="e1",
        attending="Practitioner/dr-1",
        trigger="pending-discharge",
        expected_at=T0 + timedelta(days=1),
        ends_at=T0 + timedelta(days=8),
        number=1,
    ),
    Prepared(
        stay=STAY,
        draft=draft_ref(value="9" * 64),
        sentences=4,
        unsupported=1,
        encounter_status="in-progress",
        left_out=2,
    ),
    PreparationEnded(reason="expired"),
    Rated(draft=draft_ref(), rating="edited-much", words="b" * 64, by=PHYSICIAN, channel="inbox"),
)


def event(name: str) -> CaseEvent:
    return next(item for item in EVENTS if item.event == name)

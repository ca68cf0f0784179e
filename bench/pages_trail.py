"""The trail of `bench/pages.py`: events, access log and dead letters of many cases, made from recorded ones. Pure.

The cases were discharged evenly over the last PERIOD, so that no page's default period leaves any of them out. What a
case becomes is drawn with a fixed seed: most are signed and filed, or closed; those whose decision lies after `now`
are open; some have failed.
"""

import heapq
import json
import random
from collections import Counter, defaultdict
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import count
from typing import NamedTuple
from uuid import UUID

from bench.pages_recorded import SIGNER, RecordedCase, RecordedCases
from shared.contracts.access_log import AccessLogEntry, AccessLogEvent
from shared.contracts.case_values import Actor
from shared.contracts.envelope import CHAIN_START, chain_digest, encode, sha256_hex
from shared.contracts.events import CaseEvent, Escalated, Failed, Retried, StepName, Withdrawn
from shared.contracts.subjects import CaseRef, access_subject, dead_letter_subject, resolution_subject

PERIOD = timedelta(days=30)
DEPARTMENTS = 20
PHYSICIANS = 10  # of a department
FIRST_SHOWN = 200  # cases whose texts are stored, besides those that are open
EXAMPLES = 20  # cases of each kind that are remembered
DEADLINES = (timedelta(hours=24), timedelta(hours=72), timedelta(days=7))
DECIDED_AFTER = (timedelta(minutes=10), timedelta(hours=30))  # of the request of the review: at least, at most
REASON = "the model server did not answer in 60 s (request {})"
OPERATOR = Actor(subject="demo-operator", role="operator")
# Shares of cases; the others are signed and filed.
CLOSED, WITHDRAWN, FAILED, UNFILED, RETRIED, NEVER = 0.05, 0.02, 0.01, 0.005, 0.01, 0.003
# Shares of signed cases.
UNSEEN, SECOND_VIEW, LATER_VIEW, SIGN_IN, REFUSED = 0.02, 0.2, 0.3, 0.3, 0.01


class Message(NamedTuple):
    subject: str
    headers: dict[str, str]
    data: bytes


class Resolution(NamedTuple):
    """That the dead letter of a case was redriven."""

    case: str
    at: datetime


@dataclass
class CaseTimeline:
    """Makes the messages of one case, chained, from those of a recorded one."""

    recorded: RecordedCase
    ref: CaseRef
    number: int
    replaced: tuple[tuple[bytes, bytes], ...]
    digest: str = ""
    items: list[tuple[datetime, Message | Resolution]] = field(default_factory=list)

    def copy(self, name: str, at: datetime) -> Message:
        """Add the recorded event of that name."""
        recorded = self.recorded.messages[name]
        data = recorded.data
        for old, new in self.replaced:
            data = data.replace(old, new)
        if name == "review-requested":
            data = _reviewed(data, at)
        headers = {key: value for key, value in recorded.headers.items() if not key.startswith("Nats-")}
        return self._add(name, headers, data, at)

    def add(self, event: CaseEvent, at: datetime) -> Message:
        headers, data = encode(self.ref, event, id="", source="approval", time=at, after=CHAIN_START)
        return self._add(event.event, headers, data, at)

    def _add(self, name: str, headers: dict[str, str], data: bytes, at: datetime) -> Message:
        headers["ce-id"] = str(UUID(int=self.number << 32 | len(self.items)))
        headers["ce-time"] = at.isoformat(timespec="microseconds")
        headers["ce-subject"] = f"{self.ref.department}/{self.ref.id}"
        headers.pop("ce-prevdigest", None)
        if self.digest:
            headers["ce-prevdigest"] = self.digest
        self.digest = chain_digest(headers, data)
        found = Message(self.ref.subject(name), headers, data)
        self.items.append((at, found))
        return found

    def entry(self, event: AccessLogEvent, at: datetime, who: str, detail: str, *, of_case: bool = True) -> None:
        """Add an entry of the access log."""
        case = self.ref.id if of_case else None
        entry = AccessLogEntry(
            event=event, case_id=case, time=at, subject=who, role="physician", method="oidc", detail=detail
        )
        self.items.append((at, Message(access_subject(event, case), {}, entry.model_dump_json().encode())))

    def letter(self, failed: Message, consumer: str, reason: str, at: datetime) -> None:
        """Add the dead letter of a message that a consumer gave up."""
        headers = failed.headers | {
            "countersign-reason": reason,
            "countersign-attempts": "5",
            "countersign-stream": "DISCHARGE",
            "countersign-sequence": "1",
            "countersign-subject": failed.subject,
        }
        subject = dead_letter_subject(consumer.partition("-")[0], consumer)
        self.items.append((at, Message(subject, headers, failed.data)))


def _reviewed(data: bytes, at: datetime) -> bytes:
    """Return the request of a review with deadlines that follow it, and without a Task."""
    body = json.loads(data)
    for old, wait in zip(body["deadlines"], DEADLINES, strict=True):
        data = data.replace(old.encode(), (at + wait).isoformat().encode())
    return data.replace(b'"task":"%s",' % body["task"].encode(), b"") if body.get("task") else data


class Trail:
    """Messages in the order in which they were published. `examples` are cases by what became of them; `texts` those
    that pages show. Both, and `counts`, are complete when the messages have been read.
    """

    def __init__(self, recorded: RecordedCases, cases: int, now: datetime, seed: int = 7) -> None:
        self._recorded = recorded
        self._cases = cases
        self._now = now
        self._chance = random.Random(seed)
        self.examples: dict[str, list[str]] = defaultdict(list)
        self.texts: dict[str, list[bytes]] = {}
        self.counts: Counter[str] = Counter()

    def messages(self) -> Iterator[Message]:
        """Yield every message until `now`."""
        waiting: list[tuple[datetime, int, Message | Resolution]] = []
        order, letters = count(), 0
        numbers: dict[str, int] = {}  # of the dead letter of a case, in its stream
        for number in range(self._cases):
            start = self._now - PERIOD * (1 - number / self._cases)
            while waiting and waiting[0][0] <= start:
                letters = yield from self._emit(heapq.heappop(waiting)[2], numbers, letters)
            for at, item in self._case(number, start).items:
                if at <= self._now:
                    heapq.heappush(waiting, (at, next(order), item))
        while waiting:
            letters = yield from self._emit(heapq.heappop(waiting)[2], numbers, letters)

    def _emit(self, item: Message | Resolution, numbers: dict[str, int], letters: int) -> Generator[Message, None, int]:
        """Yield the message; return how many the stream of dead letters has then."""
        if isinstance(item, Resolution):
            body = {"by": OPERATOR.subject, "why": "the model server is back", "at": item.at.isoformat()}
            item = Message(resolution_subject("redriven", numbers[item.case]), {}, json.dumps(body).encode())
            letters += 1
        elif item.subject.startswith("deadletter."):
            letters += 1
            numbers[item.headers["countersign-subject"].split(".")[2]] = letters
        self.counts[item.subject.partition(".")[0]] += 1
        yield item
        return letters

    def _case(self, number: int, start: datetime) -> CaseTimeline:
        chance, what = self._chance, self._chance.random()
        department = number % DEPARTMENTS
        person = f"dr-{department * PHYSICIANS + chance.randrange(PHYSICIANS)}"
        recorded = self._recorded.filed[number % len(self._recorded.filed)]
        if what < CLOSED:
            recorded = self._recorded.closed
        after = timedelta(seconds=chance.uniform(*(item.total_seconds() for item in DECIDED_AFTER)))
        decided = start + timedelta(seconds=22) + after
        shown = decided > self._now or number < FIRST_SHOWN
        draft = _draft_of(recorded, number, person) if shown else b""
        digest = sha256_hex(draft) if shown else sha256_hex(str(number).encode())
        made = CaseTimeline(
            recorded,
            CaseRef(f"department-{department:02}", str(UUID(int=number + (1 << 120)))),
            number,
            (
                (recorded.stay.encounter.encode(), b"Encounter/e%d" % number),
                (b'"encounter_id":"%s"' % recorded.stay.encounter[10:].encode(), b'"encounter_id":"e%d"' % number),
                (recorded.stay.patient.encode(), b"Patient/p%d" % (number // 2)),
                ((recorded.stay.attending or "").encode(), f"Practitioner/{person}".encode()),
                (b'"%s"' % SIGNER.encode(), f'"{person}"'.encode()),
                (recorded.draft.encode(), digest.encode()),
            ),
        )
        if shown:
            self.texts[made.ref.id] = [draft, *(text for key, text in recorded.texts.items() if key != recorded.draft)]
        state = self._course(made, what, start, decided, person, digest)
        if len(self.examples[state]) < EXAMPLES or state == "open":
            self.examples[state] = [*self.examples[state][-EXAMPLES + 1 :], made.ref.id]
        return made

    def _course(
        self, made: CaseTimeline, what: float, start: datetime, decided: datetime, person: str, digest: str
    ) -> str:
        """Add what becomes of a case; return in which state it ends, or is now."""
        made.copy("discharged", start)
        extracted = made.copy("context-extracted", start + timedelta(seconds=2))
        threshold = CLOSED + WITHDRAWN
        if threshold <= what < threshold + FAILED + RETRIED:
            at = start + timedelta(seconds=62)
            self._fail(made, extracted, "draft", at)
            if what < threshold + FAILED:
                return "failed"
            made.items.append((at + timedelta(minutes=5), Resolution(made.ref.id, at + timedelta(minutes=5))))
            made.add(Retried(step="draft", by=OPERATOR), at + timedelta(minutes=5))
            start = at + timedelta(minutes=5)
            decided += timedelta(minutes=6)
        made.copy("drafted", start + timedelta(seconds=20))
        requested = start + timedelta(seconds=21)
        made.copy("review-requested", requested)
        if what > 1 - NEVER:
            for level, wait in enumerate(DEADLINES, 1):
                owner = "Practitioner/boss" if level == len(DEADLINES) else None
                made.add(Escalated(level=level, due=requested + wait, owner=owner), requested + wait)
            return "escalated"
        if what < CLOSED:
            made.copy("rejected", decided)
            made.copy("closed", decided + timedelta(seconds=1))
            return "closed" if decided <= self._now else "open"
        if what < CLOSED + WITHDRAWN:
            made.add(Withdrawn(reason="discharge-cancelled"), decided)
            return "withdrawn"
        return self._signed(made, what, decided, person, digest)

    def _signed(self, made: CaseTimeline, what: float, decided: datetime, person: str, digest: str) -> str:
        self._views(made, decided, person, digest)
        approved = made.copy("approved", decided)
        if what > 1 - NEVER - UNFILED:
            self._fail(made, approved, "file", decided + timedelta(hours=1))
            return "unfiled"
        made.copy("filed", decided + timedelta(seconds=3))
        return "filed" if decided <= self._now else "open"

    def _views(self, made: CaseTimeline, decided: datetime, person: str, digest: str) -> None:
        """Add the entries of the access log about a signed case."""
        chance, detail = self._chance, f"draft {digest}"
        if chance.random() < SIGN_IN:
            made.entry("signed-in", decided - timedelta(minutes=9), person, "by the identity provider", of_case=False)
        if chance.random() < SECOND_VIEW:
            other = f"dr-{chance.randrange(DEPARTMENTS * PHYSICIANS)}"
            made.entry("viewed", decided - timedelta(minutes=8), other, detail)
        if chance.random() >= UNSEEN:
            for minutes in (7, 1):
                made.entry("viewed", decided - timedelta(minutes=minutes), person, detail)
        if chance.random() < LATER_VIEW:
            made.entry("viewed", decided + timedelta(minutes=1), person, detail)
        if chance.random() < REFUSED:
            made.entry("refused", decided + timedelta(minutes=2), person, "decide: the review belongs to somebody else")

    def _fail(self, made: CaseTimeline, cause: Message, step: StepName, at: datetime) -> None:
        consumer = {"draft": "drafter-draft", "file": "approval-file"}[step]
        reason = REASON.format(made.number)
        made.letter(cause, consumer, reason, at)
        made.add(Failed(step=step, reason=reason, attempts=5), at)


def _draft_of(recorded: RecordedCase, number: int, person: str) -> bytes:
    """Return the recorded draft as one of its own: another patient and attending."""
    draft = json.loads(recorded.texts[recorded.draft])
    letters = [chr(65 + number // 26**place % 26) for place in (0, 1)]
    return json.dumps(draft | {"initials": "".join(letters), "attending": f"Dr. {person.upper()}"}).encode()

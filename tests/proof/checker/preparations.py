"""Rules about drafts that are prepared before the discharge. Pure."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from tests.proof.checker.evidence import (
    Entry,
    Event,
    Evidence,
    Violation,
    encounter_of,
    own_identifier,
    sha256,
    text_of,
)

AFTER_DISCHARGE = (
    "drafted",
    "review-requested",
    "approved",
    "rejected",
    "escalated",
    "reassigned",
    "amended",
    "addended",
    "filed",
)
REFUSED = (404, 409, 412, "lost", "busy")


def preparations(evidence: Evidence) -> Iterator[Violation]:
    """Each report is prepared at most once, each discharge drafted once; nothing prepared is reviewed or signed."""
    reports = Counter(str(entry["encounter"]) for entry in evidence.entries("pending"))
    for case, events in evidence.cases.items():
        course = Course()
        for event in events:
            if what := course.hear(event):
                yield Violation("preparations", case, what)
        requested = sum(event.name == "preparation-requested" for event in events)
        if requested > (sent := reports[encounter_of(events)]):
            yield Violation("preparations", case, f"{requested} preparations were requested by {sent} reports")
    for entry in evidence.entries("too-early"):
        if entry["answer"] not in REFUSED:
            said = f"{entry['who']} signed what is prepared, and was answered {entry['answer']}"
            yield Violation("preparations", str(entry["case"]), said)


@dataclass
class Course:
    """Where one case is: before or after its discharge, and which drafts may still come."""

    discharged: bool = False
    asked: bool = False  # a draft is being prepared
    drafts: int = 0  # that may follow the discharge or the request for another one
    prepared: set[str] = field(default_factory=set)

    def hear(self, event: Event) -> str | None:
        """Take one more event; returns what is wrong with it."""
        wrong = self._wrong(event)
        match event.name:
            case "discharged":
                self.discharged, self.asked, self.drafts = True, False, 1
            case "preparation-requested":
                self.discharged, self.asked = False, True
            case "redraft-requested":
                self.drafts = 1
            case "drafted":
                self.drafts -= 1
            case "prepared" | "preparation-ended":
                self.asked = False
        if event.name == "prepared":
            self.prepared.add(_digest_of_draft(event))
        return f"{event.name} at {event.message.sequence}: {wrong}" if wrong else None

    def _wrong(self, event: Event) -> str | None:
        unasked = (event.name == "prepared" and not self.asked) or (event.name == "drafted" and self.drafts < 1)
        if unasked:
            return "nobody waits for it"
        if event.name in AFTER_DISCHARGE and not self.discharged:
            return "the stay was not discharged"
        if event.name == "approved" and _digest_of_draft(event) in self.prepared:
            return "the draft is one that was prepared"
        return None


def _digest_of_draft(event: Event) -> str:
    return str((event.body.get("draft") or {}).get("digest", ""))


def goes_on(evidence: Evidence) -> Iterator[Violation]:
    """A stay that was never discharged has nothing in the chart."""
    undischarged = {
        case for case, events in evidence.cases.items() if not any(event.name == "discharged" for event in events)
    }
    for kind, resources in evidence.chart.items():
        for item in resources:
            named = own_identifier(item, "")
            if named is not None and (case := named.partition("/")[0]) in undischarged:
                yield Violation("goes-on", case, f"{kind}/{item.get('id')} is in the chart, without a discharge")


def edits(evidence: Evidence) -> Iterator[Violation]:
    """What somebody typed into a prepared draft is in the text that they sign, or was shown to them beside it."""
    typed: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
    shown: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
    for kind, found in (("edit", typed), ("beside", shown)):
        for entry in evidence.entries(kind):
            if kind == "beside" or entry["taken"]:
                found[str(entry["case"]), str(entry["who"])].update(map(str, entry["lines"]))
    for (case, who), lines in typed.items():
        for text in _signed(evidence, case, who):
            lost = lines - shown[case, who] - {sha256(line.rstrip().encode()) for line in text.splitlines()}
            if lost:
                said = f"{len(lost)} of {len(lines)} lines of {who} are neither in the signed text nor shown beside it"
                yield Violation("edits", case, said)


def _signed(evidence: Evidence, case: str, who: str) -> Iterator[str]:
    """The texts in the chart that a person has signed."""
    entries: Sequence[Entry] = evidence.decisions.get(case, ())
    sent = {str(entry["text"]) for entry in entries if entry["action"] == "sign" and entry["who"] == who}
    for document in evidence.documents.get(case, ()):
        if sha256((text := text_of(document)).encode()) in sent:
            yield text

"""What must hold, each rule by itself: evidence in, violations out. Pure."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence

from tests.proof.checker.decisions import answers, decided, probes, repeated
from tests.proof.checker.escalations import escalations
from tests.proof.checker.evidence import (
    LETTERS,
    LOOKS,
    TRAIL,
    Entry,
    Event,
    Evidence,
    Resource,
    Violation,
    digest_of,
    encounter_of,
    sha256,
    text_of,
)
from tests.proof.checker.leaks import words
from tests.proof.checker.preparations import edits, goes_on, preparations

OPENING = ("discharged", "preparation-requested")
SIGNING = ("approved", "amended", "addended")
# What is read from the EHR, what is asked, and what somebody decided.
WAIT_FOR_EHR = ("drafter-extract", "approval-request", "approval-file", "approval-settle", "approval-ehr-task")
IN_ERROR = "entered-in-error"
# What a case is when this is the last of its events that says so.
ENDS = {
    "filed": "filed",
    "closed": "closed",
    "withdrawn": "withdrawn",
    "retraction-filed": "retracted",
    "failed": "failed",
    "review-requested": "awaiting-review",
    "escalated": "awaiting-review",
    "reassigned": "awaiting-review",
    "retraction-requested": "filed",
    "prepared": "prepared",
    "preparation-ended": "withdrawn",
}

Rule = Callable[[Evidence], Iterator[Violation]]


def _state(events: Sequence[Event]) -> str:
    """What the case is by its last event that changes it, which a rating does not."""
    last = next((event for event in reversed(events) if event.name != "rated"), events[-1])
    return ENDS.get(last.name, "at work")


def one_case(evidence: Evidence) -> Iterator[Violation]:
    """Every discharge that was acknowledged, or acknowledged as pending, has exactly one case, the one that the client
    was told, and nobody else has one.
    """
    found: defaultdict[str, set[str]] = defaultdict(set)
    for case, events in evidence.cases.items():
        for event in events:
            if event.name in OPENING:
                found[str(event.body.get("encounter_id"))].add(case)
    reports = [*evidence.entries("discharge"), *evidence.entries("pending")]
    sent = {str(entry["encounter"]) for entry in reports}
    for entry in reports:
        if not _taken(entry):
            continue
        cases = found[str(entry["encounter"])]
        told = entry.get("case")
        if len(cases) != 1:
            said = f"{entry['encounter']} was acknowledged, and has {len(cases)} cases"
            yield Violation("one-case", str(told or ""), said)
        elif told and told not in cases:
            yield Violation("one-case", str(told), f"{entry['encounter']} has another case than the client was told")
    for encounter, cases in found.items():
        if encounter not in sent:
            yield Violation("one-case", min(cases, default=""), f"nobody reported {encounter}")


def chains(evidence: Evidence) -> Iterator[Violation]:
    """Each event names the digest of the one before it, and no message of the trails is missing."""
    for case, events in evidence.cases.items():
        before, ids = "", Counter(event.message.headers.get("ce-id") for event in events)
        for event in events:
            if event.message.headers.get("ce-prevdigest", "") != before:
                yield Violation("chains", case, f"{event.name} at {event.message.sequence} does not follow")
            before = digest_of(event.message)
        for id, count in ids.items():
            if count > 1:
                yield Violation("chains", case, f"the event {id} stands {count} times")
    for stream in (TRAIL, LOOKS):
        sequences = [item.sequence for item in evidence.streams.get(stream, ())]
        if sequences != list(range(1, len(sequences) + 1)):
            yield Violation("chains", "", f"messages of {stream} are missing")


def ended(evidence: Evidence) -> Iterator[Violation]:
    """No case is left at work by nobody; one that has failed has been told of. Where it ended, its plan wanted it."""
    plans: dict[str, Entry] = {str(entry["encounter"]): entry for entry in evidence.entries("plan")}
    for case, events in evidence.cases.items():
        state = _state(events)
        wanted = plans.get(encounter_of(events), {}).get("ends")
        if state == "at work":
            yield Violation("ended", case, f"nothing happens after {events[-1].name}")
        elif state == "failed" and case not in evidence.told:
            yield Violation("ended", case, "it has failed, and nobody was told")
        elif state != "failed" and wanted and state not in wanted:
            yield Violation("ended", case, f"it is {state}, and was to be {' or '.join(wanted)}")


def filed(evidence: Evidence) -> Iterator[Violation]:
    """Nothing stands in the chart that nobody signed; it says what was signed; nothing twice."""
    for case, documents in evidence.documents.items():
        events = evidence.cases.get(case, [])
        signed = {str(event.body["signed"]): event for event in events if event.name in SIGNING}
        sent = {str(entry["text"]) for entry in evidence.decisions.get(case, ()) if entry.get("text")}
        words_sent = {str(entry["words"]) for entry in evidence.decisions.get(case, ()) if entry["action"] == "addend"}
        for item in documents:
            text = text_of(item)
            name, digest = _name(item), sha256(text.encode())
            addendum = "/addendum/" in name
            if not (_addendum_of(text) in words_sent if addendum else digest in sent):
                yield Violation("filed", case, f"{name} says what no client signed")
            if digest not in signed:
                yield Violation("filed", case, f"{name} says what no signature on the trail has")
            elif item.get("status") != IN_ERROR:
                yield from _provenance(evidence, case, item, signed[digest])
        yield from _twice(case, documents)


def _twice(case: str, documents: list[Resource]) -> Iterator[Violation]:
    counted = [item for item in documents if item.get("status") != IN_ERROR]
    for name, count in Counter(map(_name, counted)).items():
        if count > 1:
            yield Violation("twice", case, f"{name} stands {count} times in the chart")
    current = [item for item in counted if item.get("status") == "current" and "/final" in _name(item)]
    if len(current) > 1:
        yield Violation("twice", case, f"{len(current)} documents are current")


def _provenance(evidence: Evidence, case: str, item: Resource, event: Event) -> Iterator[Violation]:
    """Exactly one says that the document was made of this signature."""
    targets = evidence.provenances.get(f"DocumentReference/{item['id']}", ())
    found = [provenance for provenance in targets if _entity(provenance, "/audit-chain-head") == event.digest]
    if len(found) != 1:
        yield Violation("filed", case, f"{_name(item)} has {len(found)} Provenances of its signature")
    elif _entity(found[0], "/document-sha256") != event.body["signed"]:
        yield Violation("filed", case, f"the Provenance of {_name(item)} is of another text")


def signed(evidence: Evidence) -> Iterator[Violation]:
    """What was acknowledged as signed stands in the chart, or a person was told why not."""
    for case, entries in evidence.decisions.items():
        texts = {sha256(text_of(item).encode()) for item in evidence.documents.get(case, ())}
        addenda = {_addendum_of(text_of(item)) for item in evidence.documents.get(case, ())}
        for entry in entries:
            if entry["action"] not in ("sign", "amend", "addend") or not _taken(entry):
                continue
            there = entry["words"] in addenda if entry["action"] == "addend" else entry["text"] in texts
            if not there and case not in evidence.told and not _beaten(entry, entries):
                said = f"{entry['action']} by {entry['channel']} was taken, and is not in the chart"
                yield Violation("signed", case, said)
        yield from _not_on_trail(evidence, case, entries)


def _beaten(entry: Entry, entries: list[Entry]) -> bool:
    """Whether the EHR only noted an answer, and somebody else decided before it was heard."""
    return entry["channel"] == "task" and any(
        other["op"] != entry["op"] and other["channel"] != "task" and _taken(other) for other in entries
    )


def _not_on_trail(evidence: Evidence, case: str, entries: list[Entry]) -> Iterator[Violation]:
    """What our own channels acknowledged is an event."""
    names: Mapping[str, str] = {
        "sign": "approved",
        "amend": "amended",
        "addend": "addended",
        "refuse": "rejected",
        "reassign": "reassigned",
        "ask-retraction": "retraction-requested",
        "retract": "retracted",
        "rate": "rated",
    }
    on_trail = Counter(event.name for event in evidence.cases.get(case, ()))
    acknowledged = Counter(
        names[entry["action"]]
        for entry in {e["op"]: e for e in entries if _taken(e) and e["channel"] != "task"}.values()
    )
    for name, count in acknowledged.items():
        if on_trail[name] < count:
            yield Violation("signed", case, f"{count} times {name} was acknowledged, {on_trail[name]} are on the trail")


def tasks(evidence: Evidence) -> Iterator[Violation]:
    """One Task for each review, and none that waits for what was decided."""
    waiting: defaultdict[str, list[str]] = defaultdict(list)
    names: Counter[str] = Counter()
    for item in evidence.chart.get("Task", ()):
        for identifier in item.get("identifier") or ():
            if str(identifier.get("system", "")).startswith("https://countersign.example/fhir"):
                value = str(identifier.get("value"))
                names[f"{identifier['system']}|{value}"] += 1
                if item.get("status") in ("requested", "in-progress", "received", "accepted", "ready"):
                    waiting[value.partition("/")[0]].append(str(item["id"]))
    for name, count in names.items():
        if count > 1:
            yield Violation("tasks", name.rpartition("|")[2].partition("/")[0], f"{count} Tasks carry {name}")
    for case, found in waiting.items():
        events = evidence.cases.get(case)
        state = _state(events) if events else "unknown"
        if state not in ("awaiting-review", "failed"):
            yield Violation("tasks", case, f"{len(found)} Tasks wait, and the case is {state}")


def cancelled(evidence: Evidence) -> Iterator[Violation]:
    """A discharge that was taken back ends its case, or a person is told that it is too late for that."""
    for entry in evidence.entries("cancel"):
        if not _taken(entry):
            continue
        case = str(entry["case"])
        names = [event.name for event in evidence.cases.get(case, ())]
        if "withdrawn" not in names and case not in evidence.told and names[-1:] != ["retraction-filed"]:
            yield Violation("cancelled", case, "its discharge was taken back, nothing came of it, nobody was told")


def given_up(evidence: Evidence) -> Iterator[Violation]:
    """What waits for the EHR needs no operator, and no step meets what it does not know."""
    for letter in evidence.streams.get(LETTERS, ()):
        tokens, reason = letter.subject.split("."), letter.headers.get("countersign-reason", "")
        if tokens[-1] in WAIT_FOR_EHR:
            yield Violation("given-up", "", f"{tokens[-1]} gave a message up: {reason}")
        if reason.startswith("unexpected"):
            yield Violation("given-up", "", f"{tokens[-1]}: {reason}")


def unread(evidence: Evidence) -> Iterator[Violation]:
    """What could not be looked at is no proof."""
    for what in evidence.unread:
        yield Violation("unread", "", what)


RULES: Mapping[str, Rule] = {
    "one-case": one_case,
    "chains": chains,
    "ended": ended,
    "filed": filed,
    "signed": signed,
    "decided": decided,
    "repeated": repeated,
    "tasks": tasks,
    "cancelled": cancelled,
    "escalations": escalations,
    "words": words,
    "preparations": preparations,
    "goes-on": goes_on,
    "edits": edits,
    "probes": probes,
    "answers": answers,
    "given-up": given_up,
    "unread": unread,
}


def check(evidence: Evidence) -> list[Violation]:
    """Everything that must not be."""
    return [violation for rule in RULES.values() for violation in rule(evidence)]


def _addendum_of(text: str) -> str:
    """Digest of what the physician wrote: below the two lines that say what it is and whose."""
    head, _, rest = text.partition("\n\n")
    patient, _, written = rest.partition("\n\n")
    whole = head.startswith("ADDENDUM TO ") and patient.startswith("Patient: ")
    return sha256(written.strip().encode()) if whole else ""


def _name(document: Resource) -> str:
    found = [str(item.get("value", "")) for item in document.get("identifier") or ()]
    return found[0] if found else str(document.get("id"))


def _entity(provenance: Resource, ending: str) -> str | None:
    for entity in provenance.get("entity") or ():
        identifier = (entity.get("what") or {}).get("identifier") or {}
        if str(identifier.get("system", "")).endswith(ending):
            return str(identifier.get("value"))
    return None


def _taken(entry: Entry) -> bool:
    return bool(entry.get("taken"))

"""Rules about what people did and were told. Pure."""

from collections import defaultdict
from collections.abc import Iterator

from tests.proof.checker.evidence import Entry, Evidence, Violation

MADE = {
    "approved": "sign",
    "amended": "amend",
    "addended": "addend",
    "rejected": "refuse",
    "reassigned": "reassign",
    "retraction-requested": "ask-retraction",
    "retracted": "retract",
    "rated": "rate",
}
FINAL = ("approved", "rejected")


def decided(evidence: Evidence) -> Iterator[Violation]:
    """Nothing stands on the trail as somebody's that nobody sent; a draft is decided once."""
    for case, events in evidence.cases.items():
        sent = evidence.decisions.get(case, [])
        open_review = False
        for event in events:
            if event.name == "review-requested":
                open_review = True
            if event.name in FINAL:
                if not open_review:
                    yield Violation("decided", case, f"{event.name} at {event.message.sequence}: no review was open")
                open_review = False
            if (action := MADE.get(event.name)) is None:
                continue
            words = event.body.get("reason") or event.body.get("words")
            if not any(_same(entry, action, event.body.get("signed"), words) for entry in sent):
                yield Violation("decided", case, f"{event.name} at {event.message.sequence}: nobody sent that")


def _same(entry: Entry, action: str, text: object, reason: object) -> bool:
    if entry["action"] != action:
        return False
    if action in ("sign", "amend"):
        return bool(entry["text"] == text)
    if action in ("refuse", "reassign", "rate"):
        return bool(entry["words"] == reason)
    return True  # of an addendum the text in the chart is compared, see `filed`


def repeated(evidence: Evidence) -> Iterator[Violation]:
    """Who sends the same decision again gets the first answer, also where the first was lost."""
    for case, entries in evidence.decisions.items():
        attempts: defaultdict[str, list[Entry]] = defaultdict(list)
        for entry in entries:
            if entry["channel"] != "task" and entry["action"] in ("sign", "refuse", "amend", "addend", "rate"):
                attempts[str(entry["op"])].append(entry)
        for op, tries in attempts.items():
            answers = [entry for entry in tries if entry["answer"] not in ("lost", "busy")]
            first = next((index for index, entry in enumerate(answers) if entry["taken"]), None)
            later = answers[first:] if first is not None else []
            if any(not entry["taken"] for entry in later):
                yield Violation("repeated", case, f"{op} was taken, and refused when it was sent again")
            if first is None and any(_decided_by(evidence, case, entry, entries) for entry in answers):
                yield Violation("repeated", case, f"{op} is on the trail, and the client was told that it is not")


def _decided_by(evidence: Evidence, case: str, entry: Entry, entries: list[Entry]) -> bool:
    """Whether the trail has what the client was refused, the same person and text, and did not send again with more
    that is settled.
    """
    names = {action: name for name, action in MADE.items()}
    same = ("who", "action", "text", "words")
    sent = [other for other in entries if all(other.get(name) == entry.get(name) for name in same)]
    return len({other["op"] for other in sent}) == 1 and any(
        event.name == names[entry["action"]]
        and (event.body.get("by") or {}).get("subject") == entry["who"]
        and _same(entry, entry["action"], event.body.get("signed"), event.body.get("reason"))
        and entry["action"] in ("sign", "refuse", "amend")
        for event in evidence.cases.get(case, ())
    )


def probes(evidence: Evidence) -> Iterator[Violation]:
    """Who works in another department does not learn that there is such a case."""
    for entry in evidence.entries("probe"):
        if entry["answer"] not in (404, "lost", "busy"):
            said = f"{entry['who']} was answered {entry['answer']} at {entry['endpoint']}"
            yield Violation("probes", str(entry["case"]), said)


def answers(evidence: Evidence) -> Iterator[Violation]:
    """Every answer of a channel is one that a plan provides for."""
    for entry in evidence.entries("unexpected"):
        yield Violation("answers", str(entry["case"]), f"plan {entry['plan']}: {entry['what']}")

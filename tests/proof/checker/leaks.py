"""No word of a patient's record outside the artifact store and the chart. Pure."""

from collections.abc import Iterator

from tests.proof.checker.evidence import Evidence, Message, Violation

# Where texts live, and what a physician is typing.
MAY = ("KV_artifacts", "KV_working")


def words(evidence: Evidence) -> Iterator[Violation]:
    marks = [mark.encode() for mark in evidence.marks]
    for stream, messages in evidence.streams.items():
        for message in messages:
            for place in _places(message, marks):
                yield Violation("words", "", f"a patient's word stands in {place} {stream} {message.sequence}")
    for name, lines in evidence.said.items():
        found = sum(any(mark in line for mark in evidence.marks) for line in lines)
        if found:
            yield Violation("words", "", f"a patient's word stands in {found} lines of {name}")


def _places(message: Message, marks: list[bytes]) -> Iterator[str]:
    headers = "\n".join(f"{name}: {value}" for name, value in message.headers.items()).encode()
    for mark in marks:
        if mark in message.subject.encode():
            yield "the subject of"
        if mark in headers:
            yield "a header of"
        if message.stream not in MAY and mark in message.data:
            yield "the body of"

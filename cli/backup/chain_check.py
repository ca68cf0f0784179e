"""Verify the digest chains of all cases while the event stream is read, and record where each chain ends."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from shared.contracts.envelope import chain_digest
from shared.contracts.subjects import parse_case_subject
from shared.messaging.event_store import RawMessage

ExpectedHeads = dict[tuple[str, int], str]  # case and sequence → digest


@dataclass
class ChainCheck:
    """Tracks the last event of every case. Heads in `expected` that were found are removed from it."""

    expected: ExpectedHeads = field(default_factory=dict)
    broken: list[int] = field(default_factory=list)  # sequences of events whose previous digest does not match
    heads: dict[str, tuple[int, str]] = field(default_factory=dict)
    events: int = 0

    def add(self, page: Iterable[RawMessage]) -> None:
        for item in page:
            case = parse_case_subject(item.subject)[0].id
            if item.headers.get("ce-prevdigest", "") != self.heads.get(case, (0, ""))[1]:
                self.broken.append(item.sequence)
            digest = chain_digest(item.headers, item.data)
            self.heads[case] = item.sequence, digest
            if self.expected.get((case, item.sequence)) == digest:
                del self.expected[case, item.sequence]
            self.events += 1

    def lines(self) -> Iterator[bytes]:
        for case, (sequence, digest) in sorted(self.heads.items()):
            yield json.dumps({"case": case, "sequence": sequence, "digest": digest}).encode() + b"\n"


def parse_heads(lines: Iterable[bytes]) -> ExpectedHeads:
    """Parse the lines that `ChainCheck.lines` wrote."""
    return {(item["case"], item["sequence"]): item["digest"] for item in map(json.loads, lines)}

"""Compare the event stream with its signed checkpoints, and report cases whose chain was rewritten."""

from collections.abc import Iterable, Iterator

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from services.approval.case_verification.fault import Fault
from shared.contracts.checkpoint import CaseHead, Checkpoint, SignedCheckpoint
from shared.contracts.envelope import chain_digest
from shared.contracts.errors import PermanentError
from shared.contracts.merkle import Tree
from shared.contracts.subjects import parse_case_subject
from shared.messaging.checkpoints import Folder
from shared.messaging.event_store import RawMessage


class CheckpointVerifier:
    """Verifies the checkpoints of a folder while the event stream is read. Keeps one checkpoint in memory."""

    def __init__(self, folder: Folder, key: Ed25519PublicKey) -> None:
        self._folder = folder
        self._key = key
        self._numbers = iter(folder.numbers())
        self._before: SignedCheckpoint | None = None
        self._tree = Tree()
        self._told: set[str] = set()
        self._heads: dict[
            str, CaseHead
        ] = {}  # of cases that changed since the previous checkpoint, by the event stream
        self._current: Checkpoint | None = None
        self._signed: dict[str, CaseHead] = {}
        self.count = 0
        self.faults: list[Fault] = []
        self._next()

    @property
    def last(self) -> Checkpoint | None:
        """Return the last checkpoint that was verified."""
        return self._before.checkpoint if self._before is not None else None

    def add(self, page: Iterable[RawMessage]) -> None:
        """Process the next messages of the event stream."""
        for item in page:
            while self._current is not None and item.sequence > self._current.last:
                self._compare()
            case = parse_case_subject(item.subject)[0].id
            self._heads[case] = CaseHead(case, item.sequence, chain_digest(item.headers, item.data))
            if self._current is None:
                self._heads.clear()  # it came after the last checkpoint

    def end(self) -> None:
        """Finish: the event stream has no more messages."""
        while self._current is not None:
            self._compare()

    def _next(self) -> None:
        """Read the next checkpoint, and report its own faults."""
        self._current = None
        for number in self._numbers:
            try:
                with self._folder.open(number) as (signed, heads):
                    self._signed = {head.case: head for head in self._grow(heads)}
            except PermanentError as error:
                self._add_fault(f"checkpoint {number}: {error.reason}")
                continue
            self._add_checkpoint(number, signed)
            return

    def _add_checkpoint(self, number: int, signed: SignedCheckpoint) -> None:
        self.count += 1
        for reason in checkpoint_faults(signed, self._before, self._key, number, self._tree):
            self._add_fault(f"checkpoint {number}: {reason}")
        self._before, self._current = signed, signed.checkpoint
        self._tree = _tree_of(signed, self._tree)

    def _grow(self, heads: Iterator[CaseHead]) -> Iterator[CaseHead]:
        for head in heads:
            self._tree.add(head.leaf)
            yield head

    def _compare(self) -> None:
        """Compare the heads of the current checkpoint with those of the event stream."""
        assert self._current is not None  # noqa: S101
        for case in sorted(self._signed.keys() | self._heads.keys()):
            if (reason := head_difference(self._signed.get(case), self._heads.get(case))) and case not in self._told:
                self._told.add(case)
                at = self._signed.get(case) or self._heads[case]
                self.faults.append(Fault(case, "", at.sequence, reason.format(_name(self._current))))
        self._heads.clear()
        self._next()

    def _add_fault(self, reason: str) -> None:
        self.faults.append(Fault("", "", 0, reason))


def verify_case_heads(folder: Folder, key: Ed25519PublicKey, case: str, events: Iterable[RawMessage]) -> list[Fault]:
    """Return the faults of one case; `events` are all of its events."""
    found = {item.sequence: CaseHead(case, item.sequence, chain_digest(item.headers, item.data)) for item in events}
    for number in folder.numbers():
        with folder.open(number) as (signed, heads):
            head = next((head for head in heads if head.case == case), None)
            reason = None if signed.is_signed_by(key) else "the signature of {} was not made with this key"
            if reason is None and head is not None:
                reason = head_difference(head, found.get(head.sequence))
            if reason is not None:
                return [Fault(case, "", head.sequence if head else 0, reason.format(_name(signed.checkpoint)))]
    return []


def _name(checkpoint: Checkpoint) -> str:
    return f"checkpoint {checkpoint.number} of {checkpoint.time:%Y-%m-%d %H:%M} UTC"


def head_difference(signed: CaseHead | None, found: CaseHead | None) -> str | None:
    """Return a message when the head of a case is not the signed one, with `{}` for the checkpoint; else None."""
    if signed == found:
        return None
    if signed is None:
        return "{} has no such events of it: they were inserted since"
    if found is None:
        return f"{{}} has an event of it at sequence {signed.sequence}, which is missing"
    return f"it differs from {{}}: its event at sequence {signed.sequence}, or an earlier one, was changed since"


def checkpoint_faults(
    signed: SignedCheckpoint, before: SignedCheckpoint | None, key: Ed25519PublicKey, number: int, tree: Tree
) -> Iterator[str]:
    """Yield the faults of a checkpoint by itself; `tree` is the Merkle tree of all heads up to it."""
    checkpoint = signed.checkpoint
    if not signed.is_signed_by(key):
        yield "its signature was not made with this key"
    if checkpoint.number != number:
        yield "its number differs from its file name"
    expected = before.checkpoint.number + 1 if before is not None else 1
    if checkpoint.number != expected:
        yield f"the one before it, {checkpoint.number - 1}, is missing"
    elif checkpoint.previous != (before.digest if before is not None else ""):
        yield "it does not follow from the one before it"
    # The chain of digests gives the order. Times do not: the clock of a machine can be set back.
    if before is not None and (
        checkpoint.last < before.checkpoint.last or checkpoint.access_last < before.checkpoint.access_last
    ):
        yield "it covers less than the one before it"
    if (checkpoint.size, checkpoint.root) != (tree.size, tree.root.hex()):
        yield "the heads in its file are not those that were signed"


def _tree_of(signed: SignedCheckpoint, otherwise: Tree) -> Tree:
    """Continue from the signed tree, so that one wrong file does not invalidate all that follow."""
    try:
        return signed.checkpoint.tree
    except PermanentError:
        return otherwise

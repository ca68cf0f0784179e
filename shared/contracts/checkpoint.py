"""Signed checkpoints of the event stream: the end of every case's chain, and of the access log. Pure.

The leaves of one growing Merkle tree are chain heads: each time a case has changed, its new head is appended. A file
holds one checkpoint: a signed line, a line with the signature, and a line for each new leaf.
"""

import base64
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, NamedTuple

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from pydantic import ValidationError

from shared.contracts.envelope import sha256_hex
from shared.contracts.errors import PermanentError
from shared.contracts.merkle import Tree, leaf_hash
from shared.contracts.model import Model

SIGNATURE_CONTEXT = b"countersign checkpoint v1\n"  # separates these signatures from other uses of the key


class CaseHead(NamedTuple):
    """The end of a case's chain."""

    case: str
    sequence: int
    digest: str

    @property
    def leaf(self) -> bytes:
        return leaf_hash(f"{self.case}\n{self.sequence}\n{self.digest}".encode())


class Checkpoint(Model):
    """The signed content of a checkpoint."""

    version: Literal[1] = 1
    number: int  # from 1
    previous: str  # digest of the checkpoint before it; empty for the first
    time: datetime
    last: int  # sequence of the last DISCHARGE event that it covers
    size: int  # leaves of the tree so far
    peaks: tuple[str, ...]  # roots of its perfect subtrees, largest first, which the next checkpoint extends
    root: str
    access_last: int  # sequence of the last entry of ACCESS that it covers
    access: str  # digest over all entries up to it, see `access_digest`

    @property
    def tree(self) -> Tree:
        """Return the Merkle tree.

        Raises PermanentError.
        """
        try:
            return Tree(self.size, map(bytes.fromhex, self.peaks))
        except ValueError:
            raise PermanentError(f"checkpoint {self.number} does not describe a Merkle tree") from None


@dataclass(frozen=True, slots=True)
class SignedCheckpoint:
    """A checkpoint as it is stored in its file."""

    line: bytes  # the JSON that is signed
    signature: bytes
    checkpoint: Checkpoint

    @property
    def digest(self) -> str:
        return sha256_hex(self.line)

    def is_signed_by(self, key: Ed25519PublicKey) -> bool:
        try:
            key.verify(self.signature, SIGNATURE_CONTEXT + self.line)
        except InvalidSignature:
            return False
        return True


def next_checkpoint(
    before: SignedCheckpoint | None, heads: Iterable[CaseHead], *, time: datetime, last: int, access: tuple[int, str]
) -> Checkpoint:
    """Return the checkpoint after `before`.

    `heads` are those of the cases that have changed since, in stream order.
    """
    tree = before.checkpoint.tree if before is not None else Tree()
    for head in heads:
        tree.add(head.leaf)
    return Checkpoint(
        number=before.checkpoint.number + 1 if before else 1,
        previous=before.digest if before else "",
        time=time,
        last=last,
        size=tree.size,
        peaks=tuple(peak.hex() for peak in tree.peaks),
        root=tree.root.hex(),
        access_last=access[0],
        access=access[1],
    )


def access_digest(before: str, sequence: int, subject: str, data: bytes) -> str:
    """Return the digest over all entries of ACCESS up to this one."""
    return sha256_hex(f"{before}\n{sequence}\n{subject}\n".encode() + data)


def sign(checkpoint: Checkpoint, key: Ed25519PrivateKey) -> SignedCheckpoint:
    line = checkpoint.model_dump_json().encode()
    return SignedCheckpoint(line, key.sign(SIGNATURE_CONTEXT + line), checkpoint)


def parse(line: bytes, signature: bytes) -> SignedCheckpoint:
    """Parse a checkpoint and its signature.

    Raises PermanentError for an invalid one.
    """
    try:
        return SignedCheckpoint(line, signature, Checkpoint.model_validate_json(line))
    except ValidationError:
        raise PermanentError("a checkpoint cannot be read") from None


def to_lines(signed: SignedCheckpoint, heads: Iterable[CaseHead]) -> Iterator[bytes]:
    """Yield the lines of a checkpoint's file."""
    yield signed.line + b"\n"
    yield json.dumps({"signature": base64.b64encode(signed.signature).decode()}).encode() + b"\n"
    for head in heads:
        yield json.dumps(head).encode() + b"\n"


def read_signed(lines: Iterator[bytes]) -> SignedCheckpoint:
    """Read the first two lines of a file.

    Raises PermanentError.
    """
    try:
        line = next(lines).rstrip(b"\n")
        return parse(line, base64.b64decode(json.loads(next(lines))["signature"], validate=True))
    except (StopIteration, ValueError, KeyError, TypeError):
        raise PermanentError("a checkpoint cannot be read") from None


def read_heads(lines: Iterable[bytes]) -> Iterator[CaseHead]:
    """Read the lines after the first two.

    Raises PermanentError.
    """
    try:
        for line in lines:
            case, sequence, value = json.loads(line)
            yield CaseHead(str(case), int(sequence), str(value))
    except (ValueError, TypeError):
        raise PermanentError("a checkpoint names heads that cannot be read") from None

"""Prove that the chain of a case ended with an event when a checkpoint was signed. Checking needs only the key."""

from typing import NamedTuple

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from pydantic import ValidationError

from shared.contracts.checkpoint import CaseHead, Checkpoint, parse
from shared.contracts.errors import PermanentError
from shared.contracts.merkle import InclusionProof, verify_inclusion
from shared.contracts.model import Model
from shared.messaging.checkpoints import Folder


class Proof(Model):
    """Proof that the chain of a case ended with `digest`, at `sequence` of the event stream."""

    case: str
    sequence: int
    digest: str
    index: int  # of the leaf
    path: tuple[str, ...]  # RFC 9162, 2.1.3
    checkpoint: str  # as it was signed
    signature: str


class SignedHead(NamedTuple):
    leaf: int
    head: CaseHead


def prove(folder: Folder, case: str) -> Proof:
    """Prove the last signed head of the case. Raises PermanentError when there is none."""
    numbers = folder.numbers()
    found = _find(folder, numbers, case)
    with folder.open(numbers[-1]) as (signed, _):
        last = signed
    path = InclusionProof(found.leaf, last.checkpoint.size)
    for number in numbers:
        with folder.open(number) as (_, heads):
            for head in heads:
                path.add(head.leaf)
    return Proof(
        **found.head._asdict(),
        index=found.leaf,
        path=tuple(item.hex() for item in path.hashes),
        checkpoint=last.line.decode(),
        signature=last.signature.hex(),
    )


def _find(folder: Folder, numbers: list[int], case: str) -> SignedHead:
    index, found = 0, None
    for number in numbers:
        with folder.open(number) as (_, heads):
            for head in heads:
                found = SignedHead(index, head) if head.case == case else found
                index += 1
    if found is None:
        raise PermanentError("no checkpoint covers this case")
    return found


def check(text: bytes, key: Ed25519PublicKey) -> tuple[Proof, Checkpoint]:
    """Check a proof, and return it with its checkpoint. Raises PermanentError when it is not valid."""
    try:
        proof = Proof.model_validate_json(text)
        path = [bytes.fromhex(item) for item in proof.path]
        signed = parse(proof.checkpoint.encode(), bytes.fromhex(proof.signature))
    except (ValidationError, ValueError):
        raise PermanentError("this is not a proof") from None
    if not signed.is_signed_by(key):
        raise PermanentError("the checkpoint was not signed with this key")
    checkpoint = signed.checkpoint
    leaf = CaseHead(proof.case, proof.sequence, proof.digest).leaf
    if not verify_inclusion(bytes.fromhex(checkpoint.root), checkpoint.size, proof.index, leaf, path):
        raise PermanentError("the checkpoint does not include the case as the proof claims")
    return proof, checkpoint

"""The proof that one case was as it is when a checkpoint was signed: it needs the checkpoint's key, and no stack."""

from typing import NamedTuple

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from pydantic import ValidationError

from shared.contracts.checkpoint import CaseHead, Checkpoint, parse
from shared.contracts.errors import PermanentError
from shared.contracts.merkle import InclusionProof, verify_inclusion
from shared.contracts.model import Model
from shared.messaging.checkpoints import Folder


class Proof(Model):
    """That the chain of a case ended with `digest`, at `sequence` of the trail."""

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
    """For the last head of the case that was signed. Raises PermanentError where there is none."""
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
        raise PermanentError("no checkpoint covers such a case")
    return found


def check(text: bytes, key: Ed25519PublicKey) -> tuple[Proof, Checkpoint]:
    """What a proof proves. Raises PermanentError where it proves nothing."""
    try:
        proof = Proof.model_validate_json(text)
        path = [bytes.fromhex(item) for item in proof.path]
        signed = parse(proof.checkpoint.encode(), bytes.fromhex(proof.signature))
    except (ValidationError, ValueError):
        raise PermanentError("this is no proof") from None
    if not signed.is_signed_by(key):
        raise PermanentError("the checkpoint was not signed with this key")
    checkpoint = signed.checkpoint
    leaf = CaseHead(proof.case, proof.sequence, proof.digest).leaf
    if not verify_inclusion(bytes.fromhex(checkpoint.root), checkpoint.size, proof.index, leaf, path):
        raise PermanentError("the case is not in the checkpoint as the proof says")
    return proof, checkpoint

"""What a checkpoint says against the one before it."""

from datetime import UTC, datetime, timedelta

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from services.approval.verification.checkpoints import checkpoint_faults
from shared.contracts.checkpoint import SignedCheckpoint, next_checkpoint, sign

KEY = Ed25519PrivateKey.generate()
T0 = datetime(2026, 11, 29, 1, 0, tzinfo=UTC)
FIRST = sign(next_checkpoint(None, [], time=T0, last=9, access=(4, "a")), KEY)


def faults(second: SignedCheckpoint) -> list[str]:
    return list(checkpoint_faults(second, FIRST, KEY.public_key(), 2, FIRST.checkpoint.tree))


def test_a_clock_that_was_set_back_is_no_fault() -> None:
    earlier = T0 - timedelta(seconds=35)
    assert faults(sign(next_checkpoint(FIRST, [], time=earlier, last=11, access=(4, "a")), KEY)) == []


def test_a_checkpoint_that_covers_less_is_a_fault() -> None:
    expected = ["it covers less than the one before it"]
    assert faults(sign(next_checkpoint(FIRST, [], time=T0, last=8, access=(4, "a")), KEY)) == expected
    assert faults(sign(next_checkpoint(FIRST, [], time=T0, last=9, access=(3, "a")), KEY)) == expected

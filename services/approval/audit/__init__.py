"""Proof that the event streams are unbroken: checkpoints and the chain verifier."""

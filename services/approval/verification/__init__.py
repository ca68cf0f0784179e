"""Verification of the event streams: digest chains, documents in the EHR, signed checkpoints, the access log."""

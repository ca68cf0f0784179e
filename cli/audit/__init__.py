"""Verify the event stream: its digest chains, the documents in the EHR, and the signed checkpoints."""

from cli.audit.run import verify
from services.approval.verification.report import VerificationReport
from services.approval.verification.stored import verify_stored

__all__ = ("VerificationReport", "verify", "verify_stored")

"""Verify the event stream: its digest chains, the documents in the EHR, and the signed checkpoints."""

from cli.audit.report import Report
from cli.audit.run import verify
from cli.audit.stored import verify_stored

__all__ = ("Report", "verify", "verify_stored")

"""Proves the trail: its chains, what stands in the chart, and the checkpoints that were signed."""

from cli.audit.report import Report
from cli.audit.run import verify
from cli.audit.stored import verify_stored

__all__ = ("Report", "verify", "verify_stored")

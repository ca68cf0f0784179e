"""Proves the trail: its chains, what stands in the chart, and the checkpoints that were signed."""

from cli.audit.case import verify_stored
from cli.audit.report import Fault, Report
from cli.audit.run import verify

__all__ = ("Fault", "Report", "verify", "verify_stored")

"""Verification of one case: its audit chain, its states, and its documents in the chart."""

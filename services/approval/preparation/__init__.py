"""Stays that are prepared before their discharge."""

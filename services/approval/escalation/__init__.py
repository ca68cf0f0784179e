"""Escalation of reviews that nobody decides: deadlines, recipients, API."""

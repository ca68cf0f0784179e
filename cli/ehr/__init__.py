"""Subscriptions at the EHR."""

"""Preparations: a draft before the discharge is reported."""

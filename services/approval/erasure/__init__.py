"""Erasure, legal hold and retention of texts."""

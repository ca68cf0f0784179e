"""Signed documents in the chart: DocumentReference, Provenance and renditions."""

"""Amendments, addenda and retractions of filed documents."""

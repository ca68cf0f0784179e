"""Fact sheets derived from a record by rules of their own: nothing here imports what drafts."""

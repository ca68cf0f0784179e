"""Drafts of trials, which an ML engineer reads beside what was signed."""

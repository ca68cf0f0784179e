"""Ratings of signed drafts by who signed them."""

"""Reviews: who may decide, what keeps a text from being signed, and the decisions themselves."""

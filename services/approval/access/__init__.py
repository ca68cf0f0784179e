"""The access log as auditors read it: search, exports, signatures without a recorded view of the draft."""

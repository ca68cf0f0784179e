"""Review Tasks in the EHR: created, kept true, and read for decisions that were taken there."""

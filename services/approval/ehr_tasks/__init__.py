"""Review Tasks in the EHR: created, kept up to date, and read for decisions that were taken there."""

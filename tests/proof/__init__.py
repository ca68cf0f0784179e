"""`make proof`: cases on every path under faults, and an independent checker: docs/explanation/fault-testing.md."""

"""`make proof`: cases through every door while everything is hurt, and an independent checker. See docs/explanation/fault-testing.md."""

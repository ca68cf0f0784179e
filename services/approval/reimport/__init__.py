"""After a restore: append what was signed and filed since the backup, as the chart shows it (ADR 38)."""

"""Takes over from the chart what was signed and filed after the backup that the trail came back from (ADR 38)."""

"""Whether one case proves: its chain, its states, and what stands of it in the chart."""

"""Which alerts fire, as Prometheus knows it, and where a person does something about each."""

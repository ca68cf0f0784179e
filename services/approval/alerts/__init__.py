"""Alerts that fire, as Prometheus reports them, and the pages on which a person acts on each."""

"""Check the prose of the documentation against `rules.yaml`: `python -m docs._prose`."""

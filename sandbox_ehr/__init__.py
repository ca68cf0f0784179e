"""A FHIR R4 server for demos and tests. Synthetic patients; never for real ones."""

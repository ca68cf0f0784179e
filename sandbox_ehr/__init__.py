"""A FHIR R4 server with synthetic patients for demonstrations and tests. Never use it for real patients."""

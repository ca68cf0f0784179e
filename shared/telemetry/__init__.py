"""Names, spans and metrics that the services record. Imports no other package of this repository."""

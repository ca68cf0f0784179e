"""Health checks of the installation: what `countersign doctor` knows, as far as approval can know it."""

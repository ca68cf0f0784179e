"""What two services already need. Imports point down only: runtime → messaging, clinical, inference → contracts."""

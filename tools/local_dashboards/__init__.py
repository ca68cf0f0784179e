"""The dashboards and alerts with data, on one machine, without containers: `make local-dashboards`."""

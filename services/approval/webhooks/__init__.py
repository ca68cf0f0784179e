"""Webhooks: case events that are posted to endpoints of integrators."""

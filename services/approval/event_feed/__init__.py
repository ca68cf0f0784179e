"""Case events for integrators: what a message says, and a stream of server-sent events."""

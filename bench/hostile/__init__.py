"""A ward at work while a thousand connections attack it: `make bench-hostile`, docs/security/index.md."""

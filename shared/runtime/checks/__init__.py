"""Health checks that `countersign doctor` and approval share: rules that judge what was read, and checks by HTTP."""

"""The state of the installation, as far as approval can know it: streams, consumers, schedules, dependencies."""

"""Generate the reference pages of the documentation site from the code: `python -m docs._generate`."""

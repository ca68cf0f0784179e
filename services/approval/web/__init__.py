"""The pages: HTML rendered on the server, one style sheet and one script; no build step and no external host."""

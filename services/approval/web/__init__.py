"""The pages: HTML rendered here, one style sheet and one script of our own, no build step, no external host."""

"""The review pages: plain HTML rendered here, no build step, no external host."""

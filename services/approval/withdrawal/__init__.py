"""Cases that an operator withdraws, before a physician has signed."""

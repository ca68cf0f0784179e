"""The independent checker: what the EHR, the streams and the clients' journal say, held against each other.

It imports nothing of `services`, `shared` or `cli`: a fault of theirs must not be able to hide itself here.
"""

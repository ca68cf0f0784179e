"""Whole stays in the habits of many systems, each with a sheet of what a right document says. `python -m tests.stays`.

A stay is one function that returns a `model.Stay`: build the record with `build.Chart`, and write beside each entry
what a reader must (`chart.says`) or must never (`chart.never`) find of it. See `build.py`, `model.py` and `words.py`.
"""

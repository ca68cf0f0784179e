"""Pseudonyms: what identifies people is replaced in a prompt before it leaves, and restored in the answer (ADR 60).

Imported where a declared endpoint asks for it, and only then. The mapping lives as long as one request.
"""

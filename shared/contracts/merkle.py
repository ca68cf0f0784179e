"""Merkle trees of RFC 9162; memory grows with a tree's depth, not with its leaves. Pure.

https://www.rfc-editor.org/rfc/rfc9162#section-2.1. Leaves and nodes are hashed differently, so neither can pass for the
other.
"""

import hashlib
from collections.abc import Iterable, Sequence

EMPTY = hashlib.sha256(b"").digest()


def leaf_hash(data: bytes) -> bytes:
    return hashlib.sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


class Tree:
    """An append-only tree of `size` leaves, stored as the roots of its perfect subtrees (`peaks`, largest first)."""

    def __init__(self, size: int = 0, peaks: Iterable[bytes] = ()) -> None:
        self.size, self.peaks = size, list(peaks)
        if len(self.peaks) != size.bit_count():
            raise ValueError("a tree has one peak for each bit of its size")

    def add(self, leaf: bytes) -> None:
        """Append a leaf by its hash."""
        self.size += 1
        self.peaks.append(leaf)
        count = self.size
        while count % 2 == 0:
            right = self.peaks.pop()
            self.peaks.append(node_hash(self.peaks.pop(), right))
            count //= 2

    @property
    def root(self) -> bytes:
        if not self.peaks:
            return EMPTY
        found = self.peaks[-1]
        for peak in reversed(self.peaks[:-1]):
            found = node_hash(peak, found)
        return found


class InclusionProof:
    """Collect the inclusion proof of the leaf `index` of a tree of `size` leaves, which are added in order."""

    def __init__(self, index: int, size: int) -> None:
        if not 0 <= index < size:
            raise ValueError("there is no such leaf")
        self._ranges = [(start, end, Tree()) for start, end in _siblings(index, 0, size)]
        self._at = 0

    def add(self, leaf: bytes) -> None:
        for start, end, tree in self._ranges:
            if start <= self._at < end:
                tree.add(leaf)
        self._at += 1

    @property
    def hashes(self) -> list[bytes]:
        """Return the proof from the leaf up, once all leaves were added."""
        return [tree.root for _, _, tree in self._ranges]


def _siblings(index: int, start: int, end: int) -> list[tuple[int, int]]:
    """Return the leaf ranges of the sibling subtrees on the path from the leaf to the root, from the leaf up."""
    found: list[tuple[int, int]] = []
    while end - start > 1:
        split = start + (1 << (end - start - 1).bit_length() - 1)
        if index < split:
            found.append((split, end))
            end = split
        else:
            found.append((start, split))
            start = split
    return found[::-1]


def verify_inclusion(root: bytes, size: int, index: int, leaf: bytes, path: Sequence[bytes]) -> bool:
    """Return whether `path` proves that the leaf hash `leaf` is leaf `index` of the tree (RFC 9162, 2.1.3.2)."""
    if not 0 <= index < size:
        return False
    at, last, found = index, size - 1, leaf
    for sibling in path:
        if last == 0:
            return False
        if at % 2 or at == last:
            found = node_hash(sibling, found)
            while at % 2 == 0 and at:
                at, last = at >> 1, last >> 1
        else:
            found = node_hash(found, sibling)
        at, last = at >> 1, last >> 1
    return last == 0 and found == root

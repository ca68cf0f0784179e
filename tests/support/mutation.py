"""Mutate bytes as a broken sender or an attacker would: cut, repeat, swap, insert, flip. Pure but for `shuffle`."""

import random
from collections.abc import Sequence


def mutated(data: bytes, pieces: Sequence[bytes], shuffle: random.Random, most: int = 4) -> bytes:
    """Return `data` after up to `most` mutations; `pieces` are what a format gives a meaning to."""
    found = bytearray(data)
    for _ in range(shuffle.randint(0, most)):
        at = shuffle.randrange(len(found) + 1)
        end = min(len(found), at + shuffle.choice((1, 1, 2, 8, 64)))
        match shuffle.randrange(6):
            case 0:
                del found[at:end]
            case 1:
                found[at:at] = found[at:end]
            case 2:
                found[at:at] = shuffle.choice(pieces)
            case 3:
                found[at:end] = shuffle.choice(pieces)
            case 4 if at < len(found):
                found[at] ^= 1 << shuffle.randrange(8)
            case _:
                del found[at + (len(found) - at) // 2 :]
    return bytes(found)

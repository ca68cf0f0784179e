"""Choose surrogates by a secret key: the same for the same case and original."""

import hmac
from collections.abc import Iterator
from hashlib import sha256

# Family names that no list of names or clinical terms has, made of English syllables: 24 x 14.


def _tuple(text: str) -> tuple[str, ...]:
    return tuple(text.split())


_FIRST = _tuple(
    "Ash Bex Cal Dun Ever Farn Garr Hath Ing Kel Lang Mar Nor Oak Pen Quin Rad Sel Thorn Ul Wex Yar Zel Brom"
)
_LAST = _tuple("bourne combe dale ford hurst leigh mere more stead thorpe wick worth by low")
FAMILY_NAMES = tuple(f"{one}{two}" for one in _FIRST for two in _LAST)
# For both sexes, as the sex of a person may be unknown; most capitals of the alphabet.
GIVEN_NAMES = _tuple(
    "Arlen Averil Blythe Brenlyn Corrin Cassel Darian Delwyn Emlyn Eldan Farrel Finlo Garron Gwilen Haskel Hollis"
    " Idris Ilar Jorin Jessamy Kerrin Kelso Lorcan Lorne Merrin Marlo Nevin Norrel Oriel Osric Perrin Pascoe Quillan"
    " Rhoslyn Rendel Sorrel Selwyn Tamsin Tierney Ulric Uriel Verrell Wynford Warrin Yorath Zephan"
)
MIN_SHIFT_WEEKS, SHIFT_WEEKS = 5, 200
PURPOSE = b"countersign pseudonyms"


class SurrogateSource:
    """Surrogates of one case."""

    def __init__(self, key: bytes, case: str) -> None:
        """`key` is the secret of the installation."""
        self._key = hmac.digest(key, PURPOSE + b"\0" + case.encode(), sha256)

    def number(self, *what: str) -> int:
        """Return a number of 256 bits that follows from the case and `what`."""
        return int.from_bytes(hmac.digest(self._key, "\0".join(what).encode(), sha256))

    @property
    def shift_days(self) -> int:
        """Return the days by which every date is moved, into the past: whole weeks, so that days of the week stay."""
        return -7 * (MIN_SHIFT_WEEKS + self.number("shift") % SHIFT_WEEKS)

    def names(self, kind: str, original: str) -> Iterator[str]:
        """Yield names to use for `original`, each once, the first one first. `kind`: given, or any other."""
        pools = (GIVEN_NAMES, FAMILY_NAMES) if kind == "given" else (FAMILY_NAMES,)
        for pool in pools:
            start = self.number(kind, original)
            yield from (pool[(start + step) % len(pool)] for step in range(len(pool)))

    def initials(self, *what: str) -> Iterator[str]:
        """Yield capitals to use for an initial."""
        start = self.number("initial", *what)
        yield from (chr(ord("A") + (start + step) % 26) for step in range(26))

    def digits(self, original: str, step: int) -> str:
        """Return `original` with other digits and characters, the rest as it is; with another `step`, another one."""
        return _scrambled(original, self.number("digits", original, str(step)))


def _scrambled(text: str, number: int) -> str:
    found = []
    for place, char in enumerate(text):
        byte = (number >> (place % 30) * 8) & 255
        if char.isascii() and char.isdigit():
            found.append(str(1 + byte % 9))  # no 0, so that no leading one is lost
        elif char.isascii() and char.isalpha():
            other = chr(ord("a") + byte % 26)
            found.append(other.upper() if char.isupper() else other)
        else:
            found.append(char)
    return "".join(found)

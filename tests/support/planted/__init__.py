"""Synthetic notes with planted identifiers, in the styles of hospital notes: `[[kind|text]]`. All people are invented.

Kinds: `titled` (a name with a title, degree or role), `relative` (a name after a relation), `bare` (a name alone),
`date`, `age` (over 89), `phone`, `number` (of identity), `contact` (e-mail and web addresses), `address`, `place` (a
place of care). What a rule without a record cannot know is planted as well. `CLINICAL` has nothing to be replaced.
"""

from pathlib import Path

FOLDER = Path(__file__).parent
NOTES = tuple((FOLDER / "notes.txt").read_text().splitlines())
CLINICAL = tuple((FOLDER / "clinical.txt").read_text().splitlines())

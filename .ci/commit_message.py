"""Check a commit's subject: `area: imperative`, at most 72 characters. A hook of `.pre-commit-config.yaml`."""

import re
import sys
from pathlib import Path

LONGEST = 72
SUBJECT = re.compile(r"^[a-z][a-z0-9-]*(/[a-z0-9-]+)?: (?P<verb>[a-z][a-z-]*)\b(?!.*[.\s]$)")
MADE_BY_GIT = ("Merge ", "Revert ", "fixup! ", "squash! ")
# Verbs that only look like another form: "embed", "process", "string".
IMPERATIVE = {
    "embed",
    "need",
    "feed",
    "seed",
    "speed",
    "exceed",
    "bring",
    "string",
    "pass",
    "process",
    "address",
    "bypass",
}


def complaint(message: str) -> str | None:
    """Return what is wrong with the subject of `message`, or None."""
    subject = next((line for line in message.splitlines() if line.strip() and not line.startswith("#")), "")
    if subject.startswith(MADE_BY_GIT):
        return None
    if len(subject) > LONGEST:
        return f"the subject has {len(subject)} characters; {LONGEST} are allowed"
    match = SUBJECT.match(subject)
    if match is None:
        return "write `area: imperative`, without a full stop, for example `messaging: define a step once`"
    verb = match["verb"]
    if verb not in IMPERATIVE and re.search(r"(ed|ing|[^s]s)$", verb):
        return f"begin with an imperative: not `{verb}`, but for example `fix`, `add`, `rename`"
    return None


def main() -> None:
    """Read the file that git names; exit code 1 with the complaint."""
    if wrong := complaint(Path(sys.argv[1]).read_text()):
        sys.exit(f"commit message: {wrong}")


if __name__ == "__main__":
    main()

"""The journal: what clients sent and were told, and what was hurt when. One JSON line each; the checker reads it."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any


class Journal:
    def __init__(self, file: Path) -> None:
        self.file = file
        self._lines = file.open("a", buffering=1)

    def note(self, kind: str, **facts: Any) -> None:
        self._lines.write(json.dumps({"at": now().isoformat(), "kind": kind} | facts) + "\n")

    def close(self) -> None:
        self._lines.close()


def now() -> datetime:
    return datetime.now(UTC)

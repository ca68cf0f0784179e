"""The clock of a process, moved while it runs: libfaketime, from `tools/fetch.sh libfaketime`."""

from pathlib import Path

TOOLS = Path(__file__).parents[2] / ".tools"
LIBRARY = next(TOOLS.glob("usr/lib/*/faketime/libfaketimeMT.so.1"), None)


class MovableClock:
    """`environment` is for the process, whose wall clock follows `move` within a second; its monotonic one does not."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self.move(0)

    @property
    def environment(self) -> dict[str, str]:
        """Empty where the library is missing."""
        if LIBRARY is None:
            return {}
        return {
            "LD_PRELOAD": str(LIBRARY),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_CACHE_DURATION": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "FAKETIME_DISABLE_SHM": "1",  # what it shares is left behind by kill -9
        }

    def move(self, seconds: int) -> None:
        """Let the clock be so many seconds ahead of the machine's; negative: behind."""
        written = self._file.with_suffix(".new")
        written.write_text(f"{seconds:+d}\n")
        written.rename(self._file)

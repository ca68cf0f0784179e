"""Processes with a moved clock: libfaketime, from `tools/fetch.sh libfaketime`."""

from pathlib import Path

TOOLS = Path(__file__).parents[2] / ".tools"
LIBRARY = next(TOOLS.glob("usr/lib/*/faketime/libfaketimeMT.so.1"), None)


def moved_clock(seconds: int) -> dict[str, str]:
    """The environment of a process whose wall clock is so many seconds ahead of the machine's; negative: behind.

    Monotonic time is not moved.
    """
    return {
        "LD_PRELOAD": str(LIBRARY),
        "FAKETIME": f"{seconds:+d}",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "FAKETIME_DISABLE_SHM": "1",  # what it shares is left behind by kill -9
    }

"""The version of this installation. It is written in `pyproject.toml` only; images carry it as package metadata."""

from importlib.metadata import PackageNotFoundError, version

UNKNOWN = "0+unknown"  # run from a folder that was never installed


def installed_version() -> str:
    """Return the version of the installed distribution, `UNKNOWN` where there is none."""
    try:
        return version("countersign")
    except PackageNotFoundError:
        return UNKNOWN


VERSION = installed_version()

"""Earlier versions of the services, exported from this checkout's history."""

import io
import subprocess
import tarfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("services", "shared")


def git(*arguments: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(["git", "-C", str(ROOT), *arguments], capture_output=True, check=False)


def previous() -> str:
    """The commit of the version before; skips where the repository does not have it."""
    if git("rev-parse", "--git-dir").returncode:
        pytest.skip("this is no git checkout: the version before cannot be had")
    tag = git("describe", "--tags", "--abbrev=0", "HEAD^").stdout.decode().strip()
    commit = tag or (ROOT / "tests/upgrade/previous.txt").read_text().strip()
    if git("merge-base", "--is-ancestor", commit, "HEAD").returncode:
        pytest.skip(f"{commit} is not in this clone's history (a shallow clone?): the version before cannot be had")
    return commit


def export(commit: str, folder: Path) -> Path:
    """The packages of a commit in `folder`."""
    archive = git("archive", commit, *PACKAGES)
    assert archive.returncode == 0, archive.stderr.decode()
    folder.mkdir()
    with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as packed:
        packed.extractall(folder, filter="data")
    return folder

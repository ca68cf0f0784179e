"""One installation for all remedies, reached as people at their own machines reach it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.contexts import VARIABLES
from tests.support.remote import Remote, remote


@pytest.fixture(scope="package")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Remote]:
    directory = tmp_path_factory.mktemp("remedies")
    with remote(directory) as found, pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CONFIG_HOME", str(directory / "config"))
        found.add_contexts()
        yield found


@pytest.fixture
def installation(started: Remote, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Remote]:
    """The commands know addresses and tokens, and nothing else."""
    for name in (*VARIABLES, "COUNTERSIGN_NATS_URL", "COUNTERSIGN_DATA_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(started.directory / "config"))
    monkeypatch.chdir(tmp_path)
    yield started
    assert not (tmp_path / ".countersign").exists()
    assert not list(started.directory.rglob("access.json"))

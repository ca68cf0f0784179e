"""The version is written once; what has to repeat it is compared."""

import re
import tomllib
from importlib import metadata
from pathlib import Path

import pytest

from shared.runtime import version

ROOT = Path(__file__).parents[2]
WRITTEN = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]


def test_services_report_the_installed_version() -> None:
    assert metadata.version("countersign") == version.VERSION


def test_a_folder_that_was_never_installed_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> str:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(version, "version", absent)
    assert version.installed_version() == version.UNKNOWN


@pytest.mark.parametrize(
    "file",
    [
        "compose.yaml",
        "deploy/docker/compose.offline.yaml",
        "deploy/k8s/base/kustomization.yaml",
        "deploy/k8s/overlays/small/kustomization.yaml",
    ],
)
def test_images_carry_the_written_version(file: str) -> None:
    named = re.findall(r"countersign(?:-triton)?(?:,.*newTag)?: ?(\d[\w.]*)", (ROOT / file).read_text())
    assert set(named) == {WRITTEN}


def test_the_changelog_has_a_part_for_it() -> None:
    assert f"\n## {WRITTEN} - 20" in (ROOT / "CHANGELOG.md").read_text()


def test_no_code_repeats_it() -> None:
    files = [path for package in ("services", "shared", "cli") for path in (ROOT / package).rglob("*.py")]
    assert [str(path) for path in files if f'"{WRITTEN}"' in path.read_text()] == []

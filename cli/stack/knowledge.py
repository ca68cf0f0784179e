"""The knowledge base of a data directory: its file, which is the user's to change, and where its vectors are."""

import shutil
from dataclasses import dataclass
from pathlib import Path

DEMO = Path(__file__).resolve().parents[2] / "deploy" / "knowledge"
EMPTY = """# The knowledge base. Declare sources here; the file is read again at every refresh.
# An example with everything in it: deploy/knowledge/knowledge.yaml
# Check it with: countersign knowledge sources validate FILE
version: 1
sources: []
"""


@dataclass(frozen=True, slots=True)
class Places:
    """Where things of the knowledge base are."""

    file: Path
    uploads: Path
    vectors: Path


def places(data_dir: Path, given: Path | None, *, demo: bool) -> Places:
    """The declared file, or the directory's own, which begins as a copy of the demo's (or empty, with a real EHR)."""
    folder = data_dir / "knowledge"
    if given is None and not folder.exists():
        if demo:
            shutil.copytree(DEMO, folder, ignore=shutil.ignore_patterns("README.md", ".gitkeep"))
        else:
            folder.mkdir()
            (folder / "knowledge.yaml").write_text(EMPTY)
    file = given.absolute() if given is not None else folder / "knowledge.yaml"
    uploads = file.parent / "uploads"
    if given is None:
        uploads.mkdir(exist_ok=True)
    return Places(file, uploads, data_dir / "qdrant")

"""The knowledge base of a data directory: its file, which is the user's to change, and where its vectors are."""

import shutil
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from cli.errors import CommandError
from cli.stack.triton import MODELS
from shared.contracts.errors import CountersignError, PermanentError
from shared.knowledge import knowledge_file
from shared.knowledge.live import LiveBucket
from shared.messaging.connection import connect

EMBEDDER = "embedder"
DEMO = Path(__file__).resolve().parents[2] / "deploy" / "knowledge"
EMPTY = """# The knowledge base. Declare sources here; the file is read again at every refresh.
# An example with everything in it: deploy/knowledge/knowledge.yaml
# Check it with: countersign knowledge sources validate FILE
version: 1
sources: []
"""


@dataclass(frozen=True, slots=True)
class KnowledgePaths:
    """Where things of the knowledge base are."""

    file: Path
    uploads: Path
    vectors: Path


def knowledge_paths(data_dir: Path, given: Path | None, *, demo: bool) -> KnowledgePaths:
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
    return KnowledgePaths(file, uploads, data_dir / "qdrant")


async def embedding_models(nats_url: str, seed: str, file: Path) -> tuple[str, ...]:
    """The embedding models that the model server has to load at its start: the one that the file names, the one that
    the live version was made with, and the one whose readiness counts. Later it loads none (`triton.CLOSED`).
    """
    wanted = [EMBEDDER]
    with suppress(PermanentError):  # what is wrong with the file is said at the first refresh
        wanted.append(knowledge_file.read_knowledge_file(file).embedder)
    try:
        bus = await connect(nats_url, "admin", seed)
        live, _ = await LiveBucket(bus).live()
        await bus.close()
    except CountersignError as failure:
        raise CommandError(f"What is live cannot be asked of the bus: {failure.reason}.") from None
    if live is not None:
        wanted.append(live.embedder)
    return tuple(name for name in dict.fromkeys(wanted) if (MODELS / name).is_dir())

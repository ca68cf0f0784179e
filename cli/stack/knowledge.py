"""The knowledge base of a data directory: the file that declares it, its uploads and its vectors."""

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
    """Paths of the knowledge base."""

    file: Path
    uploads: Path
    vectors: Path


def knowledge_paths(data_dir: Path, given: Path | None, *, demo: bool) -> KnowledgePaths:
    """Return the paths; creates the directory's own file as a copy of the demo's (or empty, with another EHR)."""
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
    """Return the embedding models to load at the start of the model server: that of the file, that of the live
    version, and the default one, whose readiness is checked. It loads none later (`triton.CLOSED`).
    """
    wanted = [EMBEDDER]
    with suppress(PermanentError):  # errors of the file are reported at the first refresh
        wanted.append(knowledge_file.read_knowledge_file(file).embedder)
    try:
        bus = await connect(nats_url, "admin", seed)
        live, _ = await LiveBucket(bus).live()
        await bus.close()
    except CountersignError as failure:
        raise CommandError(f"The live version could not be read: {failure.reason}.") from None
    if live is not None:
        wanted.append(live.embedder)
    return tuple(name for name in dict.fromkeys(wanted) if (MODELS / name).is_dir())

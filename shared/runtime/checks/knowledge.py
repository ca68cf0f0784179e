"""Judge the live version of the knowledge base. Pure."""

from shared.knowledge.live import LivePointer
from shared.runtime.checks.findings import Group


def assess_knowledge(group: Group, live: LivePointer | None, passages: int) -> None:
    """Assess the live version; `passages` are those that the vector store has of it."""
    if live is None:
        do = "countersign knowledge refresh"
        group.warning("knowledge", "no version is live: drafts cite nothing", do)
        return
    if passages == 0:
        says = f"version {live.version} is live, but it has no vectors"
        do = "run countersign restore, or embed it again: countersign knowledge refresh --full"
        group.fault("knowledge", says, do)
        return
    pinned = f", pinned by {live.pin.by} since {live.pin.since:%Y-%m-%d}: {live.pin.reason}" if live.pin else ""
    group.ok("knowledge", f"version {live.version} is live, {passages} passages{pinned}")
    if live.relevance.origin == "default":
        do = "add problems to the golden file, then: countersign knowledge refresh --evaluate-only"
        group.warning("relevance", f"version {live.version} has the default threshold: drafts cite little", do)

"""Queries and moves of people about drafter configurations."""

from dataclasses import dataclass
from functools import partial
from typing import Any

from services.evaluator.canary import Comparison
from services.evaluator.canary_watch import CanaryWatch
from shared.contracts import drafter_states as states
from shared.contracts.case_values import Actor
from shared.contracts.drafter_states import DocumentDrafters, DrafterEntry, MoveRefusedError
from shared.contracts.drafters import DrafterConfiguration, RecordedDrafterEvent
from shared.messaging.drafter_registry import Decide, DrafterRegistry
from shared.runtime.problems import ProblemError

SHORTEST_PREFIX = 6  # characters of a digest


@dataclass(frozen=True, slots=True)
class FoundDrafter:
    """A configuration, its kind of document, and its state."""

    document: str
    entry: DrafterEntry
    configuration: DrafterConfiguration


class DrafterService:
    """Answers the API of drafters."""

    def __init__(self, registry: DrafterRegistry, watch: CanaryWatch) -> None:
        self._registry = registry
        self._watch = watch

    async def all(self, document: str | None) -> list[FoundDrafter]:
        """Return the configurations of each kind of document, or of one; in the order in which they came."""
        found = await self._registry.states()
        if document is not None and document not in found:
            raise ProblemError(404, "There is no such kind of document", f"No drafter has declared {document}.")
        return [
            await self._found(name, entry)
            for name in sorted(found)
            if document in (None, name)
            for entry in found[name].entries.values()
        ]

    async def _found(self, document: str, entry: DrafterEntry) -> FoundDrafter:
        return FoundDrafter(document, entry, await self._registry.configuration(entry.configuration))

    async def one(self, digest: str) -> FoundDrafter:
        """Return the configuration whose digest begins with `digest`. Raises ProblemError."""
        matching = [
            (name, entry)
            for name, state in (await self._registry.states()).items()
            for entry in state.entries.values()
            if len(digest) >= SHORTEST_PREFIX and entry.configuration.startswith(digest)
        ]
        if not matching:
            raise ProblemError(
                404,
                "There is no such drafter configuration",
                f"Name it by its digest, or by {SHORTEST_PREFIX} or more of its first characters.",
            )
        if len(matching) > 1:
            raise ProblemError(409, "Several drafter configurations begin with that", "Give more of the digest.")
        return await self._found(*matching[0])

    async def comparison(self, digest: str) -> Comparison:
        """Return what became of the drafts of a canary. Raises ProblemError."""
        found = await self._watch.comparison((await self.one(digest)).entry)
        if found is None:
            raise ProblemError(404, "Nothing to compare", "No decision about a draft of this canary was taken yet.")
        return found

    async def history(self, document: str) -> list[RecordedDrafterEvent]:
        return await self._registry.history(document)

    async def add(
        self, document: str, base: str | None, changes: dict[str, Any], by: Actor, reason: str
    ) -> FoundDrafter:
        """Add a configuration: `base`, else the live one of `document`, with `changes`. Raises ProblemError."""
        state = await self._registry.state(document)
        if base is not None:
            origin = await self.one(base)
        elif state.live is not None:
            origin = await self._found(document, state.live)
        else:
            raise ProblemError(404, "There is no such kind of document", f"No drafter has declared {document}.")
        if origin.document != document:
            raise ProblemError(409, "That is of another kind of document", f"It drafts {origin.document}.")
        values = origin.configuration.model_dump() | changes
        if values["model"] != origin.configuration.model:
            values["served"] = ""  # what another endpoint serves is not known here
        digest = await self._registry.store(DrafterConfiguration.model_validate(values))
        return await self._move(document, digest, partial(states.add, digest=digest, by=by, reason=reason))

    async def start_canary(self, digest: str, share: float, by: Actor, reason: str) -> FoundDrafter:
        found = await self.one(digest)
        digest = found.entry.configuration
        return await self._move(
            found.document, digest, partial(states.start_canary, digest=digest, share=share, by=by, reason=reason)
        )

    async def promote(self, digest: str, by: Actor, reason: str) -> FoundDrafter:
        found = await self.one(digest)
        digest = found.entry.configuration
        return await self._move(found.document, digest, partial(states.promote, digest=digest, by=by, reason=reason))

    async def retire(self, digest: str, by: Actor, reason: str) -> FoundDrafter:
        found = await self.one(digest)
        digest = found.entry.configuration
        return await self._move(found.document, digest, partial(states.retire, digest=digest, by=by, reason=reason))

    async def roll_back(self, digest: str, by: Actor, reason: str) -> FoundDrafter:
        """Take the canary or the live configuration back; return what is live then.

        `digest` names it, so that a request that is repeated does not take back the one before as well.
        """
        found = await self.one(digest)
        taken = found.entry.configuration
        state = await self._decided(found.document, partial(states.roll_back, digest=taken, by=by, reason=reason))
        if state.live is None:
            raise ProblemError(409, "Nothing is live", f"No drafter has declared {found.document}.")
        return await self._found(found.document, state.live)

    async def _move(self, document: str, digest: str, decide: Decide) -> FoundDrafter:
        state = await self._decided(document, decide)
        return await self._found(document, state.entries[digest])

    async def _decided(self, document: str, decide: Decide) -> DocumentDrafters:
        try:
            return await self._registry.move(document, decide)
        except MoveRefusedError as refused:
            words = f"{refused.reason[0].upper()}{refused.reason[1:]}."
            raise ProblemError(409, "The state does not allow that", words) from None

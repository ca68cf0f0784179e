"""Queries and moves of people about drafter configurations."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from services.evaluator import gate
from services.evaluator.canary import Comparison
from services.evaluator.decision_projection import DecisionProjection
from services.evaluator.drift import Drift
from services.evaluator.drift_watch import DriftWatch
from services.evaluator.evaluation_sets import EvaluationSets, StayChoice, not_signed
from services.evaluator.evaluations import Evaluation, Evaluations
from services.evaluator.feedback import DrafterFeedback, RatingComparison
from services.evaluator.feedback_projection import FeedbackProjection
from services.evaluator.gate import GateVerdict
from shared.contracts import drafter_states as states
from shared.contracts.case_values import Actor
from shared.contracts.drafter_states import DocumentDrafters, DrafterEntry, TransitionRefusedError
from shared.contracts.drafters import DrafterConfiguration, RecordedDrafterEvent
from shared.contracts.evaluations import EvaluationItem, EvaluationRequested, ItemJudged
from shared.messaging.drafter_registry import Decide, DrafterRegistry
from shared.runtime.authentication import Caller
from shared.runtime.problems import ProblemError

SHORTEST_PREFIX = 6  # characters of a digest
MAX_TRIAL_STAYS = 12  # a person reads the drafts of each


@dataclass(frozen=True, slots=True)
class DrafterRecord:
    """A configuration, its kind of document, and its state."""

    document: str
    entry: DrafterEntry
    configuration: DrafterConfiguration


class DrafterService:
    """Answers the API of drafters."""

    def __init__(
        self,
        registry: DrafterRegistry,
        watch: DecisionProjection,
        drift: DriftWatch,
        evaluations: Evaluations,
        sets: EvaluationSets,
        feedback: FeedbackProjection,
    ) -> None:
        self._registry = registry
        self._watch = watch
        self._drift = drift
        self._evaluations = evaluations
        self.sets = sets
        self._feedback = feedback

    async def all(self, document: str | None) -> list[DrafterRecord]:
        """Return the configurations of each kind of document, or of one; in the order in which they came."""
        found = await self._registry.states()
        if document is not None and document not in found:
            raise ProblemError(404, "There is no such kind of document", f"No drafter has declared {document}.")
        return [
            await self._record_of(name, entry)
            for name in sorted(found)
            if document in (None, name)
            for entry in found[name].entries.values()
        ]

    async def _record_of(self, document: str, entry: DrafterEntry) -> DrafterRecord:
        return DrafterRecord(document, entry, await self._registry.configuration(entry.configuration))

    async def one(self, digest: str) -> DrafterRecord:
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
        return await self._record_of(*matching[0])

    async def comparison(self, digest: str) -> Comparison:
        """Return what became of the drafts of a canary. Raises ProblemError."""
        found = await self.comparison_of(await self.one(digest))
        if found is None:
            raise ProblemError(404, "Nothing to compare", "No decision about a draft of this canary was taken yet.")
        return found

    async def comparison_of(self, found: DrafterRecord) -> Comparison | None:
        return await self._watch.comparison(found.entry)

    async def ratings(self, compared: Comparison) -> RatingComparison:
        """Return the ratings of the same time."""
        return await self._feedback.ratings(compared.canary, compared.began)

    async def feedback(self, digest: str) -> DrafterFeedback:
        """Return what physicians said of the signed drafts of a configuration, and changed. Raises ProblemError."""
        return await self._feedback.feedback((await self.one(digest)).entry.configuration)

    @property
    def canary_threshold(self) -> float:
        """Return the evidence at which a canary is rolled back."""
        return self._watch.threshold

    @property
    def drift_threshold(self) -> float:
        return self._drift.threshold

    async def drift(self, digest: str) -> Drift:
        """Return the watch of a live configuration. Raises ProblemError."""
        found = await self.drift_of(await self.one(digest))
        if found is None:
            raise ProblemError(404, "Nothing was decided yet", "Only drafts of the live configuration are watched.")
        return found

    async def drift_of(self, found: DrafterRecord) -> Drift | None:
        return await self._drift.of(found.entry)

    async def reset_baseline(self, digest: str, by: Actor, reason: str) -> DrafterRecord:
        """Have the live configuration watched anew after a drift. Raises ProblemError."""
        found = await self.one(digest)
        digest = found.entry.configuration
        drift = await self.drift_of(found)
        if drift is None or drift.drifted is None:  # so that a request that is repeated resets nothing more
            raise ProblemError(409, "It has not drifted", "There is nothing to reset: its first decisions stand.")
        move = partial(states.reset_baseline, digest=digest, by=by, reason=reason)
        return await self._move(found.document, digest, move)

    async def history(self, document: str) -> list[RecordedDrafterEvent]:
        return await self._registry.history(document)

    async def add(
        self, document: str, base: str | None, changes: dict[str, Any], by: Actor, reason: str
    ) -> DrafterRecord:
        """Add a configuration: `base`, else the live one of `document`, with `changes`. Raises ProblemError."""
        state = await self._registry.state(document)
        if base is not None:
            origin = await self.one(base)
        elif state.live is not None:
            origin = await self._record_of(document, state.live)
        else:
            raise ProblemError(404, "There is no such kind of document", f"No drafter has declared {document}.")
        if origin.document != document:
            raise ProblemError(409, "That is of another kind of document", f"It drafts {origin.document}.")
        values = origin.configuration.model_dump() | changes
        if values["model"] != origin.configuration.model:
            values["served"] = ""  # what another endpoint serves is not known here
        digest = await self._registry.store(DrafterConfiguration.model_validate(values))
        return await self._move(document, digest, partial(states.add, digest=digest, by=by, reason=reason))

    async def start_shadow(self, digest: str, by: Actor, reason: str) -> DrafterRecord:
        found = await self.one(digest)
        digest = found.entry.configuration
        return await self._move(
            found.document, digest, partial(states.start_shadow, digest=digest, by=by, reason=reason)
        )

    async def start_canary(
        self, digest: str, share: float, by: Actor, reason: str, *, unevaluated: bool = False
    ) -> DrafterRecord:
        """Let a candidate draft a share of the cases, if it has passed an evaluation, or `unevaluated`.

        Raises ProblemError.
        """
        found = await self.one(digest)
        digest = found.entry.configuration
        evaluation = None if unevaluated or found.entry.state == "canary" else await self._passed(found)
        move = partial(states.start_canary, digest=digest, share=share, by=by, reason=reason, evaluation=evaluation)
        return await self._move(found.document, digest, move)

    async def promote(self, digest: str, by: Actor, reason: str, *, unevaluated: bool = False) -> DrafterRecord:
        """Let a configuration draft every case; as `start_canary`. Raises ProblemError."""
        found = await self.one(digest)
        digest = found.entry.configuration
        judged = unevaluated or found.entry.state in ("canary", "live")
        evaluation = None if judged else await self._passed(found)
        move = partial(states.promote, digest=digest, by=by, reason=reason, evaluation=evaluation)
        return await self._move(found.document, digest, move)

    async def _passed(self, found: DrafterRecord) -> str | None:
        """Return the evaluation that a candidate has passed against what is live. Raises ProblemError."""
        state, digest = await self._registry.state(found.document), found.entry.configuration
        if not gate.is_gated(state, digest):
            return None  # the move itself is refused for this reason
        verdict = gate.verdict(state, await self._evaluations.of(digest))
        if verdict.evaluation is None or not verdict.passed:
            raise ProblemError(409, verdict.title, verdict.detail)
        return verdict.evaluation.id

    async def state(self, document: str) -> DocumentDrafters:
        return await self._registry.state(document)

    async def states(self) -> Mapping[str, DocumentDrafters]:
        return await self._registry.states()

    async def configuration(self, digest: str) -> DrafterConfiguration:
        return await self._registry.configuration(digest)

    async def verdicts(self, state: DocumentDrafters) -> dict[str, GateVerdict]:
        """Return what the gate says of each candidate and of the shadow of a kind of document."""
        gated = {digest for digest in state.entries if gate.is_gated(state, digest)}
        found = await self._evaluations.by_candidate(gated)
        return {digest: gate.verdict(state, found[digest]) for digest in gated}

    async def evaluate(self, digest: str, stays: StayChoice | str, by: Actor, reason: str) -> Evaluation:
        """Begin to evaluate a configuration against the live one, on a choice of signed stays or on a set.

        Raises ProblemError.
        """
        found = await self.one(digest)
        if isinstance(stays, str):
            made = await self.sets.find(stays)
            if made.document != found.document:
                raise ProblemError(409, "That set is of another kind of document", f"It has stays of {made.document}.")
            return await self._begin(found, made.items, by, reason, set=made.stamp)
        return await self._begin(found, await self.sets.choose(found.document, stays), by, reason)

    async def begin_trial(self, digest: str, cases: Sequence[str], who: Caller, reason: str) -> Evaluation:
        """Begin a trial: an evaluation on signed stays whose drafts are kept for a person to read. Raises ProblemError.

        A stay of a department that `who` has no access to is answered as one that is not there.
        """
        found = await self.one(digest)
        chosen = tuple(dict.fromkeys(cases))
        if not 1 <= len(chosen) <= MAX_TRIAL_STAYS:
            raise ProblemError(409, "Choose the stays", f"A trial is of 1 to {MAX_TRIAL_STAYS} stays.")
        items = await self.sets.choose(found.document, StayChoice(len(chosen), chosen))
        hidden = sorted(item.case for item in items if not who.can_access_department(item.department))
        if hidden:
            raise not_signed(found.document, hidden)
        for item in items:
            if await self.sets.is_erased(item.case):  # its drafts would outlive those that were erased
                raise ProblemError(409, "No trial on this stay", f"Texts of the case {item.case} were erased.")
        return await self._begin(found, items, who.actor, reason, keep_drafts=True)

    async def _begin(
        self, found: DrafterRecord, items: Sequence[EvaluationItem], by: Actor, reason: str, **more: Any
    ) -> Evaluation:
        live = (await self._registry.state(found.document)).live
        if live is None or live.configuration == found.entry.configuration:
            raise ProblemError(409, "Nothing to compare it with", "It is the live configuration.")
        pair = {"candidate": found.entry.configuration, "live": live.configuration}
        requested = EvaluationRequested(
            document=found.document, items=tuple(items), by=by, reason=reason, **pair, **more
        )
        return await self.evaluation(await self._evaluations.begin(requested))

    async def stays(self, digest: str, evaluation: str) -> list[ItemJudged]:
        """Return the figures of each stay of an evaluation of that configuration. Raises ProblemError."""
        requested = (await self.evaluation(evaluation)).requested
        if not requested.candidate.startswith(digest):
            raise ProblemError(404, "There is no such evaluation")
        return await self._evaluations.stays(evaluation)

    async def evaluation(self, id: str) -> Evaluation:
        """Return an evaluation. Raises ProblemError."""
        found = await self._evaluations.find(id)
        if found is None:
            raise ProblemError(404, "There is no such evaluation")
        return found

    async def evaluations(self, digest: str) -> list[Evaluation]:
        return await self._evaluations.of((await self.one(digest)).entry.configuration)

    async def retire(self, digest: str, by: Actor, reason: str) -> DrafterRecord:
        found = await self.one(digest)
        digest = found.entry.configuration
        return await self._move(found.document, digest, partial(states.retire, digest=digest, by=by, reason=reason))

    async def roll_back(self, digest: str, by: Actor, reason: str) -> DrafterRecord:
        """Take the canary or the live configuration back; return what is live then.

        `digest` names it, so that a request that is repeated does not take back the one before as well.
        """
        found = await self.one(digest)
        taken = found.entry.configuration
        state = await self._decided(found.document, partial(states.roll_back, digest=taken, by=by, reason=reason))
        if state.live is None:
            raise ProblemError(409, "Nothing is live", f"No drafter has declared {found.document}.")
        return await self._record_of(found.document, state.live)

    async def _move(self, document: str, digest: str, decide: Decide) -> DrafterRecord:
        state = await self._decided(document, decide)
        return await self._record_of(document, state.entries[digest])

    async def _decided(self, document: str, decide: Decide) -> DocumentDrafters:
        try:
            return await self._registry.move(document, decide)
        except TransitionRefusedError as refused:
            words = f"{refused.reason[0].upper()}{refused.reason[1:]}."
            raise ProblemError(409, "The state does not allow that", words) from None

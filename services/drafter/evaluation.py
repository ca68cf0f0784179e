"""Draft a stay again by two configurations, and measure both drafts: of a signed stay, against what was signed."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from nats.aio.msg import Msg

from services.drafter.configurations import ChosenDrafter, ModelOf
from services.drafter.elements_present import with_elements
from services.drafter.evaluation_metrics import cost_of, measure, narrative_of, signed_narrative, with_omissions
from services.drafter.kinds import KindDefinition, KindRegistry
from services.drafter.writing import Assignment, DraftWriter
from shared.clinical import synthetic_stays
from shared.contracts.context import EncounterContext
from shared.contracts.draft import Draft, DrafterStamp
from shared.contracts.drafters import Digest
from shared.contracts.envelope import sha256_hex
from shared.contracts.errors import CountersignError, ErasedError, PermanentError
from shared.contracts.evaluations import (
    DraftFigures,
    DraftsKept,
    EvaluationItem,
    ItemJudged,
    ItemReady,
    parse_evaluation_subject,
)
from shared.contracts.model import read_strictly
from shared.messaging.artifacts import Artifacts
from shared.messaging.connection import NatsConnection
from shared.messaging.drafter_registry import DrafterRegistry
from shared.messaging.evaluations import EvaluationLog, kept_drafts_id, read_evaluation_event

ERASED = "the texts of the case were erased"
ATTEMPTS = 3  # deliveries until a draft is written without a model that does not answer
WriterOf = Callable[["OneConfiguration"], DraftWriter]
# Returns how similar each of some narratives is to the signed one.
Similarity = Callable[[Sequence[str], str], Awaitable[list[float]]]


class OneConfiguration:
    """Drafters of which one configuration drafts everything."""

    def __init__(self, registry: DrafterRegistry, model_of: ModelOf, digest: str) -> None:
        self._registry = registry
        self._model_of = model_of
        self._digest = digest

    async def choose(self, kind: KindDefinition, case: str) -> ChosenDrafter:  # noqa: ARG002 - the port's
        found = await self._registry.configuration(self._digest)
        stamp = DrafterStamp(configuration=self._digest, role="canary")
        return ChosenDrafter(found, self._model_of(found.model), stamp)


class DraftEvaluation:
    """Handles the stays of evaluations, at a low priority. Of a draft figures are kept; the text only of a trial."""

    def __init__(
        self,
        bus: NatsConnection,
        registry: DrafterRegistry,
        model_of: ModelOf,
        writer_of: WriterOf,
        log: EvaluationLog,
        timer: Callable[[], float],
        similarity: Similarity,
        kinds: KindRegistry,
    ) -> None:
        """`timer` returns seconds, to time a draft; `kinds` say what a document of each kind has to have."""
        self._kinds = kinds
        self._artifacts = Artifacts(bus)
        self._registry = registry
        self._model_of = model_of
        self._writer_of = writer_of
        self._log = log
        self._timer = timer
        self._similarity = similarity

    async def receive(self, message: Msg) -> None:
        """Draft the stay of a message by both configurations. Raises TransientError, PermanentError."""
        evaluation, _ = parse_evaluation_subject(message.subject)
        ready = read_evaluation_event(ItemReady, message.data)
        if await self._log.is_judged(evaluation, ready.number):
            return
        last = message.metadata.num_delivered >= ATTEMPTS
        await self._log.append(evaluation, await self._judged(evaluation, ready, last))

    async def _judged(self, evaluation: str, ready: ItemReady, last: bool) -> ItemJudged:
        name = f"{evaluation}-{ready.number}"
        judged = ItemJudged(number=ready.number, case=ready.item.case, department=ready.item.department)
        try:
            context, signed = await self._texts(ready.item)
        except ErasedError:
            return judged.model_copy(update={"left_out": ERASED})
        except PermanentError as error:  # no further attempt would read them, and the others can be judged
            return judged.model_copy(update={"left_out": error.reason})
        drafts, figures = await self._drafted(name, ready, context, signed, last=last)
        if ready.keep_drafts and ready.item.signed is not None:
            try:
                await self._keep(evaluation, ready, ready.item.signed, drafts)
            except ErasedError:
                return judged.model_copy(update={"left_out": ERASED})
        candidate, live = await self._with_similarity(figures, drafts, signed) if signed is not None else figures
        return judged.model_copy(update={"candidate": candidate, "live": live})

    async def _drafted(
        self, name: str, ready: ItemReady, context: EncounterContext, signed: str | None, *, last: bool
    ) -> tuple[list[Draft], list[DraftFigures]]:
        """Draft by the candidate and by the live configuration; return both drafts with their figures."""
        drafts, figures = [], []
        for digest in (ready.candidate, ready.live):
            writer = self._writer_of(OneConfiguration(self._registry, self._model_of, digest))
            task = Assignment(case=name, department=ready.item.department, context_digest=ready.item.context, last=last)
            began = self._timer()
            draft = await writer.write(context, task)
            seconds = self._timer() - began
            drafts.append(draft)
            found = await asyncio.to_thread(measure, draft, signed, seconds)
            model = self._model_of((await self._registry.configuration(digest)).model)
            figures.append(found.model_copy(update={"cost": cost_of(found, model.price)}))
        figures = await asyncio.to_thread(with_elements, figures, drafts, context, self._kinds)
        if signed is None:
            return drafts, figures
        return drafts, await asyncio.to_thread(with_omissions, figures, drafts, signed, context)

    async def _keep(self, evaluation: str, ready: ItemReady, signed: Digest, drafts: Sequence[Draft]) -> None:
        """Store both drafts of a trial among the texts of the case. Raises ErasedError, TransientError.

        The event that names them comes first: an erasure leaves a marker in the place of each, and none is stored then.
        A process that died in between may have named others, which a model that is asked again does not write.
        """
        texts = [draft.model_dump_json(exclude_none=True).encode() for draft in drafts]
        candidate, live = map(sha256_hex, texts)
        kept = DraftsKept(
            number=1,
            evaluation=evaluation,
            case=ready.item.case,
            department=ready.item.department,
            candidate=ready.candidate,
            live=ready.live,
            candidate_draft=candidate,
            live_draft=live,
            signed=signed,
        )
        await self._name(kept)
        for text in texts:
            await self._artifacts.of(ready.item.case).put(text)

    async def _name(self, kept: DraftsKept) -> None:
        """Append the event with the next number of the case, unless it is there under another one."""
        while True:
            before = await self._log.drafts_kept(kept.case)
            if any(item.model_copy(update={"number": kept.number}) == kept for item in before):
                return
            following = kept.model_copy(update={"number": len(before) + 1})
            if await self._log.append(kept_drafts_id(kept.case), following):
                return

    async def _with_similarity(
        self, figures: list[DraftFigures], drafts: list[Draft], signed: str
    ) -> list[DraftFigures]:
        try:
            found = await self._similarity([narrative_of(item) for item in drafts], signed_narrative(signed))
        except CountersignError:  # the other figures are worth having; another attempt would draft, and pay, again
            return figures
        pairs = zip(figures, found, strict=True)
        return [item.model_copy(update={"sentence_similarity": value}) for item, value in pairs]

    async def _texts(self, item: EvaluationItem) -> tuple[EncounterContext, str | None]:
        """Return the record of a stay and what was signed. Raises ErasedError, PermanentError, TransientError."""
        if item.signed is None:
            return await asyncio.to_thread(synthetic_stays.record, item.case, item.context), None
        texts = self._artifacts.of(item.case)
        context = read_strictly(EncounterContext, await texts.get(item.context))
        return context, (await texts.get(item.signed)).decode()

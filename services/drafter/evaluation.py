"""Draft a stay again by two configurations, and measure both drafts against what was signed."""

import asyncio
import re
from collections.abc import Callable

from nats.aio.msg import Msg
from rapidfuzz.distance import LCSseq, Levenshtein

from services.drafter.configurations import ChosenDrafter, ModelOf
from services.drafter.kinds import KindDefinition
from services.drafter.writing import Assignment, DraftWriter
from shared.contracts.context import EncounterContext
from shared.contracts.draft import HEADINGS, Draft, DrafterStamp
from shared.contracts.errors import ErasedError, PermanentError
from shared.contracts.evaluations import DraftFigures, EvaluationItem, ItemJudged, ItemReady, parse_evaluation_subject
from shared.contracts.model import read_strictly
from shared.messaging.artifacts import Artifacts
from shared.messaging.connection import NatsConnection
from shared.messaging.drafter_registry import DrafterRegistry
from shared.messaging.evaluations import EvaluationLog, read_evaluation_event

ATTEMPTS = 3  # deliveries until a draft is written without a model that does not answer
WriterOf = Callable[["OneConfiguration"], DraftWriter]


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
    """Handles the stays of evaluations, at a low priority. Nothing of a draft is kept but figures."""

    def __init__(
        self,
        bus: NatsConnection,
        registry: DrafterRegistry,
        model_of: ModelOf,
        writer_of: WriterOf,
        log: EvaluationLog,
        timer: Callable[[], float],
    ) -> None:
        """`timer` returns seconds, for measuring how long a draft takes."""
        self._artifacts = Artifacts(bus)
        self._registry = registry
        self._model_of = model_of
        self._writer_of = writer_of
        self._log = log
        self._timer = timer

    async def receive(self, message: Msg) -> None:
        """Draft the stay of a message by both configurations. Raises TransientError, PermanentError."""
        evaluation, _ = parse_evaluation_subject(message.subject)
        ready = read_evaluation_event(ItemReady, message.data)
        if await self._log.is_judged(evaluation, ready.number):
            return
        last = message.metadata.num_delivered >= ATTEMPTS
        await self._log.append(evaluation, await self._judged(f"{evaluation}-{ready.number}", ready, last))

    async def _judged(self, name: str, ready: ItemReady, last: bool) -> ItemJudged:
        try:
            context, signed = await self._texts(ready.item)
        except ErasedError:
            return ItemJudged(number=ready.number, case=ready.item.case, left_out="the texts of the case were erased")
        except PermanentError as error:  # no further attempt would read them, and the others can be judged
            return ItemJudged(number=ready.number, case=ready.item.case, left_out=error.reason)
        figures = []
        for digest in (ready.candidate, ready.live):
            writer = self._writer_of(OneConfiguration(self._registry, self._model_of, digest))
            task = Assignment(case=name, department=ready.item.department, context_digest=ready.item.context, last=last)
            began = self._timer()
            draft = await writer.write(context, task)
            seconds = self._timer() - began
            figures.append(await asyncio.to_thread(measure, draft, signed, seconds))
        candidate, live = figures
        return ItemJudged(number=ready.number, case=ready.item.case, candidate=candidate, live=live)

    async def _texts(self, item: EvaluationItem) -> tuple[EncounterContext, str]:
        texts = self._artifacts.of(item.case)
        context = read_strictly(EncounterContext, await texts.get(item.context))
        return context, (await texts.get(item.signed)).decode()


def measure(draft: Draft, signed: str, seconds: float) -> DraftFigures:
    """Measure a draft against the text that was signed for the same stay. Pure."""
    answer = draft.answer
    mine = _words(" ".join(item.text for item in draft.sentences))
    return DraftFigures(
        supported=answer.supported if answer else 0,
        contradicted=answer.contradicted if answer else 0,
        not_in_record=answer.not_in_record if answer else 0,
        silent=draft.model_silent is not None,
        sentences=len(draft.sentences),
        kept=len(draft.sentences_in(signed)),
        rouge_l=rouge_l(mine, _words(signed_narrative(signed))),
        similarity=Levenshtein.normalized_similarity(draft.text, signed),
        open_points=len(draft.open_points),
        words=len(mine),
        seconds=round(seconds, 3),
    )


def rouge_l(one: list[str], other: list[str]) -> float:
    """Return ROUGE-L (F1) of two lists of words. https://aclanthology.org/W04-1013/"""
    if not one or not other:
        return float(one == other)
    common = LCSseq.similarity(one, other)
    return 2 * common / (len(one) + len(other))


def signed_narrative(text: str) -> str:
    """Return the sentences below the headings of the narrative, as a document has them."""
    titles = {f"{heading}:" for heading in HEADINGS.values()}
    found: list[str] = []
    inside = False
    for line in text.splitlines():
        if line.strip() in titles:
            inside = True
        elif inside and line.startswith("  "):
            found.append(line.strip())
        else:
            inside = False
    return " ".join(found)


def _words(text: str) -> list[str]:
    return re.findall(r"\w+(?:[.,]\d+)*", text.lower())

"""The drafter's two steps: read the stay, then draft from what was read."""

import asyncio
import logging
from collections.abc import Callable
from datetime import tzinfo

from services.drafter import domain, facts, general_advice, narrative, prompts
from services.drafter.cite import cite
from services.drafter.compose import compose
from services.drafter.course import composed
from services.drafter.extract import extract
from services.drafter.policy import Chosen, Policy, choose
from shared.clinical.fhir import FhirClient
from shared.contracts.context import EncounterContext
from shared.contracts.draft import Claim, Knowledge, Narrative, OpenPoint, Sentence
from shared.contracts.events import ContextExtracted, Discharged, Drafted, RedraftRequested
from shared.contracts.failures import PermanentError, TransientError
from shared.grounding import Record, check, split
from shared.inference.generate import Generation, Generator, Sampling
from shared.knowledge.retrieve import Retriever
from shared.messaging.artifacts import Artifacts
from shared.messaging.connection import Bus
from shared.messaging.steps import Steps, Work

logger = logging.getLogger(__name__)

# Two documents, two prompts; read once, as a service whose prompts are broken must not start.
PROMPTS = {kind: prompts.load(name) for kind, name in narrative.PROMPTS.items()}


class Drafter:
    def __init__(
        self,
        steps: Steps,
        ehr: FhirClient,
        generator: Generator,
        deadline: float,
        retriever: Retriever | None,
        zone_of: Callable[[str], tzinfo | None],
        policy: Policy = "strict",
    ) -> None:
        """`zone_of` gives the time zone of a department; None where none is set."""
        self._ehr = ehr
        self._retriever = retriever
        self._generator = generator
        self._deadline = deadline
        self._zone_of = zone_of
        self._policy: Policy = policy
        steps.step("drafter-extract", self.extract)
        steps.step("drafter-draft", self.draft)

    def attach(self, bus: Bus) -> None:
        self._artifacts = Artifacts(bus)
        if self._retriever is not None:
            self._retriever.attach(bus)

    async def extract(self, work: Work) -> ContextExtracted:
        """Read the stay from the EHR and store what may be used of it."""
        cause = work.cause.body
        assert isinstance(cause, Discharged)  # noqa: S101 - the step's consumer is filtered to it
        context = await extract(
            self._ehr,
            cause.encounter_id,
            occurred_at=cause.occurred_at,
            attending=cause.attending,
            zone=self._zone_of(work.cause.case.department),
        )
        digest = await self._artifacts.put(context.model_dump_json(exclude_none=True).encode())
        return ContextExtracted(
            stay=context.stay.model_copy(update={"reported_at": work.cause.time}),
            kind=context.kind,
            context=digest,
            encounter_status=context.encounter_status,
            left_out=len(context.left_out),
        )

    async def draft(self, work: Work) -> Drafted:
        """Render the facts, compose the narrative, keep of the model what the record supports, store the draft."""
        cause = work.cause.body
        assert isinstance(cause, ContextExtracted | RedraftRequested)  # noqa: S101 - as above
        context = EncounterContext.model_validate_json(await self._artifacts.get(cause.context))
        words = domain.words_of(cause)
        wish = (await self._artifacts.get(words)).decode() if words else None
        knowledge = await cite(self._retriever, context) if self._retriever is not None else None
        generation, silent = await self._write(context, knowledge, wish, last=work.last)
        own: tuple[Sentence, ...] = ()
        if generation is not None:
            found = narrative.parse(generation.text, died=not context.instructs)
            if isinstance(found, narrative.Nonsense):
                silent = found.reason
            else:
                own = await asyncio.to_thread(checked, found, context, knowledge)
        own, advised = general_advice.without_course(own)
        chosen = choose(composed(context), own, self._policy)
        draft = compose(
            context,
            facts.render(context),
            chosen.sentences,
            number=domain.number_of(cause),
            model=generation.model if generation else "",
            prompt=PROMPTS[context.kind].stamp,
            context_digest=cause.context,
            knowledge=knowledge,
            composed=chosen.composed,
            replaced=chosen.replaced + advised,
            asked=answered(wish, chosen),
            model_silent=silent,
        )
        digest = await self._artifacts.put(draft.model_dump_json(exclude_none=True).encode())
        return domain.drafted(cause, draft, digest)

    async def _write(
        self, context: EncounterContext, knowledge: Knowledge | None, wish: str | None, *, last: bool
    ) -> tuple[Generation | None, str | None]:
        """What the model wrote, or why it did not: a model that fails must not end the case."""
        prompt = PROMPTS[context.kind]
        sampling = Sampling(max_tokens=prompt.max_tokens, stop=prompt.stop)
        text = prompt.render(narrative.brief(context, knowledge), wish)
        try:
            return await self._generator.generate(text, sampling, deadline=self._deadline), None
        except TransientError as error:
            if not last:
                raise
            logger.warning("the model could not be reached, the narrative is composed alone: %s", error.reason)
            return None, "the model could not be reached"
        except PermanentError as error:
            logger.warning("the model failed, the narrative is composed alone: %s", error.reason)
            return None, "the model failed"


def answered(wish: str | None, chosen: Chosen) -> OpenPoint | None:
    """What became of the physician's words: a person has to know where the draft does not follow them."""
    if wish is None:
        return None
    used = len(chosen.sentences) - chosen.composed
    said = f"{used} of its sentences stand" if used else "none of its sentences could be kept"
    return OpenPoint(
        text=f"Your words went to the model; {said}. What they ask beyond that is for you to write: change the text"
    )


def checked(
    found: narrative.Narratives, context: EncounterContext, knowledge: Knowledge | None = None
) -> tuple[Sentence, ...]:
    """Each sentence of the narratives with its label, what speaks for it, and its claims that are not supported.

    What is taken from a passage of `knowledge` is marked as general advice.
    """
    record = Record(context)
    return tuple(_checked(text, name, record, knowledge) for name, texts in found.items() for text in split(texts))


def _checked(text: str, name: Narrative, record: Record, knowledge: Knowledge | None) -> Sentence:
    verdict = check(text, record)
    claims = tuple(
        Claim(kind=item.kind, text=item.text, label=item.label, source=item.source, detail=item.detail)
        for item in verdict.findings
        if item.label != "supported"
    )
    sentence = Sentence(narrative=name, text=text, evidence=verdict.evidence, unsupported=claims, label=verdict.label)
    return general_advice.told(sentence, verdict.findings, record, knowledge)

"""The drafter's two steps: read the stay, then draft from what was read."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import tzinfo

from services.drafter import domain, facts, general_advice, narrative
from services.drafter.cite import cite
from services.drafter.compose import compose
from services.drafter.course import composed
from services.drafter.extract import extract
from services.drafter.kinds import Kind, Kinds, shipped
from services.drafter.notes.telling import Told, tell
from services.drafter.policy import Chosen, Policy, choose
from services.drafter.wording import TOKENS_A_WORD, Departments, Wording
from shared.clinical.fhir import FhirClient
from shared.contracts.context import EncounterContext
from shared.contracts.draft import Claim, Knowledge, Narrative, OpenPoint, Routing, Sentence
from shared.contracts.events import CaseEvent, ContextExtracted, Discharged, Drafted, RedraftRequested
from shared.contracts.failures import PermanentError, TransientError
from shared.contracts.model import read_whole
from shared.grounding import Record, check, split
from shared.inference.generate import Generation, Generator, Sampling
from shared.knowledge.retrieve import Retriever
from shared.messaging.artifacts import Artifacts, CaseTexts
from shared.messaging.connection import Bus
from shared.messaging.steps import Work

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Documents:
    """What there is to draft, and how departments want it."""

    kinds: Kinds = field(default_factory=shipped)
    departments: Departments = field(default_factory=Departments)
    generators: Mapping[str, Generator] = field(default_factory=dict)  # of the models that kinds name for themselves


class Drafter:
    def __init__(
        self,
        bus: Bus,
        ehr: FhirClient,
        generator: Generator,
        deadline: float,
        retriever: Retriever | None,
        zone_of: Callable[[str], tzinfo | None],
        policy: Policy = "strict",
        documents: Documents | None = None,
    ) -> None:
        """`zone_of` gives the time zone of a department; None where none is set. Without `documents`: what ships."""
        self._ehr = ehr
        self._retriever = retriever
        self._generator = generator
        self._deadline = deadline
        self._zone_of = zone_of
        self._policy: Policy = policy
        self._documents = documents or Documents()
        self._artifacts = Artifacts(bus)

    def _texts(self, work: Work[CaseEvent]) -> CaseTexts:
        return self._artifacts.of(work.cause.case.id, work.cause.head.sequence)

    async def extract(self, work: Work[Discharged]) -> ContextExtracted:
        """Read the stay from the EHR and store what may be used of it."""
        cause = work.event
        context = await extract(
            self._ehr,
            cause.encounter_id,
            occurred_at=cause.occurred_at,
            attending=cause.attending,
            zone=self._zone_of(work.cause.case.department),
            kinds=self._documents.kinds,
            department=work.cause.case.department,
        )
        digest = await self._texts(work).put(context.model_dump_json(exclude_none=True).encode())
        return ContextExtracted(
            stay=context.stay.model_copy(update={"reported_at": work.cause.time}),
            kind=context.kind,
            context=digest,
            encounter_status=context.encounter_status,
            left_out=len(context.left_out),
        )

    async def draft(self, work: Work[ContextExtracted | RedraftRequested]) -> Drafted:
        """Render the facts, compose the narrative, keep of the model what the record supports, store the draft."""
        cause = work.event
        context = read_whole(EncounterContext, await self._texts(work).get(cause.context))
        words = domain.words_of(cause)
        wish = (await self._texts(work).get(words)).decode() if words else None
        kind = self._documents.kinds.of(context.kind, died=context.died)
        wording = self._documents.departments.of(work.cause.case.department, kind.name)
        knowledge = await cite(self._retriever, context) if self._retriever is not None else None
        told = await asyncio.to_thread(tell, context)
        text = _prompt(kind, wording, context, knowledge, wish, told)
        generation, silent = await self._write(kind, text, _sampling(kind, wording, context), last=work.last)
        own: tuple[Sentence, ...] = ()
        if generation is not None:
            found = narrative.parse(generation.text, died=not _instructs(kind, context))
            if isinstance(found, narrative.Nonsense):
                silent = found.reason
            else:
                own = await asyncio.to_thread(checked, found, context, knowledge)
        own, advised = general_advice.without_course(own)
        policy = self._policy_for(kind, generation)
        chosen = self._choose(kind, wording, composed(context, told.sentences), own, policy)
        draft = compose(
            context,
            facts.render(context, kind),
            chosen.sentences,
            number=domain.number_of(cause),
            model=generation.model if generation else "",
            prompt=kind.prompt.stamp,
            context_digest=cause.context,
            knowledge=knowledge,
            composed=chosen.composed,
            replaced=chosen.replaced + advised,
            asked=(*answered(wish, chosen), *_fallen_back(kind, context)),
            told=told,
            model_silent=silent,
            kind=kind,
            routing=_routing(kind, wording, context, policy),
        )
        digest = await self._texts(work).put(draft.model_dump_json(exclude_none=True).encode())
        return domain.drafted(cause, draft, digest)

    def _choose(
        self,
        kind: Kind,
        wording: Wording | None,
        rules: tuple[Sentence, ...],
        own: tuple[Sentence, ...],
        policy: Policy,
    ) -> Chosen:
        """The sentences of the draft. What the model copied from a department's example is none of this patient's."""
        own, copied = wording.without_copies(own) if wording else (own, 0)
        rules = tuple(item for item in rules if kind.home(item.narrative) is not None)
        chosen = choose(rules, own, policy)
        return Chosen(chosen.sentences, chosen.replaced + copied)

    def _policy_for(self, kind: Kind, generation: Generation | None) -> Policy:
        """The kind's or the drafter's, but `strict` for a model whose configuration allows no other."""
        policy = kind.declared.policy or self._policy
        if policy == "marked" and generation is not None and generation.strict:
            logger.warning("%s may be used under the policy strict alone; marked is not applied", generation.model)
            return "strict"
        return policy

    async def _write(
        self, kind: Kind, prompt: str, sampling: Sampling, *, last: bool
    ) -> tuple[Generation | None, str | None]:
        """What the model wrote, or why it did not: a model that fails must not end the case."""
        generator = self._documents.generators.get(kind.declared.model or "", self._generator)
        try:
            return await generator.generate(prompt, sampling, deadline=self._deadline), None
        except TransientError as error:
            if not last:
                raise
            logger.warning("the model could not be reached, the narrative is composed alone: %s", error.reason)
            return None, "the model could not be reached"
        except PermanentError as error:
            logger.warning("the model failed, the narrative is composed alone: %s", error.reason)
            return None, "the model failed"


def _routing(kind: Kind, wording: Wording | None, context: EncounterContext, policy: Policy) -> Routing:
    return Routing(
        why=context.why,
        also=context.also,
        declaration=kind.digest,
        policy=policy,
        wording=wording.digest if wording else None,
        words=wording.words(facts.length_of_stay(context)) if wording else None,
    )


def _instructs(kind: Kind, context: EncounterContext) -> bool:
    return context.instructs and kind.declared.patient_instructions


def _prompt(
    kind: Kind,
    wording: Wording | None,
    context: EncounterContext,
    knowledge: Knowledge | None,
    wish: str | None,
    told: Told,
) -> str:
    department = wording.lines(facts.length_of_stay(context)) if wording else ""
    advice = knowledge if _instructs(kind, context) else None
    return kind.prompt.render(narrative.brief(context, advice, told.quoted), wish, department)


def _sampling(kind: Kind, wording: Wording | None, context: EncounterContext) -> Sampling:
    """Room for the words that a department asks for."""
    words = wording.words(facts.length_of_stay(context)) if wording else None
    return Sampling(max_tokens=max(kind.prompt.max_tokens, (words or 0) * TOKENS_A_WORD), stop=kind.prompt.stop)


def _fallen_back(kind: Kind, context: EncounterContext) -> tuple[OpenPoint, ...]:
    """That the stay was read as of a kind which is not declared here any more."""
    if kind.name == context.kind:
        return ()
    words = f"This stay was taken for a {context.kind}, which is not declared any more; this is a {kind.name}"
    return (OpenPoint(text=f"{words}: see that it says what is needed"),)


def answered(wish: str | None, chosen: Chosen) -> tuple[OpenPoint, ...]:
    """What became of the physician's words: a person has to know where the draft does not follow them."""
    if wish is None:
        return ()
    used = len(chosen.sentences) - chosen.composed
    said = f"{used} of its sentences stand" if used else "none of its sentences could be kept"
    words = f"Your words went to the model; {said}. What they ask beyond that is for you to write: change the text"
    return (OpenPoint(text=words),)


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
    sentence = Sentence(
        narrative=name,
        text=text,
        evidence=verdict.evidence,
        unsupported=claims,
        label=verdict.label,
        by_note=verdict.by_note,
    )
    return general_advice.told(sentence, verdict.findings, record, knowledge)

"""Steps of the drafter: read the stay, then draft from it."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import tzinfo

from services.drafter import document_header, domain, facts, general_advice, narrative
from services.drafter.compose import compose
from services.drafter.course import compose_course
from services.drafter.extract import read_stay
from services.drafter.kinds import KindDefinition, KindRegistry, load_shipped_kinds
from services.drafter.notes.quotation import QuotedNotes, quote_notes
from services.drafter.passages import retrieve_passages
from services.drafter.policy import ChosenNarrative, Policy, choose_narrative
from services.drafter.wording import TOKENS_PER_WORD, Departments, Wording
from shared.clinical.fhir_client import FhirClient
from shared.contracts.context import EncounterContext
from shared.contracts.draft import CitedKnowledge, Claim, Narrative, OpenPoint, Routing, Sentence
from shared.contracts.errors import PermanentError, TransientError
from shared.contracts.events import CaseEvent, ContextExtracted, Discharged, Drafted, RedraftRequested
from shared.contracts.model import read_strictly
from shared.grounding import EvidenceIndex, check, split_sentences
from shared.inference.generation import Generation, Generator, Sampling
from shared.knowledge.retriever import Retriever
from shared.messaging.artifacts import Artifacts, CaseTexts
from shared.messaging.connection import NatsConnection
from shared.messaging.steps import StepContext

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Documents:
    """The kinds of documents, the departments' wording, and the generators by model."""

    kinds: KindRegistry = field(default_factory=load_shipped_kinds)
    departments: Departments = field(default_factory=Departments)
    generators: Mapping[str, Generator] = field(
        default_factory=dict
    )  # generators of models that kinds name for themselves


class Drafter:
    def __init__(
        self,
        bus: NatsConnection,
        ehr: FhirClient,
        generator: Generator,
        deadline: float,
        retriever: Retriever | None,
        zone_of: Callable[[str], tzinfo | None],
        policy: Policy = "strict",
        documents: Documents | None = None,
    ) -> None:
        """Build the handlers.

        `zone_of` returns a department's time zone, None where none is set. Without `documents`, the shipped kinds
        apply.
        """
        self._ehr = ehr
        self._retriever = retriever
        self._generator = generator
        self._deadline = deadline
        self._zone_of = zone_of
        self._policy: Policy = policy
        self._documents = documents or Documents()
        self._artifacts = Artifacts(bus)

    def _texts(self, work: StepContext[CaseEvent]) -> CaseTexts:
        return self._artifacts.of(work.cause.case.id, work.cause.head.sequence)

    async def extract(self, work: StepContext[Discharged]) -> ContextExtracted:
        """Read the stay from the EHR and store the usable part of it."""
        cause = work.event
        context = await read_stay(
            self._ehr,
            cause.encounter_id,
            occurred_at=cause.occurred_at,
            attending=cause.attending,
            died=cause.died or False,
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

    async def draft(self, work: StepContext[ContextExtracted | RedraftRequested]) -> Drafted:
        """Render the facts, compose the narrative, keep model sentences that the record supports, store the draft."""
        cause = work.event
        context = read_strictly(EncounterContext, await self._texts(work).get(cause.context))
        words = domain.requested_changes(cause)
        request = (await self._texts(work).get(words)).decode() if words else None
        kind = self._documents.kinds.of(context.kind, died=context.died)
        wording = self._documents.departments.of(work.cause.case.department, kind.name)
        knowledge = await retrieve_passages(self._retriever, context) if self._retriever is not None else None
        notes = await asyncio.to_thread(quote_notes, context)
        text = _prompt(kind, wording, context, knowledge, request, notes)
        generation, silent = await self._write(kind, text, _sampling(kind, wording, context), last=work.last)
        own: tuple[Sentence, ...] = ()
        if generation is not None:
            found = narrative.parse_answer(generation.text, died=not _needs_instructions(kind, context))
            if isinstance(found, narrative.UnusableAnswer):
                silent = found.reason
            else:
                own = await asyncio.to_thread(check_narratives, found, context, knowledge)
        own, advised = general_advice.without_advice_as_course(own)
        policy = self._policy_for(kind, generation)
        chosen = self._choose(kind, wording, compose_course(context, notes.sentences), own, policy)
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
            asked=(*revision_point(request, chosen), *_unknown_kind_point(kind, context)),
            told=notes,
            model_silent=silent,
            kind=kind,
            routing=_routing(kind, wording, context, policy),
        )
        digest = await self._texts(work).put(draft.model_dump_json(exclude_none=True).encode())
        return domain.drafted(cause, draft, digest)

    def _choose(
        self,
        kind: KindDefinition,
        wording: Wording | None,
        rules: tuple[Sentence, ...],
        own: tuple[Sentence, ...],
        policy: Policy,
    ) -> ChosenNarrative:
        """Return the sentences of the draft. What the model copied from a department's example is dropped."""
        own, copied = wording.without_copies(own) if wording else (own, 0)
        rules = tuple(item for item in rules if kind.part_of(item.narrative) is not None)
        chosen = choose_narrative(rules, own, policy)
        return ChosenNarrative(chosen.sentences, chosen.replaced + copied)

    def _policy_for(self, kind: KindDefinition, generation: Generation | None) -> Policy:
        """Return the policy of the kind or the drafter; `strict` where the model's configuration requires it."""
        policy = kind.declared.policy or self._policy
        if policy == "marked" and generation is not None and generation.strict:
            logger.warning("%s allows the policy strict only; marked is not applied", generation.model)
            return "strict"
        return policy

    async def _write(
        self, kind: KindDefinition, prompt: str, sampling: Sampling, *, last: bool
    ) -> tuple[Generation | None, str | None]:
        """Return the model's answer, or why it has none: a failing model must not end the case."""
        generator = self._documents.generators.get(kind.declared.model or "", self._generator)
        try:
            return await generator.generate(prompt, sampling, deadline=self._deadline), None
        except TransientError as error:
            if not last:
                raise
            logger.warning("the model is not available, the narrative is composed without it: %s", error.reason)
            return None, "the model could not be reached"
        except PermanentError as error:
            logger.warning("the model failed, the narrative is composed without it: %s", error.reason)
            return None, "the model failed"


def _routing(kind: KindDefinition, wording: Wording | None, context: EncounterContext, policy: Policy) -> Routing:
    return Routing(
        why=context.why,
        also=context.also,
        declaration=kind.digest,
        policy=policy,
        wording=wording.digest if wording else None,
        words=wording.words(document_header.length_of_stay(context)) if wording else None,
    )


def _needs_instructions(kind: KindDefinition, context: EncounterContext) -> bool:
    return context.needs_instructions and kind.declared.patient_instructions


def _prompt(
    kind: KindDefinition,
    wording: Wording | None,
    context: EncounterContext,
    knowledge: CitedKnowledge | None,
    request: str | None,
    notes: QuotedNotes,
) -> str:
    department = wording.lines(document_header.length_of_stay(context)) if wording else ""
    advice = knowledge if _needs_instructions(kind, context) else None
    return kind.prompt.render(narrative.prompt_facts(context, advice, notes.quoted), request, department)


def _sampling(kind: KindDefinition, wording: Wording | None, context: EncounterContext) -> Sampling:
    """Return sampling parameters with enough tokens for the number of words that a department asks for."""
    words = wording.words(document_header.length_of_stay(context)) if wording else None
    return Sampling(max_tokens=max(kind.prompt.max_tokens, (words or 0) * TOKENS_PER_WORD), stop=kind.prompt.stop)


def _unknown_kind_point(kind: KindDefinition, context: EncounterContext) -> tuple[OpenPoint, ...]:
    """Return an open point where the stay was read as a kind that is no longer declared."""
    if kind.name == context.kind:
        return ()
    words = f"This stay was taken for a {context.kind}, which is not declared any more; this is a {kind.name}"
    return (OpenPoint(text=f"{words}: see that it says what is needed"),)


def revision_point(request: str | None, chosen: ChosenNarrative) -> tuple[OpenPoint, ...]:
    """Return what became of the physician's requested changes, where the draft does not follow them."""
    if request is None:
        return ()
    used = len(chosen.sentences) - chosen.composed
    said = f"{used} of its sentences stand" if used else "none of its sentences could be kept"
    words = f"Your words went to the model; {said}. What they ask beyond that is for you to write: change the text"
    return (OpenPoint(text=words),)


def check_narratives(
    found: narrative.Narratives, context: EncounterContext, knowledge: CitedKnowledge | None = None
) -> tuple[Sentence, ...]:
    """Return each sentence of the narratives with its label, evidence and unsupported claims.

    What comes from a passage of `knowledge` is labelled as general advice.
    """
    record = EvidenceIndex(context)
    return tuple(
        _check_narrative(text, name, record, knowledge)
        for name, texts in found.items()
        for text in split_sentences(texts)
    )


def _check_narrative(text: str, name: Narrative, record: EvidenceIndex, knowledge: CitedKnowledge | None) -> Sentence:
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
    return general_advice.label_general_advice(sentence, verdict.findings, record, knowledge)
